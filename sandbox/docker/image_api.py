"""The engine's calls about images, asynchronously, each with a time limit.

Beside what `DockerApi` promises: calls that build or fetch report line by line and run on threads of their own,
so that they never hold up a step. Their limit is on silence: the longest time between two lines. A caller that
is cancelled waits for the next line, at which the call is broken off; the engine then stops the work too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar, cast

from sandbox.docker.api import DockerApi, EngineCallError
from sandbox.docker.programs import Progress, silent
from sandbox.errors import EngineTimeoutError

if TYPE_CHECKING:
    import docker

T = TypeVar("T")

SILENCE: Final = timedelta(minutes=10)
"""Limit between two lines of a build; unpacking a large archive says nothing."""

_WORKERS: Final = 2
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class BuildRefusedError(EngineCallError):
    """A build, pull or import ended in an error of its own; `reason` is the engine's text."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, 200, reason)


class ImageApi(DockerApi):
    """What `DockerApi` can do, and images. Safe to use from one event loop; `close` ends its threads."""

    def __init__(self, socket_path: str | None = None) -> None:
        super().__init__(socket_path)
        self._builders = ThreadPoolExecutor(_WORKERS, thread_name_prefix="engine-build")

    async def images(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Local images (no intermediate ones) that carry all of `labels` (`name` or `name=value`)."""
        filters = {"label": list(labels)} if labels else {}

        def work(client: docker.APIClient) -> list[dict[str, Any]]:
            return cast("list[dict[str, Any]]", client.images(filters=filters))

        return await self._look("image list", work) or []

    async def version(self) -> dict[str, Any]:
        """The engine's version, those of its API, and of its parts."""

        def work(client: docker.APIClient) -> dict[str, Any]:
            return dict(client.version(api_version=False))

        return await self._look("version", work) or {}

    async def tag(self, image: str, repository: str, tag: str) -> None:
        """Make `repository:tag` a name of `image`; takes the name from another image that had it."""
        await self._make("tag", lambda client: client.tag(image, repository, tag, force=True))

    async def remove_image(self, image: str) -> None:
        """Remove a name, or an image by id with its untagged parents. Gone, or still needed, is fine."""
        await self._make("image remove", lambda client: client.remove_image(image), fine=(_NOT_FOUND, _CONFLICT))

    async def commit(self, container: str, repository: str, tag: str, changes: Sequence[str]) -> str:
        """Make what an ended container's file system holds the image `repository:tag`; returns its id.

        changes: Dockerfile instructions on top of the container's own configuration.
        """

        def work(client: docker.APIClient) -> str:
            answer = client.commit(container, repository=repository, tag=tag, pause=False, changes=list(changes))
            return str(answer["Id"])

        return await self._slowly("commit", SILENCE, work)

    async def build(
        self,
        context: IO[bytes],
        *,
        tag: str | None = None,
        arguments: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        no_cache: bool = False,
        progress: Progress = silent,
    ) -> str:
        """Build the Dockerfile at the top of the tar `context` with the classic builder; returns the image's id.

        Raises BuildRefusedError: a step of the Dockerfile failed.
        """

        def lines(client: docker.APIClient) -> Iterable[dict[str, Any]]:
            return cast(
                "Iterable[dict[str, Any]]",
                client.build(
                    fileobj=context,
                    custom_context=True,
                    tag=tag,
                    buildargs=dict(arguments or {}),
                    labels=dict(labels or {}),
                    nocache=no_cache,
                    rm=True,
                    forcerm=True,
                    decode=True,
                    timeout=int(SILENCE.total_seconds()),
                ),
            )

        built = ""
        for event in await self._reporting("build", SILENCE, lines, progress):
            built = str(event.get("aux", {}).get("ID", built))
        return built

    async def pull(self, repository: str, tag: str, *, silence: timedelta, progress: Progress = silent) -> None:
        """Fetch `repository:tag` from its registry. Raises BuildRefusedError, EngineTimeoutError, EngineCallError."""

        def lines(client: docker.APIClient) -> Iterable[dict[str, Any]]:
            return cast("Iterable[dict[str, Any]]", client.pull(repository, tag=tag, stream=True, decode=True))

        await self._reporting("pull", silence, lines, progress)

    async def import_tar(self, archive: Path, repository: str, tag: str, changes: Sequence[str]) -> None:
        """Make the root file system in tar file `archive` the image `repository:tag`."""

        def work(client: docker.APIClient) -> None:
            with archive.open("rb") as source:
                client.import_image(source, repository=repository, tag=tag, changes=list(changes))

        await self._slowly("import", SILENCE, work)

    def close(self) -> None:
        super().close()
        self._builders.shutdown(wait=False, cancel_futures=True)

    # -- how they are made -----------------------------------------------------------------------

    async def _slowly(self, call: str, limit: timedelta, work: Callable[[docker.APIClient], T]) -> T:
        """One call without lines; `limit` bounds it as a whole."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit.total_seconds()):
                result = await loop.run_in_executor(self._builders, self._perform, call, limit, work, ())
        except TimeoutError as error:
            raise EngineTimeoutError(call, limit) from error
        return cast("T", result)

    async def _reporting(
        self,
        call: str,
        silence: timedelta,
        lines: Callable[[docker.APIClient], Iterable[dict[str, Any]]],
        progress: Progress,
    ) -> list[dict[str, Any]]:
        """Read the engine's events to their end; the ones that carry a result are returned."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def report(text: str) -> None:
            loop.call_soon_threadsafe(progress, text)

        def work(client: docker.APIClient) -> list[dict[str, Any]]:
            return _read_events(call, lines(client), report, stop)

        running = loop.run_in_executor(self._builders, self._perform, call, silence, work, ())
        try:
            return await asyncio.shield(running) or []
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([running])
            running.exception()
            raise


def _read_events(
    call: str, events: Iterable[dict[str, Any]], report: Progress, stop: threading.Event
) -> list[dict[str, Any]]:
    results = []
    with closing(cast("Any", events)):
        for event in events:
            if "error" in event:
                raise BuildRefusedError(call, str(event["error"]).strip())
            if "aux" in event:
                results.append(event)
            for line in _text_of(event).splitlines():
                if line.strip():
                    report(line.rstrip())
            if stop.is_set():
                break
    return results


def _text_of(event: Mapping[str, Any]) -> str:
    """What an event says to people; a download's moving bar says nothing."""
    if "stream" in event:
        return str(event["stream"])
    if "status" in event and not event.get("progressDetail"):
        return f"{event.get('id', '')} {event['status']}".strip()
    return ""
