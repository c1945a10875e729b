"""The commands that control an execution: `pause`, `cancel`."""

from __future__ import annotations

from engine.cli.escape import one_line
from engine.cli.exits import Exit
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID, execution_json
from engine.execution.control import PauseMode
from engine.journal.records import ExecutionRecord
from engine.journal.states import ExecutionState


async def pause(session: Session) -> Exit:
    """`sandstone pause ID [--now | --after-step]`."""
    mode = PauseMode.NOW if session.arguments.now else PauseMode.AFTER_STEP
    async with session.open() as application:
        execution_id = application.journal.find(session.arguments.id).id
        record = await application.engine.pause(execution_id, mode, session.arguments.reason)
    _show(session, record)
    if record.state is ExecutionState.PAUSED:
        session.output.note(f"go on with: sandstone resume {record.id[:SHORT_ID]}")
    else:
        session.output.note("it is paused when what it is doing has ended")
    return Exit.DONE


async def cancel(session: Session) -> Exit:
    """`sandstone cancel ID`."""
    async with session.open() as application:
        execution_id = application.journal.find(session.arguments.id).id
        record = await application.engine.cancel(execution_id, session.arguments.reason)
    _show(session, record)
    return Exit.DONE


def _show(session: Session, record: ExecutionRecord) -> None:
    if session.arguments.json:
        session.output.result_json(execution_json(record))
        return
    reason = f": {one_line(record.reason)}" if record.reason else ""
    session.output.result(f"{record.id[:SHORT_ID]}: {record.state.value}{reason}")
