"""What every method of a service does around its own work: errors become statuses, and nothing else gets out."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from grpc_status import rpc_status

from engine.errors import EngineError
from engine.rpc.status import status_of
from sandbox.errors import SandboxError

_LOG: Final = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext


def unary(method: Callable[[Any, Q, Context], Awaitable[A]]) -> Callable[[Any, Q, Context], Awaitable[A]]:
    """A method that answers once."""

    @functools.wraps(method)
    async def answer(self: Any, request: Q, context: Context) -> A:
        async with _translating(method.__name__, context):
            return await method(self, request, context)
        raise AssertionError("an error that was translated ends the call")

    return answer


def streaming(method: Callable[[Any, Q, Context], AsyncIterator[A]]) -> Callable[[Any, Q, Context], AsyncIterator[A]]:
    """A method that answers with a stream."""

    @functools.wraps(method)
    async def answer(self: Any, request: Q, context: Context) -> AsyncIterator[A]:
        async with _translating(method.__name__, context):
            async for message in method(self, request, context):
                yield message

    return answer


@asynccontextmanager
async def _translating(name: str, context: Context) -> AsyncIterator[None]:
    """End the call with the status of the error that the block raises."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - the outermost place of a call: what is no outcome is logged
        if not isinstance(error, EngineError | SandboxError):
            _LOG.exception("%s failed", name)
        status: Any = rpc_status.to_status(status_of(error))
        await context.abort_with_status(status)
