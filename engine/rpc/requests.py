"""Asking twice does once: what a `request_id` was used for is in the journal, with what it brought about.

Two calls with one id at the same time: the second waits for the first and then gets the first one's answer. What a
call has begun is done to its end, also when the client drops the call or dies meanwhile: nothing is left half done,
and asking again tells how it ended. The digest is over the request without secrets' values: a digest of a short
secret would give it away.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from engine.errors import RequestReusedError
from engine.execution.attempt import Blocking
from engine.journal.journal import Journal
from engine.journal.records import Request, RequestRecord
from engine.rpc.status import BadFieldError

MAX_ID: Final = 64

T = TypeVar("T")


def named_request(message: Any) -> Request | None:
    """What the client called this request; None when it gave it no id. Pure.

    Raises BadFieldError: the id is too long or not printable ASCII.
    """
    request_id: str = message.request_id
    if not request_id:
        return None
    if len(request_id) > MAX_ID or not (request_id.isascii() and request_id.isprintable()):
        raise BadFieldError("request_id", f"at most {MAX_ID} printable ASCII characters, best a UUID")
    return Request(request_id, message.DESCRIPTOR.name.removesuffix("Request"), digest_of(message))


def digest_of(message: Message) -> str:
    """sha256 (hex) of the request, without the values of secrets. Pure."""
    public: Any = type(message)()
    public.CopyFrom(message)
    names: list[str] = []
    if "secrets" in public.DESCRIPTOR.fields_by_name:
        names = sorted(public.secrets)
        public.ClearField("secrets")
    data = public.SerializeToString(deterministic=True) + b"\0" + "\0".join(names).encode()
    return hashlib.sha256(data).hexdigest()


class Requests:
    """The requests of one controller. Lives on one event loop."""

    def __init__(self, journal: Journal, blocking: Blocking) -> None:
        self._journal = journal
        self._blocking = blocking
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._working: set[asyncio.Future[Any]] = set()

    async def once(
        self,
        message: Message,
        do: Callable[[Request | None], Awaitable[T]],
        again: Callable[[RequestRecord], Awaitable[T]],
    ) -> T:
        """What `do` answers; when the request took effect before, what `again` answers.

        `do` gets the request to have it remembered in the transaction of its effect. It is not cancelled with the
        caller.
        Raises RequestReusedError: the id was used for another request; and what `do` and `again` raise.
        """
        request = named_request(message)
        work = asyncio.ensure_future(self._once(request, do, again))
        self._working.add(work)
        work.add_done_callback(self._done)
        return await asyncio.shield(work)

    async def drain(self) -> None:
        """Wait until nothing is being done any more."""
        if self._working:
            await asyncio.wait(self._working)

    def _done(self, work: asyncio.Future[Any]) -> None:
        self._working.discard(work)
        if not work.cancelled():
            work.exception()  # looked at: its caller may have gone

    async def _once(
        self,
        request: Request | None,
        do: Callable[[Request | None], Awaitable[T]],
        again: Callable[[RequestRecord], Awaitable[T]],
    ) -> T:
        if request is None:
            return await do(None)
        async with self._turn(request.id):
            known: RequestRecord | None = await self._blocking(self._journal.request, request.id)
            if known is None:
                return await do(request)
            if (known.verb, known.digest) != (request.verb, request.digest):
                raise RequestReusedError(request.id, known.execution_id)
            return await again(known)

    @asynccontextmanager
    async def _turn(self, request_id: str) -> AsyncIterator[None]:
        lock, users = self._turns.get(request_id, (asyncio.Lock(), 0))
        self._turns[request_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._turns.pop(request_id)
            if users > 1:
                self._turns[request_id] = (lock, users - 1)
