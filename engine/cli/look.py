"""The commands that look at executions and change nothing: `status`, `progress`, `events`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from engine.cli.escape import json_text, one_line
from engine.cli.exits import Exit
from engine.cli.follow import EventFeed
from engine.cli.output import Output
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID, execution_json, step_json
from engine.cli.summary import STATE_STYLE, headline, origin_text, step_reason
from engine.cli.table import table
from engine.cli.timing import age_text, size_text, span_text
from engine.events.types import Event
from engine.execution.decide import Progress, StepUsage
from engine.journal.records import ExecutionRecord, StepRecord
from engine.journal.states import ENDED, StepState

if TYPE_CHECKING:
    from engine.journal.journal import Journal

FOLLOW_INTERVAL_S: Final = 0.2
"""How often `events --follow` looks into the journal, which other processes write."""

OVER: Final = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED})


async def status(session: Session) -> Exit:
    """`sandstone status [ID]`."""
    arguments, output = session.arguments, session.output
    async with session.open() as application:
        journal = application.journal
        if arguments.id is not None:
            record = _until_now(journal.find(arguments.id), journal)
            _show_one(output, record, journal.steps(record.id), arguments.json)
            return Exit.DONE
        records = [_until_now(record, journal) for record in journal.executions(arguments.limit)]
        if arguments.json:
            output.result_json([execution_json(record) for record in records])
        elif records:
            now = datetime.now(UTC)
            for line in table(HEADER, [_row(record, journal, now) for record in records]):
                output.result(line)
        else:
            output.note("no executions yet; start one with: sandstone run PLAN")
    return Exit.DONE


def _until_now(record: ExecutionRecord, journal: Journal) -> ExecutionRecord:
    """The record with the time that it has run by now."""
    return replace(record, run_ms=journal.elapsed_ms(record))


HEADER: Final = ("ID", "NAME", "STATE", "STEPS", "STARTED", "TOOK", "WORKSPACE")


def _row(record: ExecutionRecord, journal: Journal, now: datetime) -> tuple[str, ...]:
    steps = journal.steps(record.id)
    done = sum(step.state in OVER for step in steps)
    return (
        record.id[:SHORT_ID],
        one_line(record.name),
        record.state.value,
        f"{done}/{len(steps)}",
        age_text(record.create_time, now),
        span_text(record.run_ms),
        one_line(record.workspace),
    )


def _show_one(output: Output, record: ExecutionRecord, steps: list[StepRecord], as_json: bool) -> None:
    if as_json:
        output.result_json({**execution_json(record), "steps": [step_json(step) for step in steps]})
        return
    state, rest = headline(record)
    output.result(f"{output.styled(state, STATE_STYLE[record.state])} {rest}")
    origin = f", forked from {origin_text(record.forked_from)}" if record.forked_from else ""
    output.result(f"workspace {one_line(record.workspace)}, head {record.head}{origin}")
    rows = [
        (
            step.id,
            step.type,
            step.state.value.replace("_", " "),
            str(step.attempts),
            span_text(step.duration_ms) if step.duration_ms is not None else "-",
            step.checkpoint or "-",
            step_reason(step),
        )
        for step in steps
    ]
    for line in table(("STEP", "TYPE", "STATE", "ATTEMPTS", "TOOK", "CHECKPOINT", "WHY"), rows):
        output.result(line)


async def progress(session: Session) -> Exit:
    """`sandstone progress ID`."""
    async with session.open() as application:
        record = application.journal.find(session.arguments.id)
        found = await application.engine.get_progress(record.id)
    if session.arguments.json:
        session.output.result_json(
            {
                "execution_id": found.execution_id,
                "state": found.state.value,
                "done": found.done,
                "total": found.total,
                "step_id": found.step_id,
                "attempt": found.attempt,
                "elapsed_ms": found.elapsed_ms,
                "estimate_ms": found.estimate_ms,
                "position": found.position,
                "output_bytes": found.output_bytes,
                "usage": found.usage.to_json() if found.usage is not None else None,
            }
        )
        return Exit.DONE
    session.output.result("; ".join(_progress_parts(found)))
    return Exit.DONE


def _progress_parts(found: Progress) -> list[str]:
    parts = [f"{found.state.value}: {found.done}/{found.total} steps in {span_text(found.elapsed_ms)}"]
    if found.position is not None:
        parts.append(f"number {found.position} in the queue")
    if found.step_id is not None:
        parts.append(f"now {one_line(found.step_id)}, attempt {found.attempt}")
    if found.estimate_ms is not None:
        parts.append(f"about {span_text(found.estimate_ms)} left")
    if found.output_bytes:
        parts.append(f"{size_text(found.output_bytes)} of output")
    if found.usage is not None:
        parts += _usage_parts(found.usage)
    return parts


def _usage_parts(usage: StepUsage) -> list[str]:
    parts = []
    if usage.cpu_ms is not None:
        parts.append(f"{span_text(usage.cpu_ms)} of CPU")
    if usage.memory_peak_bytes is not None:
        parts.append(f"{size_text(usage.memory_peak_bytes)} of memory at most")
    if usage.disk_bytes is not None:
        parts.append(f"{size_text(usage.disk_bytes)} of disk")
    return parts


async def events(session: Session) -> Exit:
    """`sandstone events ID`. With `--follow`, until the execution has ended and all its events are shown."""
    arguments = session.arguments
    async with session.open() as application:
        journal = application.journal
        execution_id = journal.find(arguments.id).id
        feed = EventFeed(journal, execution_id, arguments.after)
        while True:
            # The state is read first: what ended before the events were read has all its events.
            ended = journal.execution(execution_id).state in ENDED
            for event in feed.rest():
                _show_event(session.output, event, arguments.json)
            if ended or not arguments.follow:
                return Exit.DONE
            await asyncio.sleep(FOLLOW_INTERVAL_S)


def _show_event(output: Output, event: Event, as_json: bool) -> None:
    if as_json:
        output.result_json_line(event.to_json())
        return
    time = event.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
    step = f" {one_line(event.step_id)}" if event.step_id is not None else ""
    data = "".join(f" {one_line(key)}={_value(value)}" for key, value in event.data.items() if value not in (None, ""))
    output.result(f"{event.sequence:>5}  {time}  {event.kind.value:<21}{step}{output.styled(data, 'dim')}")


def _value(value: object) -> str:
    if isinstance(value, str) and value and " " not in value:
        return one_line(value)
    return one_line(json_text(value, indent=None)) if not isinstance(value, str) else f'"{one_line(value)}"'
