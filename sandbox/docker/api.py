"""The container engine, asynchronously: the few calls that sandboxes need, each with a time limit.

Rules. The engine is reached by its API over a local unix socket that is named explicitly; contexts, TCP and the
user's client configuration play no part. Calls run on threads of this object's own, one SDK client per thread:
calls that stop or look at something never queue behind calls that make something. A call that does not answer
in time is `EngineTimeoutError`, also when its thread is stuck; a socket that does not answer is
`EngineUnreachableError`; a refusal is `EngineCallError` with the engine's status and words. Absence of what was
to be stopped or removed is success.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sandbox.errors import (
    EngineTimeoutError,
    EngineUnreachableError,
    ImageNotFoundError,
    SandboxUnavailableError,
    SpecRefusedError,
)
from sandbox.failpoints import SandboxPoint, reached

if TYPE_CHECKING:
    import docker

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
PREFERRED_API: Final = (1, 41)
"""The oldest engine supported (20.10) speaks this; newer ones are asked for it as long as they still do."""

QUICK: Final = timedelta(seconds=10)
"""Limit of calls that look or stop."""

SLOW: Final = timedelta(seconds=30)
"""Limit of calls that create, start or remove."""

_QUEUE_SLACK: Final = timedelta(seconds=5)
_WORKERS: Final = 4
_GONE: Final = 404
_CONFLICT: Final = 409
_NOT_MODIFIED: Final = 304

T = TypeVar("T")


class EngineCallError(SandboxUnavailableError):
    """The engine refused `call` with HTTP `status`."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"the container engine refused {call}: {reason} (status {status})")
        self.call = call
        self.status = status


def engine_socket(environment: Mapping[str, str] = os.environ) -> str:
    """Path of the engine's socket: that of DOCKER_HOST when it is a unix socket (rootless engines), else the default.

    Raises SpecRefusedError: DOCKER_HOST names anything else; a step's workspace must be on the engine's machine.
    """
    host = environment.get("DOCKER_HOST", "")
    if not host:
        return DEFAULT_SOCKET
    if not host.startswith("unix:///"):
        raise SpecRefusedError("DOCKER_HOST", f"{host!r} is not a local unix socket (unix:///...)")
    return host.removeprefix("unix://")


