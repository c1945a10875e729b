"""`Mounter`s: `KernelMounter` does it in this process, which is root; `RemoteMounter` asks a `mount_service`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from sandbox.errors import MountError
from sandbox.workspace import kernel, loopback, privileged
from sandbox.workspace.mount_service import READY

MAX_ANSWER_BYTES: Final = 64 << 20


@contextmanager
def _typed(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MountError(os.fspath(target), str(error.strerror or error), error.errno) from error


class KernelMounter:
    """A `Mounter` by system calls; see there for what every method promises."""

    def share(self, directory: Path) -> None:
        with _typed(directory):
            kernel.share(os.fspath(directory))

    def attach_image(self, image: Path, target: Path) -> None:
        with _typed(target):
            loopback.attach_image(os.fspath(image), os.fspath(target))

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        with _typed(target):
            privileged.mount_overlay(
                [os.fspath(lower) for lower in lowers],
                os.fspath(upper) if upper is not None else None,
                os.fspath(work) if work is not None else None,
                os.fspath(target),
                swap_uid,
            )

    def bind(self, source: Path, target: Path) -> None:
        with _typed(target):
            kernel.bind(os.fspath(source), os.fspath(target))

    def unmount(self, target: Path) -> None:
        with _typed(target):
            kernel.unmount(os.fspath(target))

    def opaque_directories(self, upper: Path) -> list[bytes]:
        with _typed(upper):
            return privileged.opaque_directories(os.fspath(upper))

    def set_opaque(self, upper: Path, directories: Sequence[bytes]) -> None:
        with _typed(upper):
            privileged.set_opaque(os.fspath(upper), directories)

    def discard(self, directory: Path) -> None:
        with _typed(directory):
            privileged.discard(os.fspath(directory))

    def trim(self, mounted_image: Path) -> None:
        with _typed(mounted_image):
            loopback.trim(os.fspath(mounted_image))

    def close(self) -> None:
        """Nothing to end: mounts stay."""


class RemoteMounter:
    """A `Mounter` that asks a `mount_service` over two streams. Safe to use from several threads.

    places: (directory here, the same directory over there), the store first. A service that is gone, or says
    what is no answer, is a MountError without errno for this and every later call.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO, places: Sequence[tuple[Path, PurePosixPath]]) -> None:
        self._requests = requests
        self._answers = answers
        self._places = tuple(places)
        self._lock = threading.Lock()
        self._lost = ""
        with self._lock:
            if self._receive("helper") != READY:
                raise MountError("helper", "it did not say that it is ready")

    def share(self, directory: Path) -> None:
        self._ask(directory, "share", self._there(directory))

    def attach_image(self, image: Path, target: Path) -> None:
        self._ask(target, "attach_image", self._there(image), self._there(target))

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        self._ask(
            target,
            "mount_overlay",
            [self._there(lower) for lower in lowers],
            None if upper is None else self._there(upper),
            None if work is None else self._there(work),
            self._there(target),
            swap_uid,
        )

    def bind(self, source: Path, target: Path) -> None:
        self._ask(target, "bind", self._there(source), self._there(target))

    def unmount(self, target: Path) -> None:
        self._ask(target, "unmount", self._there(target))

    def opaque_directories(self, upper: Path) -> list[bytes]:
        return [os.fsencode(path) for path in self._ask(upper, "opaque_directories", self._there(upper))]

    def set_opaque(self, upper: Path, directories: Sequence[bytes]) -> None:
        self._ask(upper, "set_opaque", self._there(upper), [os.fsdecode(path) for path in directories])

    def discard(self, directory: Path) -> None:
        self._ask(directory, "discard", self._there(directory))

    def trim(self, mounted_image: Path) -> None:
        self._ask(mounted_image, "trim", self._there(mounted_image))

    def probe(self) -> dict[str, bool]:
        """What the host has, see `privileged.probe`."""
        return dict(self._ask(Path("helper"), "probe"))

    def close(self) -> None:
        """End the service. Mounts stay. Idempotent."""
        with self._lock:
            self._lost = self._lost or "it was closed"
            for stream in (self._requests, self._answers):
                stream.close()

    def _there(self, path: Path) -> str:
        for here, there in self._places:
            if path == here or here in path.parents:
                return os.fspath(there / path.relative_to(here))
        raise MountError(os.fspath(path), "the mount helper does not have this directory")

    def _ask(self, target: Path, operation: str, *arguments: Any) -> Any:
        line = json.dumps({"do": operation, "with": arguments}).encode() + b"\n"
        with self._lock:
            if self._lost:
                raise MountError(os.fspath(target), f"the mount helper is gone: {self._lost}")
            try:
                self._requests.write(line)
                self._requests.flush()
            except OSError as error:
                self._lost = str(error.strerror or error)
                raise MountError(os.fspath(target), f"the mount helper is gone: {self._lost}") from error
            return self._receive(os.fspath(target))

    def _receive(self, target: str) -> Any:
        """Preconditions: the caller holds the lock and asked for one answer."""
        try:
            line = self._answers.readline(MAX_ANSWER_BYTES)
            answer = json.loads(line) if line.endswith(b"\n") else None
            if isinstance(answer, dict) and "ok" in answer:
                return answer["ok"]
            if isinstance(answer, dict) and isinstance(answer.get("error"), str):
                raise MountError(target, answer["error"], answer.get("errno"))
            self._lost = "it ended" if not line else "it said what is no answer"
        except (OSError, ValueError) as error:
            self._lost = str(error)
        raise MountError(target, f"the mount helper is gone: {self._lost}")
