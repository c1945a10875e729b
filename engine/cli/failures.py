"""Errors as people should read them: what is wrong, and what to type or change. Pure; everything is escaped."""

from __future__ import annotations

import traceback
from typing import Final

from engine import errors as engine_errors
from engine.cli.escape import block, one_line
from engine.cli.exits import SignalledError, UsageError
from sandbox import errors as sandbox_errors

KNOWN = (UsageError, engine_errors.EngineError, sandbox_errors.SandboxError, OSError)
"""Errors that are outcomes; any other exception is a fault of sandstone's own."""


_WHERE_TO_LOOK: Final = {
    "apply to undo": "see what was applied and undone with `sandstone events {}`",
    "earlier checkpoint": "name another checkpoint with --to; `sandstone checkpoints {}` lists them",
}
"""By what was not found of the execution that the error names."""


def message_of(error: BaseException) -> str:
    """What is wrong, safe to print; several lines where the error lists several things."""
    if isinstance(error, sandbox_errors.SetupFailedError):
        return block(f"{error}\n{_indented(error.output_tail)}".rstrip())
    if isinstance(error, sandbox_errors.ImageBuildError):
        return block(f"{error.stage}: {error.reason}\n{_indented(error.output_tail)}".rstrip())
    if isinstance(error, OSError):
        where = f"{one_line(str(error.filename))}: " if error.filename is not None else ""
        return f"{where}{one_line(error.strerror or str(error) or type(error).__name__)}"
    if isinstance(error, (*KNOWN, SignalledError)):
        if isinstance(error, engine_errors.EnvironmentUnfitError):
            return block(error.reason)
        return block(str(error))
    lines = "".join(traceback.format_exception(error))
    return block(f"this is a fault of sandstone itself:\n{_indented(lines)}".rstrip())


def hint_of(error: BaseException) -> str:
    """What would help, or nothing."""
    if isinstance(error, UsageError):
        return block(error.hint)
    if isinstance(error, engine_errors.EnvironmentUnfitError | sandbox_errors.ImageBuildError):
        return block(error.fix)
    if isinstance(error, engine_errors.NotFoundError) and error.kind in _WHERE_TO_LOOK:
        return block(_WHERE_TO_LOOK[error.kind].format(error.name))
    if isinstance(error, engine_errors.ApplyConflictError):
        return "run the plan again over the changed project, or apply --force (what it replaces is kept)"
    if isinstance(error, engine_errors.ApplyRefusedError):
        return "look at each with `sandstone diff`, then name what you want with --allow PATTERN"
    if isinstance(error, engine_errors.ExecutionLockedError):
        return "wait for the other process, or stop it"
    if isinstance(error, engine_errors.QueueFullError):
        return "try again when some of them have run, or cancel some"
    if isinstance(error, sandbox_errors.SandboxUnavailableError | sandbox_errors.MountError):
        return "see what is missing with `sandstone doctor`"
    if isinstance(error, sandbox_errors.ImageNotFoundError):
        return "build the default image with `sandstone image build`, or pull the image yourself: steps never do"
    if isinstance(error, sandbox_errors.TreeRefusedError) and "is mounted below" in error.reason:
        return "name a directory without it with -w, or unmount it; a state directory in the project: --home elsewhere"
    if isinstance(error, sandbox_errors.HostDiskFullError):
        return "make room with `sandstone gc`, or ask for less with `sandbox: {disk: ...}`"
    if isinstance(error, sandbox_errors.StoreBusyError):
        return "try again in a moment"
    return ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
