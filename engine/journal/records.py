"""Rows of the journal as the rest of the engine sees them. Pure records; JSON values where it says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.layer import LayerName


class CheckpointKind(StrEnum):
    """automatic: start and after each step. manual: named by a person. recovery: where an interrupted
    execution was found. failed: what a failed attempt changed; never a head, readable until gc."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    RECOVERY = "recovery"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One run of a plan. The plan's text is apart, because it is long and few want it: `Journal.plan`.

    id: 32 hex digits. head: id of the checkpoint that the next step starts from. start_ns: wall clock in ns
    before anything was read from the workspace; of a fork, its origin's. workspace_dev/inode: identity of the
    directory. reason: why it is paused, failed or cancelled, for people. image_id: digest of the image the steps run
    in. forked_from: `<execution>:<checkpoint>` that a fork started from, else "".
    """

    id: str
    name: str
    state: ExecutionState
    plan_digest: str
    workspace: str
    workspace_dev: int
    workspace_inode: int
    start_ns: int
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    head: str = "c0"
    image_id: str = ""
    reason: str = ""
    lease: str = ""
    last_sequence: int = 0
    forked_from: str = ""
    run_ms: int = 0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of an execution and its latest outcome.

    findings: list of Finding as JSON. tests: JUnit totals and failed cases as JSON, or None. checkpoint: id of
    the checkpoint it left. duration_ms: of the last attempt. overhead_ms: that less the time that the attempt's
    own process ran. stdout_tail, stderr_tail: at most 4 KiB each, masked, any bytes.
    """

    execution_id: str
    index: int
    id: str
    type: str
    state: StepState = StepState.PENDING
    attempts: int = 0
    exit_code: int | None = None
    verdict: str | None = None
    detail: str = ""
    duration_ms: float | None = None
    overhead_ms: float | None = None
    checkpoint: str | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    tests: dict[str, Any] | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    stdout_tail: bytes = b""
    stderr_tail: bytes = b""


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """A named node of the tree of layers.

    id: `c<number>`, unique in its execution. layer: None for the base itself. parent: id, None for the start.
    """

    execution_id: str
    number: int
    name: str
    kind: CheckpointKind
    layer: LayerName | None
    parent: str | None
    step_id: str | None
    create_time: datetime

    @property
    def id(self) -> str:
        return f"c{self.number}"

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind.value,
            "layer": self.layer,
            "parent": self.parent,
            "step_id": self.step_id,
            "time": self.create_time.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller named so that asking twice does it once.

    id: the caller's own, unique for ever as far as it is concerned. digest: of everything that was asked for.
    """

    id: str
    verb: str
    digest: str


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that took effect, and on which execution. result: what the verb returned, in its own form."""

    id: str
    verb: str
    digest: str
    execution_id: str
    result: str
    create_time: datetime