class DockerApi:
    """Connection to one engine. Safe to use from one event loop; `close` ends its threads."""

    def __init__(self, socket_path: str | None = None) -> None:
        self.socket_path = socket_path if socket_path is not None else engine_socket()
        self._makers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="engine-make")
        self._lookers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="engine-look")
        self._local = threading.local()
        self._clients: list[docker.APIClient] = []
        self._facts: dict[str, Any] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Begin what the first call waits for: loading the SDK, and asking for a version that both speak.

        Returns at once. What goes wrong is told by the first call.
        """
        self._lookers.submit(self._perform, "version", QUICK, lambda client: None, ())

    # -- containers ------------------------------------------------------------------------------

    async def create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create container `name` from the create call's JSON; returns its id.

        Raises ImageNotFoundError: the image is not there; EngineCallError: anything else is wrong.
        """

        def work(client: docker.APIClient) -> str:
            answer = client.create_container_from_config(dict(config), name)  # type: ignore[no-untyped-call]
            reached(SandboxPoint.CONTAINER_CREATED)
            return str(answer["Id"])

        try:
            return await self._make("create", work)
        except EngineCallError as error:
            if error.status == _GONE:
                raise ImageNotFoundError(str(config["Image"])) from error
            raise

    async def start(self, container: str) -> None:
        """Start it. Raises EngineCallError: the runtime could not (no such program in the image, ...)."""
        await self._make("start", lambda client: client.start(container))

    async def attach(self, container: str) -> socket.socket:
        """Connect to stdin, stdout and stderr; frames as of `stream.FrameDecoder`. The caller owns the socket.

        When the caller gives up, the connection is closed as soon as it is there.
        """
        return await self._make("attach", lambda client: _attach(client, container), unwanted=socket.socket.close)

    async def kill(self, container: str) -> None:
        """SIGKILL. A container that is gone or does not run is fine."""
        await self._look("kill", lambda client: client.kill(container, "SIGKILL"), fine=(_GONE, _CONFLICT))

    async def pause(self, container: str) -> None:
        """Freeze all its processes. Raises EngineCallError: it does not run."""
        await self._look("pause", lambda client: client.pause(container))

    async def unpause(self, container: str) -> None:
        """Thaw. A container that is gone or not frozen is fine."""
        try:
            await self._look("unpause", lambda client: client.unpause(container), fine=(_GONE, _CONFLICT))
        except EngineCallError as error:
            # Engines before 24 answer 500 to this, as they do to real failures.
            if "not paused" not in error.reason:
                raise

    async def inspect(self, container: str) -> dict[str, Any] | None:
        """Everything the engine knows about it; None when it knows no such container."""

        def work(client: docker.APIClient) -> dict[str, Any]:
            return cast("dict[str, Any]", client.inspect_container(container))

        return await self._look("inspect", work, fine=(_GONE,))

    async def remove(self, container: str) -> None:
        """Kill and remove it with its anonymous volumes. One that is gone, or being removed, is fine."""
        await self._make(
            "remove",
            lambda client: client.remove_container(container, force=True, v=True),
            fine=(_GONE, _CONFLICT),
        )

    async def list(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Containers in any state that carry all of `labels`: rows with `Id`, `Names`, `Labels`, `State`."""
        wanted = [f"{name}={value}" for name, value in labels.items()]

        def work(client: docker.APIClient) -> list[dict[str, Any]]:
            return cast("list[dict[str, Any]]", client.containers(all=True, filters={"label": wanted}))

        return await self._look("list", work) or []

    # -- the rest --------------------------------------------------------------------------------

    async def image_inspect(self, image: str) -> dict[str, Any]:
        """What the engine knows about a local image. Raises ImageNotFoundError."""

        def work(client: docker.APIClient) -> dict[str, Any]:
            return cast("dict[str, Any]", client.inspect_image(image))  # type: ignore[no-untyped-call]

        facts = await self._look("image inspect", work, fine=(_GONE,))
        if facts is None:
            raise ImageNotFoundError(image)
        return facts

    async def architecture(self) -> str:
        """What the engine's machine is, in its words for images ("amd64"); costs nothing once anything was asked."""
        await self._look("version", lambda client: None)
        return str(self._facts.get("Arch", ""))

    async def info(self) -> dict[str, Any]:
        """The engine's description of itself and of the host."""

        def work(client: docker.APIClient) -> dict[str, Any]:
            return client.info()

        return await self._look("info", work) or {}

    def close(self) -> None:
        """End the threads; calls under way are abandoned to their own time limits. Idempotent."""
        self._makers.shutdown(wait=False, cancel_futures=True)
        self._lookers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            while self._clients:
                self._clients.pop().close()

    # -- how calls are made ----------------------------------------------------------------------

    async def _make(
        self,
        call: str,
        work: Callable[[docker.APIClient], T],
        fine: tuple[int, ...] = (),
        unwanted: Callable[[T], object] | None = None,
    ) -> T:
        return cast("T", await self._call(self._makers, call, SLOW, work, fine, unwanted))

    async def _look(self, call: str, work: Callable[[docker.APIClient], T], fine: tuple[int, ...] = ()) -> T | None:
        return await self._call(self._lookers, call, QUICK, work, fine)

    async def _call(
        self,
        threads: ThreadPoolExecutor,
        call: str,
        limit: timedelta,
        work: Callable[[docker.APIClient], T],
        fine: tuple[int, ...],
        unwanted: Callable[[T], object] | None = None,
    ) -> T | None:
        """`unwanted` is given what the call comes to when nobody waits for it any more."""
        running = threads.submit(self._perform, call, limit, work, fine)
        # The client's own limit is per read of the socket; this one is on the whole call, queueing included.
        try:
            async with asyncio.timeout((limit + _QUEUE_SLACK).total_seconds()):
                return await asyncio.wrap_future(running)
        except BaseException as error:
            if unwanted is not None:
                running.add_done_callback(lambda done: _pass_on(done, unwanted))
            if isinstance(error, TimeoutError):
                raise EngineTimeoutError(call, limit) from error
            raise

    def _perform(
        self, call: str, limit: timedelta, work: Callable[[docker.APIClient], T], fine: tuple[int, ...]
    ) -> T | None:
        # Here, in a worker thread, because importing the SDK takes longer than most commands.
        import docker.errors
        import requests.exceptions

        try:
            client = self._client()
            client.timeout = int(limit.total_seconds())
            return work(client)
        except docker.errors.APIError as error:
            status = error.status_code or 0
            if status in fine or status == _NOT_MODIFIED:
                return None
            raise EngineCallError(call, status, str(error.explanation or error)) from error
        except requests.exceptions.Timeout as error:
            raise EngineTimeoutError(call, limit) from error
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            raise EngineUnreachableError(self.socket_path, str(error)) from error

    def _client(self) -> docker.APIClient:
        import docker

        client = getattr(self._local, "client", None)
        if client is None:
            client = docker.APIClient(
                base_url=f"unix://{self.socket_path}",
                version=self._negotiated(),
                timeout=int(QUICK.total_seconds()),
            )
            self._local.client = client
            with self._lock:
                self._clients.append(client)
        return cast("docker.APIClient", client)

    def _knock(self) -> None:
        """See that somebody listens: the SDK leaves a socket open when nobody does. Raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(QUICK.total_seconds())
            connection.connect(self.socket_path)

    def _negotiated(self) -> str:
        import docker

        with self._lock:
            if not self._facts:
                self._knock()
                asked = ".".join(map(str, PREFERRED_API))
                client = docker.APIClient(
                    base_url=f"unix://{self.socket_path}", version=asked, timeout=int(QUICK.total_seconds())
                )
                try:
                    self._facts = client.version(api_version=False)
                finally:
                    client.close()
            return _choose(self._facts)


def _pass_on(done: Future[T | None], unwanted: Callable[[T], object]) -> None:
    if done.cancelled() or done.exception() is not None:
        return
    result = done.result()
    if result is not None:
        unwanted(result)


def _choose(version: Mapping[str, Any]) -> str:
    """The preferred version where the engine still speaks it, else its oldest."""
    oldest = str(version.get("MinAPIVersion", "1.24"))
    parts = tuple(int(part) for part in oldest.split("."))
    return oldest if parts > PREFERRED_API else ".".join(map(str, PREFERRED_API))


def _attach(client: docker.APIClient, container: str) -> socket.socket:
    """A socket of our own on the hijacked connection, so that closing it is the end of the connection.

    The SDK's objects keep theirs alive for as long as somebody refers to them; nothing was read through them,
    because a container that has not started has said nothing.
    """
    wrapper: Any = client.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    connection = socket.socket(fileno=os.dup(wrapper._sock.fileno()))
    response = getattr(wrapper, "_response", None)
    (wrapper if response is None else response).close()
    return connection
