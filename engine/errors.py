"""The error tree of `engine`: one class per decision a caller can take; facts are attributes.

EngineError
├── PlanError                   the plan (or another input file) is wrong; lists every fault found
├── NotFoundError               no execution, step, checkpoint or file goes by this name
├── SecretTooShortError         a secret's value could not be masked in output
├── CheckpointNameError         a checkpoint cannot be given this name
├── WrongStateError             the verb is not allowed in this state
├── IllegalTransitionError      a state machine was asked for a move its table does not have (a bug)
├── RequestReusedError          a request's id was used before, for something else
├── ExecutionLockedError        another live process works on this execution (retryable)
├── QueueFullError              too many executions wait for their turn (retryable)
├── EngineClosingError          this process takes no more executions on; another one will (retryable)
├── ApplyConflictError          the user's files are no longer what the execution started from
├── ApplyRefusedError           the difference has entries that are not applied without being named
├── ApplyInterruptedError       an earlier apply was cut short and could not be finished or undone
├── BackupCorruptError          what an apply replaced is not there any more, or damaged
├── JournalCorruptError         the journal's file is damaged
├── JournalVersionError         the journal was written by another version
└── EnvironmentUnfitError       this machine cannot do it (no engine, no image, no right)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class EngineError(Exception):
    """Root of all errors raised by `engine`."""

    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in an input file: where (1-based), which key, what, and what would be right."""

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.file}:{self.line}:{self.column}: {self.key}: {self.message}"
            if self.key
            else (f"{self.file}:{self.line}:{self.column}: {self.message}")
        )
        return f"{text} ({self.hint})" if self.hint else text


class PlanError(EngineError):
    """An input file is wrong. `faults` holds everything found, in file order, at least one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class NotFoundError(EngineError):
    """Nothing of `kind` is called `name`; `near` are names that exist and look alike.

    message: what is told instead, where nothing was called by a name.
    """

    def __init__(self, kind: str, name: str, near: Sequence[str] = (), *, message: str = "") -> None:
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        super().__init__(message or f"no {kind} is called {name!r}{hint}")
        self.kind = kind
        self.name = name
        self.near = tuple(near)


class SecretTooShortError(EngineError):
    """The value of secret `name` has fewer than `least_bytes`: masking it would ruin ordinary text."""

    def __init__(self, name: str, least_bytes: int) -> None:
        super().__init__(f"secret {name} is shorter than {least_bytes} bytes and could not be masked")
        self.name = name
        self.least_bytes = least_bytes


class CheckpointNameError(EngineError):
    """A checkpoint cannot be called `name`; `reason` says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"checkpoint name {name!r} {reason}")
        self.name = name
        self.reason = reason


class WrongStateError(EngineError):
    """`verb` is not allowed while execution `execution_id` is `state`; `allowed` are the states it needs."""

    def __init__(self, verb: str, execution_id: str, state: str, allowed: Sequence[str]) -> None:
        super().__init__(f"cannot {verb} {execution_id}: it is {state}, not {' or '.join(allowed)}")
        self.verb = verb
        self.execution_id = execution_id
        self.state = state
        self.allowed = tuple(allowed)


class IllegalTransitionError(EngineError):
    """The table has no move from `start` to `finish` for `subject`."""

    def __init__(self, subject: str, start: str, finish: str) -> None:
        super().__init__(f"{subject} cannot go from {start} to {finish}")
        self.subject = subject
        self.start = start
        self.finish = finish


class RequestReusedError(EngineError):
    """The request `request_id` took effect before, on `execution_id`, and was not this one."""

    def __init__(self, request_id: str, execution_id: str) -> None:
        super().__init__(f"request {request_id} was used before, for something else (execution {execution_id})")
        self.request_id = request_id
        self.execution_id = execution_id


class ExecutionLockedError(EngineError):
    """Another live process (pid `owner`, 0 when unknown) works on this execution."""

    retryable: ClassVar[bool] = True

    def __init__(self, execution_id: str, owner: int) -> None:
        super().__init__(f"execution {execution_id} is in use by process {owner or 'unknown'}")
        self.execution_id = execution_id
        self.owner = owner


class QueueFullError(EngineError):
    """`limit` executions wait for their turn already; try again when some have run."""

    retryable: ClassVar[bool] = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} executions are waiting already")
        self.limit = limit


class EngineClosingError(EngineError):
    """The engine is closing, for `reason`: it starts and resumes nothing any more."""

    retryable: ClassVar[bool] = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing is started any more: {reason}")
        self.reason = reason


class ApplyConflictError(EngineError):
    """Nothing was written: each of `conflicts` (path, reason) changed since the execution started."""

    def __init__(self, conflicts: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            "the project changed since the execution started:\n"
            + "\n".join(f"  {path}: {reason}" for path, reason in conflicts)
        )
        self.conflicts = tuple(conflicts)


class ApplyRefusedError(EngineError):
    """Nothing was written: each of `entries` (path, reason) needs to be allowed by name, or cannot be applied."""

    def __init__(self, entries: Sequence[tuple[str, str]]) -> None:
        super().__init__(
            "nothing was applied: these have to be named with --allow, or cannot be applied at all:\n"
            + "\n".join(f"  {path}: {reason}" for path, reason in entries)
        )
        self.entries = tuple(entries)


class ApplyInterruptedError(EngineError):
    """An apply was cut short and can be neither finished nor undone; `reason` and `path` say why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class BackupCorruptError(EngineError):
    """The kept content with sha256 `digest` cannot be restored."""

    def __init__(self, digest: str, reason: str) -> None:
        super().__init__(f"the backup {digest} cannot be restored: {reason}")
        self.digest = digest
        self.reason = reason


class JournalCorruptError(EngineError):
    """The journal at `path` is damaged; `advice` says what to do."""

    def __init__(self, path: str, reason: str, advice: str) -> None:
        super().__init__(f"{path} is damaged: {reason}; {advice}")
        self.path = path
        self.reason = reason
        self.advice = advice


class JournalVersionError(EngineError):
    """The journal has schema `found`; this version reads `known`."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(f"{path} has schema version {found}, this version of sandstone knows {known}")
        self.path = path
        self.found = found
        self.known = known


class EnvironmentUnfitError(EngineError):
    """This machine cannot do it; `fix` says in one line what would help."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}; {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix
