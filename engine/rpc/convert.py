"""Records of the engine as messages of the protocol, and back. Pure; this and `plans.py` know both.

A state, kind or verdict that the table does not have raises: a new value must not become a wrong old one.
Text that is not UTF-8 and must be sent as `string` has U+FFFD for what is not; paths are sent as bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from engine._gen.sandstone.v1 import checkpoint_service_pb2 as checkpoint_pb
from engine._gen.sandstone.v1 import execution_pb2 as pb
from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine.checkpoints.apply import ApplyReport
from engine.checkpoints.planning import Note, NoteKind
from engine.checkpoints.render import FileStat
from engine.checkpoints.swapping import Stayed
from engine.events.types import OutputChunk
from engine.execution.control import PauseMode
from engine.execution.decide import Progress, StepUsage
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from engine.rpc.times import ms_to_duration, to_datetime, to_ms, to_timestamp
from sandbox.spec import Stream, Verdict
from sandbox.workspace.changes import Change, ChangeKind
from sandbox.workspace.layer import LayerName
from sandbox.workspace.manifest import Entry

E = TypeVar("E", bound=StrEnum)


def _table(kinds: type[E], wire: Any, prefix: str) -> dict[E, int]:
    """Each member with its value on the wire; a member that the protocol lacks is an error at import."""
    return {member: wire.Value(f"{prefix}_{member.value.upper().replace('-', '_')}") for member in kinds}


EXECUTION_STATES: Final = _table(ExecutionState, pb.ExecutionState, "EXECUTION_STATE")
STEP_STATES: Final = _table(StepState, pb.StepState, "STEP_STATE")
VERDICTS: Final = _table(Verdict, pb.Verdict, "VERDICT")
CHECKPOINT_KINDS: Final = _table(CheckpointKind, pb.CheckpointKind, "CHECKPOINT_KIND")
CHANGE_KINDS: Final = _table(ChangeKind, checkpoint_pb.ChangeKind, "CHANGE_KIND")
STREAMS: Final = _table(Stream, service_pb.OutputStream, "OUTPUT_STREAM")
PAUSE_MODES: Final = _table(PauseMode, service_pb.PauseMode, "PAUSE_MODE")


def member_of(table: Mapping[E, int], value: int) -> E:
    """The member with this value on the wire. Raises ValueError: the table has none."""
    for member, number in table.items():
        if number == value:
            return member
    raise ValueError(f"{value} is no value that this version knows")


def verdict_value(verdict: str | None) -> Any:
    """A verdict as the journal has it."""
    return VERDICTS[Verdict(verdict)] if verdict else pb.VERDICT_UNSPECIFIED


def verdict_text(value: int) -> str | None:
    """The way back."""
    return None if value == pb.VERDICT_UNSPECIFIED else member_of(VERDICTS, value).value


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


# -- executions and steps --------------------------------------------------------------------------------------------


def execution_message(record: ExecutionRecord) -> pb.Execution:
    return pb.Execution(
        execution_id=record.id,
        name=_text(record.name),
        state=EXECUTION_STATES[record.state],  # type: ignore[arg-type]
        reason=_text(record.reason),
        workspace=_text(record.workspace),
        head_checkpoint_id=record.head,
        plan_digest=record.plan_digest,
        image_id=record.image_id,
        forked_from=record.forked_from,
        create_time=to_timestamp(record.create_time),
        start_time=to_timestamp(record.start_time),
        end_time=to_timestamp(record.end_time),
        run_duration=ms_to_duration(record.run_ms),
        last_sequence=record.last_sequence,
    )


def execution_record(message: pb.Execution) -> ExecutionRecord:
    """What the wire carries of a record; the plan, the lease and the directory's identity stay with the controller."""
    return ExecutionRecord(
        id=message.execution_id,
        name=message.name,
        state=member_of(EXECUTION_STATES, message.state),
        plan_digest=message.plan_digest,
        workspace=message.workspace,
        workspace_dev=0,
        workspace_inode=0,
        start_ns=0,
        create_time=to_datetime(message.create_time),
        start_time=to_datetime(message.start_time) if message.HasField("start_time") else None,
        end_time=to_datetime(message.end_time) if message.HasField("end_time") else None,
        head=message.head_checkpoint_id,
        image_id=message.image_id,
        reason=message.reason,
        last_sequence=message.last_sequence,
        forked_from=message.forked_from,
        run_ms=round(to_ms(message.run_duration)),
    )


def step_message(step: StepRecord) -> pb.StepStatus:
    return pb.StepStatus(
        step_id=step.id,
        index=step.index,
        type=step.type,
        state=STEP_STATES[step.state],  # type: ignore[arg-type]
        attempt_count=step.attempts,
        exit_code=step.exit_code,
        verdict=verdict_value(step.verdict),
        detail=_text(step.detail),
        duration=ms_to_duration(step.duration_ms),
        overhead=ms_to_duration(step.overhead_ms),
        checkpoint_id=step.checkpoint or "",
        findings=[_finding(finding) for finding in step.findings],
        tests=None if step.tests is None else tests_message(step.tests),
        usage=usage_message(step.usage) if step.usage else None,
        stdout_tail=step.stdout_tail,
        stderr_tail=step.stderr_tail,
    )


