"""The error tree of `sandbox`: one class per decision a caller can take.

Every class carries its facts as attributes and says in `retryable` whether doing the same
again, unchanged, can help. Messages are for people; code reads the attributes.

    SandboxError
    ├── SandboxUnavailableError      no sandbox could be had or it was lost; not the code's fault (retryable)
    │   ├── EngineUnreachableError   nothing answers on the engine's socket
    │   └── EngineTimeoutError       the engine did not answer a call in time
    ├── ImageNotFoundError           no local image has this name
    ├── ImageRefusedError            the image cannot be used safely (no /bin/sh, wrong platform, ...)
    ├── SpecRefusedError             a sandbox was asked for that policy or this host does not allow
    ├── ImageBuildError              the runner's image could not be made
    ├── SetupFailedError             the commands of `environment.setup` failed
    ├── LayerError
    │   ├── LayerNotFoundError       no layer has this key or name
    │   ├── LayerExistsError         the key or name is taken
    │   ├── LayerKindError           the layer is of the wrong kind for this (active, view, committed)
    │   ├── LayerInUseError          other layers or a mount stand on it
    │   └── LayerCorruptError        the layer on disk is not the layer that was committed
    ├── MountError                   the kernel refused a mount, or what it mounted is not what was asked
    ├── TreeRefusedError             a tree breaks a bound (depth, entries, kind of file) and is not read
    ├── PathRefusedError             a path leaves the workspace or goes through a link
    ├── StoreCorruptError            the rows that name the layers are damaged
    ├── StoreBusyError               another live process holds what is needed (retryable)
    └── HostDiskFullError            the host's disk has no room for what must be reserved
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar


class SandboxError(Exception):
    """Root of all errors raised by `sandbox`."""

    retryable: ClassVar[bool] = False


class SandboxUnavailableError(SandboxError):
    """No sandbox could be had, or a running one was lost through no act of its code."""

    retryable: ClassVar[bool] = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"sandbox unavailable: {reason}")
        self.reason = reason


class EngineUnreachableError(SandboxUnavailableError):
    """Nothing answers on the container engine's socket."""

    def __init__(self, socket_path: str, reason: str) -> None:
        super().__init__(f"the container engine does not answer on {socket_path}: {reason}")
        self.socket_path = socket_path


class EngineTimeoutError(SandboxUnavailableError):
    """The engine did not answer `call` within `limit`."""

    def __init__(self, call: str, limit: timedelta) -> None:
        super().__init__(f"the container engine did not answer {call} within {limit.total_seconds():g} s")
        self.call = call
        self.limit = limit


class ImageNotFoundError(SandboxError):
    """No local image has the name `image`; nothing is ever pulled for a step.

    `near` are names of local images that look alike.
    """

    def __init__(self, image: str, near: Sequence[str] = ()) -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"no local image is called {image!r}{hint}")
        self.image = image
        self.near = tuple(near)


class ImageRefusedError(SandboxError):
    """The image exists but cannot be used."""

    def __init__(self, image: str, reason: str) -> None:
        super().__init__(f"image {image!r} cannot be used: {reason}")
        self.image = image
        self.reason = reason


class SpecRefusedError(SandboxError):
    """Field `field` of a sandbox spec or request asks for something that is not allowed or not possible here."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ImageBuildError(SandboxError):
    """Making the runner's image failed at `stage`; `fix` says in one line what would help, if that is known.

    `output_tail` is the end of what the failing program printed, not escaped for a terminal.
    """

    def __init__(self, stage: str, reason: str, fix: str = "", output_tail: str = "") -> None:
        super().__init__(f"{stage}: {reason}; {fix}" if fix else f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason
        self.fix = fix
        self.output_tail = output_tail


class SetupFailedError(SandboxError):
    """Command number `index` (from 0) of an environment's set-up failed.

    exit_code: the command's own; None when it was stopped. reason: why it was stopped or killed, else empty.
    output_tail: the end of its output, not escaped for a terminal; its last line is part of the message.
    """

    def __init__(self, index: int, command: str, exit_code: int | None, output_tail: str, reason: str = "") -> None:
        how = reason or f"ended with exit code {exit_code}"
        lines = [line.strip() for line in output_tail.splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        super().__init__(f"environment.setup[{index}] ({command!r}) {how}{last}")
        self.index = index
        self.command = command
        self.exit_code = exit_code
        self.output_tail = output_tail
        self.reason = reason


class LayerError(SandboxError):
    """Root of the layer store's errors; `layer` is the key or name at fault."""

    def __init__(self, layer: str, message: str) -> None:
        super().__init__(f"layer {layer}: {message}")
        self.layer = layer


class LayerNotFoundError(LayerError):
    """No layer has this key or name."""

    def __init__(self, layer: str) -> None:
        super().__init__(layer, "does not exist")


class LayerExistsError(LayerError):
    """The key or name is taken."""

    def __init__(self, layer: str) -> None:
        super().__init__(layer, "exists already")


class LayerKindError(LayerError):
    """The operation needs another kind of layer."""


class LayerInUseError(LayerError):
    """Layers above it, or a mount, still need this layer."""


class LayerCorruptError(LayerError):
    """What is on disk is not what was committed; `reason` names the first difference."""

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(layer, f"is damaged: {reason}")
        self.reason = reason


class MountError(SandboxError):
    """The kernel refused a mount (`errno` set), or the mount read back differs from what was asked."""

    def __init__(self, target: str, reason: str, errno: int | None = None) -> None:
        super().__init__(f"mount at {target}: {reason}")
        self.target = target
        self.reason = reason
        self.errno = errno


class TreeRefusedError(SandboxError):
    """A tree breaks a bound and is not read; `path` is escaped for display."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class PathRefusedError(SandboxError):
    """`path` leaves the workspace, or goes through a link or something that is not a directory."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class StoreCorruptError(SandboxError):
    """The file at `path`, whose rows name the layers, is damaged; nothing was changed."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}; nothing was changed (see docs/recovery.md)")
        self.path = path
        self.reason = reason


class StoreBusyError(SandboxError):
    """Another live process holds what is needed."""

    retryable: ClassVar[bool] = True


class HostDiskFullError(SandboxError):
    """The host's disk cannot hold `needed_bytes` more for `purpose`."""

    def __init__(self, purpose: str, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(f"the host's disk has {free_bytes} bytes free, {needed_bytes} are needed for {purpose}")
        self.purpose = purpose
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
