"""What every call passes before its method: the rate of calls, and on a port the token.

A peer on the unix socket has shown by connecting that it may; who comes over TCP shows a token in the metadata
`authorization: Bearer TOKEN`. Health checks pass without one.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from engine.rpc.status import DOMAIN, OverloadedError, status_of
from engine.rpc.turnstile import TokenBucket

MIN_TOKEN_BYTES: Final = 16
_OPEN: Final = "/grpc.health.v1.Health/"
_LOCAL: Final = "unix:"

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]


class Guard(grpc.aio.ServerInterceptor):
    """Interceptor of a controller. token: None when it listens on no port."""

    def __init__(self, bucket: TokenBucket, token: bytes | None) -> None:
        self._bucket = bucket
        self._token = token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN):
            return handler
        given = [value for key, value in handler_call_details.invocation_metadata or () if key == "authorization"]
        return self._guarded(handler, _bytes(given[0]) if len(given) == 1 else b"")

    def _guarded(self, handler: Handler, given: bytes) -> Handler:
        """A handler of the same kind that checks first."""

        async def check(context: grpc.aio.ServicerContext[Any, Any]) -> None:
            refusal = self._refusal(context.peer(), given)
            if refusal is not None:
                status: Any = rpc_status.to_status(refusal)
                await context.abort_with_status(status)

        unary: Any = handler.unary_unary
        stream: Any = handler.unary_stream
        if unary is not None:

            async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
                await check(context)
                return await unary(request, context)

            return grpc.unary_unary_rpc_method_handler(
                answer, handler.request_deserializer, handler.response_serializer
            )
        if stream is not None:

            async def answers(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
                await check(context)
                async for response in stream(request, context):
                    yield response

            return grpc.unary_stream_rpc_method_handler(
                answers, handler.request_deserializer, handler.response_serializer
            )
        inner: Any = handler.stream_stream
        if inner is None:
            raise TypeError("the services have no method that takes a stream and answers once")

        async def converse(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            await check(context)
            async for response in inner(requests, context):
                yield response

        return grpc.stream_stream_rpc_method_handler(
            converse, handler.request_deserializer, handler.response_serializer
        )

    def _refusal(self, peer: str, given: bytes) -> status_pb2.Status | None:
        if not peer.startswith(_LOCAL) and not self._knows(given):
            return _unauthenticated()
        try:
            self._bucket.take()
        except OverloadedError as error:
            return status_of(error)
        return None

    def _knows(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given, b"Bearer " + self._token)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _unauthenticated() -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.UNAUTHENTICATED, message="the metadata authorization has no valid token")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="UNAUTHENTICATED", domain=DOMAIN))
    return status