def step_record(execution_id: str, message: pb.StepStatus) -> StepRecord:
    return StepRecord(
        execution_id=execution_id,
        index=message.index,
        id=message.step_id,
        type=message.type,
        state=member_of(STEP_STATES, message.state),
        attempts=message.attempt_count,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        verdict=verdict_text(message.verdict),
        detail=message.detail,
        duration_ms=to_ms(message.duration) if message.HasField("duration") else None,
        overhead_ms=to_ms(message.overhead) if message.HasField("overhead") else None,
        checkpoint=message.checkpoint_id or None,
        findings=[_finding_json(finding) for finding in message.findings],
        tests=tests_json(message.tests) if message.HasField("tests") else None,
        usage=usage_json(message.usage) if message.HasField("usage") else {},
        stdout_tail=message.stdout_tail,
        stderr_tail=message.stderr_tail,
    )


def usage_message(usage: Mapping[str, Any]) -> pb.ResourceUsage:
    """From the JSON of a step's row; absent where it says nothing."""
    return pb.ResourceUsage(
        cpu_time=ms_to_duration(usage.get("cpu_ms")),
        memory_peak_bytes=usage.get("memory_peak_bytes"),
        output_bytes=usage.get("output_bytes"),
        disk_bytes=usage.get("disk_bytes"),
    )


def usage_json(message: pb.ResourceUsage) -> dict[str, Any]:
    """The way back."""
    return {
        "cpu_ms": to_ms(message.cpu_time) if message.HasField("cpu_time") else None,
        **{
            name: getattr(message, name) if message.HasField(name) else None
            for name in ("memory_peak_bytes", "output_bytes", "disk_bytes")
        },
    }


def progress_message(progress: Progress) -> pb.Progress:
    return pb.Progress(
        execution_id=progress.execution_id,
        state=EXECUTION_STATES[progress.state],  # type: ignore[arg-type]
        done_step_count=progress.done,
        total_step_count=progress.total,
        current_step_id=progress.step_id or "",
        attempt=progress.attempt,
        elapsed=ms_to_duration(progress.elapsed_ms),
        estimated_remaining=ms_to_duration(progress.estimate_ms),
        queue_position=progress.position or 0,
        output_bytes=progress.output_bytes,
        current_usage=None if progress.usage is None else usage_message(asdict(progress.usage)),
    )


def progress_record(message: pb.Progress) -> Progress:
    return Progress(
        execution_id=message.execution_id,
        state=member_of(EXECUTION_STATES, message.state),
        done=message.done_step_count,
        total=message.total_step_count,
        step_id=message.current_step_id or None,
        attempt=message.attempt,
        elapsed_ms=to_ms(message.elapsed),
        estimate_ms=to_ms(message.estimated_remaining) if message.HasField("estimated_remaining") else None,
        position=message.queue_position or None,
        output_bytes=message.output_bytes,
        usage=StepUsage(**usage_json(message.current_usage)) if message.HasField("current_usage") else None,
    )


# -- findings and tests ----------------------------------------------------------------------------------------------

_FINDING_TEXTS: Final = ("rule", "severity", "message", "check", "category", "help_url", "fingerprint", "reference")
_FINDING_NUMBERS: Final = ("line", "column", "end_line", "end_column")


def _finding(finding: Mapping[str, Any]) -> pb.Finding:
    fix = finding.get("fix")
    message = pb.Finding(file=os.fsencode(finding.get("file", "")), fix=None if fix is None else _fix(fix))
    for name in _FINDING_TEXTS:
        setattr(message, name, _text(finding.get(name, "")))
    for name in _FINDING_NUMBERS:
        setattr(message, name, finding.get(name, 0))
    return message


def _fix(fix: Mapping[str, Any]) -> pb.Fix:
    edits = [pb.Edit(**{**edit, "content": _text(edit["content"])}) for edit in fix["edits"]]
    return pb.Fix(edits=edits, applicability=fix["applicability"], message=_text(fix["message"]))


def _finding_json(message: pb.Finding) -> dict[str, Any]:
    fix = None
    if message.HasField("fix"):
        names = (*_FINDING_NUMBERS, "content")
        fix = {
            "edits": [{name: getattr(edit, name) for name in names} for edit in message.fix.edits],
            "applicability": message.fix.applicability,
            "message": message.fix.message,
        }
    texts = {name: getattr(message, name) for name in (*_FINDING_TEXTS, *_FINDING_NUMBERS)}
    return {**texts, "file": os.fsdecode(message.file), "fix": fix}


def check_messages(results: Sequence[Mapping[str, Any]]) -> list[pb.CheckResult]:
    """From the JSON of `CheckResult.to_json`; older journals have neither `fails_on` nor `cut`."""
    return [
        pb.CheckResult(
            check=result["check"],
            status=result["status"],
            finding_count=result["findings"],
            note=_text(result["note"]),
            file_count=result["files"],
            fails_on=result.get("fails_on", ""),
            cut=result.get("cut", False),
        )
        for result in results
    ]


