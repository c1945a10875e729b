"""The mount helper's program: one JSON request a line on stdin, one JSON answer a line on stdout, in order.

    {"do": "unmount", "with": ["/store/mnt/slots/x"]}     ->  {"ok": null}
    {"do": "trim", "with": ["/store/mnt/volumes/x"]}      ->  {"errno": 2, "error": "No such file or directory"}

It runs as root in a container of its own and ends when its stdin does. Run as `python3 -I FILE STORE [BASE...]`,
where FILE is a zip of `PARTS`: all of them need the standard library only. Rules: every path must lie below
STORE, be absolute and lead through no link; only the layers of an overlay may also be a BASE itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final

from sandbox.workspace import kernel, loopback, privileged

PARTS: Final = ("__init__", "workspace/__init__", *(f"workspace/{n}" for n in ("kernel", "loopback", "privileged")))
"""Modules of the package `sandbox` that this one needs."""

READY: Final = "ready"
MAX_REQUEST_BYTES: Final = 1 << 20


class RefusedError(Exception):
    """A request that is not one of ours."""


class Operations:
    """What may be asked for. The methods are the operations; see `mounting.Mounter`."""

    def __init__(self, store: str, bases: Sequence[str]) -> None:
        self._store = os.path.realpath(store)
        self._bases = frozenset(os.path.realpath(base) for base in bases)

    def _inside(self, path: object) -> str:
        if not isinstance(path, str) or "\0" in path or not path.startswith(self._store + "/"):
            raise RefusedError("a path outside the store")
        if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path) or os.path.basename(path) in (
            "",
            ".",
            "..",
        ):
            raise RefusedError("a path that leads through a link")
        return path

    def _layer(self, path: object) -> str:
        return path if isinstance(path, str) and path in self._bases else self._inside(path)

    def share(self, directory: object) -> None:
        """Inside a container nothing can be made shared for the host: it has to be already."""
        around = kernel.mount_around(self._inside(directory))
        if around is None or not around.shared:
            raise RefusedError("the store is on a private mount of the host; `mount --make-rshared /` changes that")

    def attach_image(self, image: object, target: object) -> None:
        loopback.attach_image(self._inside(image), self._inside(target))

    def mount_overlay(self, lowers: object, upper: object, work: object, target: object, swap: object) -> None:
        if not isinstance(lowers, list):
            raise RefusedError("lowers is not a list")
        ids = None
        if swap is not None:
            if not isinstance(swap, list) or len(swap) != 3 or not all(type(number) is int for number in swap):
                raise RefusedError("swap is not three numbers")
            ids = (swap[0], swap[1], swap[2])
        above = None if upper is None else self._inside(upper)
        beside = None if work is None else self._inside(work)
        privileged.mount_overlay([self._layer(path) for path in lowers], above, beside, self._inside(target), ids)

    def bind(self, source: object, target: object) -> None:
        kernel.bind(self._inside(source), self._inside(target))

    def unmount(self, target: object) -> None:
        kernel.unmount(self._inside(target))

    def opaque_directories(self, upper: object) -> list[str]:
        return [os.fsdecode(path) for path in privileged.opaque_directories(self._inside(upper))]

    def set_opaque(self, upper: object, directories: object) -> None:
        if not isinstance(directories, list) or not all(isinstance(path, str) for path in directories):
            raise RefusedError("directories is not a list of paths")
        privileged.set_opaque(self._inside(upper), [os.fsencode(path) for path in directories])

    def discard(self, directory: object) -> None:
        privileged.discard(self._inside(directory))

    def trim(self, mounted: object) -> None:
        loopback.trim(self._inside(mounted))

    def probe(self) -> dict[str, bool]:
        return privileged.probe()


_NAMES: Final = frozenset(name for name in vars(Operations) if not name.startswith("_"))


def answer(operations: Operations, line: bytes) -> dict[str, Any]:
    """The answer to one request; never raises for what a request says."""
    try:
        request = json.loads(line)
        name, arguments = request["do"], request["with"]
        if name not in _NAMES or not isinstance(arguments, list):
            raise RefusedError("not an operation")
        method: Callable[..., object] = getattr(operations, name)
        return {"ok": method(*arguments)}
    except OSError as error:
        return {"errno": error.errno, "error": error.strerror or str(error)}
    except (RefusedError, ValueError, KeyError, TypeError) as error:
        return {"errno": None, "error": f"refused: {error}"}


def serve(operations: Operations, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end."""
    _say(answers, {"ok": READY})
    while line := requests.readline(MAX_REQUEST_BYTES):
        _say(answers, answer(operations, line))


def _say(answers: BinaryIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    serve(Operations(sys.argv[1], sys.argv[2:]), sys.stdin.buffer, sys.stdout.buffer)
