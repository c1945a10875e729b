"""How a run ended, and telling it: one JSON object, or a summary with what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.cli.escape import one_line
from engine.cli.failures import message_of
from engine.cli.output import Output
from engine.cli.shapes import error_json, outcome_json
from engine.cli.summary import STATE_STYLE, end_text, headline, next_commands, step_counts
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, StepRecord
from sandbox.workspace.changes import Change

if TYPE_CHECKING:
    from engine.checkpoints.apply import ApplyReport
    from engine.checkpoints.render import DiffStat


MAX_LISTED: Final = 30
"""Changed files that a summary lists; `diff --stat` lists all."""


@dataclass(slots=True)
class Outcome:
    """What there is to tell.

    stat: counts of lines, where a summary needs them. changes_error: why `changes` could not be found out.
    At most one of `applied` and `apply_error` is set.
    """

    record: ExecutionRecord
    steps: Sequence[StepRecord]
    checkpoints: Sequence[CheckpointRecord]
    changes: Sequence[Change] = ()
    stat: DiffStat | None = None
    changes_error: Exception | None = None
    applied: ApplyReport | None = None
    apply_error: Exception | None = None


def tell(output: Output, outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Print the outcome: the object, or the id alone (and why it failed, on standard error), or the summary."""
    if as_json:
        output.result_json(_shape(outcome))
        return
    if quiet:
        output.result(outcome.record.id)
        why = end_text(outcome.record)
        if why:
            output.error(why)
        return
    _summarize(output, outcome)


def _shape(outcome: Outcome) -> dict[str, Any]:
    shape = outcome_json(outcome.record, outcome.steps, outcome.changes)
    shape["applied"] = outcome.applied is not None
    if outcome.changes_error is not None:
        shape["changes"] = None
    for name, error in (("changes_error", outcome.changes_error), ("apply_error", outcome.apply_error)):
        if error is not None:
            shape[name] = {"message": message_of(error), **error_json(error)}
    return shape


def _summarize(output: Output, outcome: Outcome) -> None:
    record = outcome.record
    state, rest = headline(record)
    output.result(f"{output.styled(state, STATE_STYLE[record.state])} {rest}")
    output.result(f"  {step_counts(outcome.steps)}")
    if outcome.stat is not None:
        from engine.cli.difference import show_stat

        show_stat(output, outcome.changes, outcome.stat, MAX_LISTED, indent="  ")
    if outcome.applied is not None:
        output.result(f"  applied to {one_line(record.workspace)}")
    branches = [point for point in outcome.checkpoints if point.kind is CheckpointKind.FAILED]
    commands = next_commands(record, bool(outcome.changes), outcome.applied is not None, branches)
    width = max((len(command) for command, _ in commands), default=0)
    for command, purpose in commands:
        output.note(f"  {output.styled_err(command.ljust(width), 'bold')}  {purpose}")