def check_results(messages: Sequence[pb.CheckResult]) -> list[dict[str, Any]]:
    """The way back."""
    return [
        {
            "check": message.check,
            "status": message.status,
            "findings": message.finding_count,
            "note": message.note,
            "files": message.file_count if message.HasField("file_count") else None,
            "fails_on": message.fails_on,
            "cut": message.cut,
        }
        for message in messages
    ]


_TEST_COUNTS: Final = {
    "tests": "test_count",
    "passed": "passed_count",
    "failures": "failure_count",
    "errors": "error_count",
    "skipped": "skipped_count",
    "left_out": "left_out_count",
}
_CASE_TEXTS: Final = ("name", "classname", "file", "outcome", "message")


def tests_message(tests: Mapping[str, Any]) -> pb.TestReport:
    """From the JSON of a step's row, or of an event, which has totals only."""
    failed = [
        pb.TestCase(**{name: _text(str(case.get(name, ""))) for name in _CASE_TEXTS}, line=case.get("line", 0))
        for case in tests.get("failed", ())
    ]
    counts = {field: tests.get(name) or 0 for name, field in _TEST_COUNTS.items()}
    return pb.TestReport(**counts, duration=ms_to_duration(tests.get("duration_ms")), failed=failed)


def tests_json(message: pb.TestReport) -> dict[str, Any]:
    """The way back."""
    return {
        **{name: getattr(message, field) for name, field in _TEST_COUNTS.items()},
        "duration_ms": to_ms(message.duration),
        "failed": [
            {**{name: getattr(case, name) for name in _CASE_TEXTS}, "line": case.line} for case in message.failed
        ],
    }


# -- checkpoints, changes, applies -----------------------------------------------------------------------------------


def checkpoint_message(record: CheckpointRecord) -> pb.Checkpoint:
    return pb.Checkpoint(
        checkpoint_id=record.id,
        name=_text(record.name),
        kind=CHECKPOINT_KINDS[record.kind],  # type: ignore[arg-type]
        parent_checkpoint_id=record.parent or "",
        step_id=record.step_id or "",
        create_time=to_timestamp(record.create_time),
    )


def checkpoint_record(execution_id: str, message: pb.Checkpoint, layer: LayerName | None = None) -> CheckpointRecord:
    """What the wire carries of a record; which layer it names stays with the controller."""
    return CheckpointRecord(
        execution_id=execution_id,
        number=int(message.checkpoint_id.removeprefix("c")),
        name=message.name,
        kind=member_of(CHECKPOINT_KINDS, message.kind),
        layer=layer,
        parent=message.parent_checkpoint_id or None,
        step_id=message.step_id or None,
        create_time=to_datetime(message.create_time),
    )


def change_message(change: Change, stat: FileStat | None = None) -> checkpoint_pb.PathChange:
    return checkpoint_pb.PathChange(
        path=change.path,
        kind=CHANGE_KINDS[change.kind],  # type: ignore[arg-type]
        old_entry=_entry(change.old),
        new_entry=_entry(change.new),
        added_line_count=None if stat is None else stat.added,
        removed_line_count=None if stat is None else stat.removed,
    )


def _entry(entry: Entry | None) -> checkpoint_pb.PathEntry | None:
    if entry is None:
        return None
    return checkpoint_pb.PathEntry(
        kind=entry.kind.value, mode=entry.mode, size_bytes=entry.size, sha256=entry.digest, target=entry.target
    )


def note_message(path: bytes, text: str, kind: str = "") -> checkpoint_pb.PathNote:
    return checkpoint_pb.PathNote(path=path, text=_text(text), kind=kind)


def report_message(report: ApplyReport) -> checkpoint_pb.ApplyReport:
    return checkpoint_pb.ApplyReport(
        apply_id=report.id or "",
        project=_text(os.fspath(report.project)),
        added_paths=report.added,
        modified_paths=report.modified,
        deleted_paths=report.deleted,
        notes=[note_message(note.path, note.text, note.kind.value) for note in report.notes],
        stayed=[note_message(stayed.path, stayed.reason) for stayed in report.stayed],
    )


def apply_report(message: checkpoint_pb.ApplyReport, *, dry_run: bool) -> ApplyReport:
    return ApplyReport(
        id=message.apply_id or None,
        project=Path(message.project),
        dry_run=dry_run,
        added=tuple(message.added_paths),
        modified=tuple(message.modified_paths),
        deleted=tuple(message.deleted_paths),
        notes=tuple(Note(NoteKind(note.kind), note.path, note.text) for note in message.notes),
        stayed=tuple(Stayed(stayed.path, stayed.text) for stayed in message.stayed),
    )


def output_message(chunk: OutputChunk) -> service_pb.OutputChunk:
    return service_pb.OutputChunk(
        step_id=chunk.step_id,
        attempt=chunk.attempt,
        stream=STREAMS[chunk.stream],  # type: ignore[arg-type]
        data=chunk.data,
    )


def output_chunk(execution_id: str, message: service_pb.OutputChunk) -> OutputChunk:
    return OutputChunk(execution_id, message.step_id, message.attempt, member_of(STREAMS, message.stream), message.data)
