"""The commands on checkpoints: `checkpoints`, `checkpoint`, `rollback`."""

from __future__ import annotations

from engine.cli.escape import one_line
from engine.cli.exits import Exit
from engine.cli.output import Output
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID
from engine.cli.tree import tree_lines
from engine.journal.records import CheckpointRecord


async def checkpoints(session: Session) -> Exit:
    """`sandstone checkpoints ID`."""
    output = session.output
    async with session.open() as application:
        record = application.journal.find(session.arguments.id)
        found = application.journal.checkpoints(record.id)
    if session.arguments.json:
        output.result_json([{**point.to_json(), "head": point.id == record.head} for point in found])
        return Exit.DONE
    width = max(len(point.id) for point in found)
    for line in tree_lines(found, record.head, output.out.unicode):
        _show(output, line.drawing, line.checkpoint, width, record.head)
    return Exit.DONE


def _show(output: Output, drawing: str, point: CheckpointRecord, width: int, head: str) -> None:
    is_head = point.id == head
    bullet = ("●" if is_head else "○") if output.out.unicode else ("*" if is_head else "o")
    mark = output.styled("  <- head", "good") if is_head else ""
    kind = output.styled(point.kind.value, "dim")
    output.result(f"{drawing}{bullet} {point.id.ljust(width)}  {kind}  {one_line(point.name)}{mark}")


async def checkpoint(session: Session) -> Exit:
    """`sandstone checkpoint ID NAME`."""
    async with session.open() as application:
        record = application.journal.find(session.arguments.id)
        made = await application.engine.checkpoint(record.id, session.arguments.name)
    if session.arguments.json:
        session.output.result_json(made.to_json())
    else:
        session.output.result(f"{made.id}  {one_line(made.name)}")
    return Exit.DONE


async def rollback(session: Session) -> Exit:
    """`sandstone rollback ID [--to CHECKPOINT]`."""
    async with session.open() as application:
        record = application.journal.find(session.arguments.id)
        head = await application.engine.rollback(record.id, session.arguments.to)
        state = application.journal.execution(record.id).state
    if session.arguments.json:
        session.output.result_json(
            {"execution_id": record.id, "state": state.value, "head": head.id, "checkpoint": head.to_json()}
        )
        return Exit.DONE
    session.output.result(f"{record.id[:SHORT_ID]}: head is now {head.id} ({one_line(head.name)}), {state.value}")
    session.output.note(f"go on from there with: sandstone resume {record.id[:SHORT_ID]}")
    return Exit.DONE
