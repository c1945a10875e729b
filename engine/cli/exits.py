"""Exit codes of the `sandstone` command: one table from error class to code, one from an execution's state.

A class without a row of its own has the row of its nearest base class. The codes are part of the contract with
scripts; their meaning is documented in docs/cli.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from engine import errors as engine_errors
from engine.journal.states import ExecutionState
from sandbox import errors as sandbox_errors


class Exit(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    FAILED = 1
    """The execution failed (a step, a check or the set-up), or `diff --exit-code` found differences."""
    USAGE = 2
    """Bad usage or a bad plan: asking the same again cannot work."""
    UNFIT = 3
    """The environment cannot do it (no engine, no image, no room, damaged state), or sandstone is at fault."""
    CANCELLED = 4
    """Cancelled or paused: the execution did not come to its own end."""
    CONFLICT = 5
    """Apply wrote nothing: the project changed meanwhile, or something must be allowed by name."""
    INTERRUPTED = 130
    """Ctrl-C, after a clean cancel; or at once, after a second signal."""


class UsageError(Exception):
    """The command line asks for something that cannot be; `hint` says what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SignalledError(Exception):
    """A signal ended the command before there was an outcome to tell; `exit` is what it ends with."""

    def __init__(self, exit: Exit) -> None:
        super().__init__("interrupted before there was an outcome")
        self.exit = exit


EXIT_OF: Final[Mapping[type[BaseException], Exit]] = MappingProxyType(
    {
        UsageError: Exit.USAGE,
        KeyboardInterrupt: Exit.INTERRUPTED,
        Exception: Exit.UNFIT,
        OSError: Exit.UNFIT,
        engine_errors.EngineError: Exit.UNFIT,
        engine_errors.PlanError: Exit.USAGE,
        engine_errors.NotFoundError: Exit.USAGE,
        engine_errors.SecretTooShortError: Exit.USAGE,
        engine_errors.CheckpointNameError: Exit.USAGE,
        engine_errors.WrongStateError: Exit.USAGE,
        engine_errors.IllegalTransitionError: Exit.UNFIT,
        engine_errors.RequestReusedError: Exit.USAGE,
        engine_errors.ExecutionLockedError: Exit.UNFIT,
        engine_errors.QueueFullError: Exit.UNFIT,
        engine_errors.EngineClosingError: Exit.UNFIT,
        engine_errors.ApplyConflictError: Exit.CONFLICT,
        engine_errors.ApplyRefusedError: Exit.CONFLICT,
        engine_errors.ApplyInterruptedError: Exit.UNFIT,
        engine_errors.BackupCorruptError: Exit.UNFIT,
        engine_errors.JournalCorruptError: Exit.UNFIT,
        engine_errors.JournalVersionError: Exit.UNFIT,
        engine_errors.EnvironmentUnfitError: Exit.UNFIT,
        sandbox_errors.SandboxError: Exit.UNFIT,
        sandbox_errors.SandboxUnavailableError: Exit.UNFIT,
        sandbox_errors.EngineUnreachableError: Exit.UNFIT,
        sandbox_errors.EngineTimeoutError: Exit.UNFIT,
        sandbox_errors.ImageNotFoundError: Exit.UNFIT,
        sandbox_errors.ImageRefusedError: Exit.UNFIT,
        sandbox_errors.SpecRefusedError: Exit.UNFIT,
        sandbox_errors.ImageBuildError: Exit.UNFIT,
        sandbox_errors.SetupFailedError: Exit.FAILED,
        sandbox_errors.LayerError: Exit.UNFIT,
        sandbox_errors.LayerNotFoundError: Exit.UNFIT,
        sandbox_errors.LayerExistsError: Exit.UNFIT,
        sandbox_errors.LayerKindError: Exit.UNFIT,
        sandbox_errors.LayerInUseError: Exit.UNFIT,
        sandbox_errors.LayerCorruptError: Exit.UNFIT,
        sandbox_errors.MountError: Exit.UNFIT,
        sandbox_errors.TreeRefusedError: Exit.UNFIT,
        sandbox_errors.PathRefusedError: Exit.USAGE,
        sandbox_errors.StoreCorruptError: Exit.UNFIT,
        sandbox_errors.StoreBusyError: Exit.UNFIT,
        sandbox_errors.HostDiskFullError: Exit.UNFIT,
    }
)

EXIT_OF_STATE: Final[Mapping[ExecutionState, Exit]] = MappingProxyType(
    {
        ExecutionState.COMPLETED: Exit.DONE,
        ExecutionState.FAILED: Exit.FAILED,
        ExecutionState.CANCELLED: Exit.CANCELLED,
        ExecutionState.PAUSED: Exit.CANCELLED,
        ExecutionState.IDLE: Exit.UNFIT,
        ExecutionState.RUNNING: Exit.UNFIT,
    }
)
"""How `run` and `resume` end. In `idle` and `running` they never should."""


def exit_of(error: BaseException) -> Exit:
    """The code for an error that ended the command."""
    if isinstance(error, SignalledError):
        return error.exit
    for kind in type(error).__mro__:
        if kind in EXIT_OF:
            return EXIT_OF[kind]
    return Exit.UNFIT
