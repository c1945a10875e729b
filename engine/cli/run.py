"""`sandstone run`, `fork` and `resume`: drive an execution to its end and tell how it ended.

With `--json`, standard output gets exactly one object, whatever happens; without it, a summary.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.cli.exits import EXIT_OF_STATE, Exit, SignalledError, exit_of
from engine.cli.failures import KNOWN, hint_of, message_of
from engine.cli.follow import follow
from engine.cli.outcome import Outcome, tell
from engine.cli.plan import read_plan, secrets_of
from engine.cli.session import Session
from engine.cli.shapes import no_outcome_json
from engine.cli.views import make_view
from engine.journal.records import ExecutionRecord
from engine.journal.states import ExecutionState
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from engine.reach import reachable

if TYPE_CHECKING:
    from engine.app import Application


async def run_plan(session: Session) -> Exit:
    """`sandstone run PLAN`."""
    arguments = session.arguments
    with _telling(session, arguments.name) as told:
        plan = read_plan(arguments.plan)
        told.name = told.name or plan.name or None
        secrets = secrets_of(plan, os.environ)
        async with session.open() as application:
            told.execution_id = await application.engine.start(
                plan, arguments.workspace, name=arguments.name, secrets=secrets, keep=arguments.keep
            )
            outcome = await _drive(session, application, told.execution_id, plan, after=0)
            told.outcome = True
            return _conclude(session, outcome)


async def fork(session: Session) -> Exit:
    """`sandstone fork ID --from CHECKPOINT`."""
    arguments = session.arguments
    with _telling(session, arguments.name) as told:
        given = read_plan(arguments.plan) if arguments.plan is not None else None
        async with session.open() as application:
            origin = application.journal.find(arguments.id)
            plan = given or parse_plan(application.journal.plan(origin.id), "the journal")
            told.execution_id = await application.engine.fork(
                origin.id,
                arguments.checkpoint,
                plan=given,
                name=arguments.name,
                secrets=secrets_of(plan, os.environ),
            )
            outcome = await _drive(session, application, told.execution_id, plan, after=0)
            told.outcome = True
            return _conclude(session, outcome)


async def resume(session: Session) -> Exit:
    """`sandstone resume ID`."""
    async with session.open() as application:
        record = application.journal.find(session.arguments.id)
        plan = parse_plan(application.journal.plan(record.id), "the journal")
        await application.engine.resume(record.id, secrets_of(plan, os.environ))
        return _conclude(session, await _drive(session, application, record.id, plan, record.last_sequence))


@dataclass(slots=True)
class _Told:
    """What is known so far of an execution that is being started. outcome: its end is being told."""

    name: str | None
    execution_id: str | None = None
    outcome: bool = False


@contextmanager
def _telling(session: Session, name: str | None) -> Iterator[_Told]:
    """With `--json`, print the object also when there is no outcome to tell."""
    told = _Told(name)
    try:
        yield told
    except KNOWN as error:
        _tell_nothing(session, told, error)
        raise
    except asyncio.CancelledError:
        _tell_nothing(session, told, SignalledError(session.interrupts.exit))
        raise


def _tell_nothing(session: Session, told: _Told, error: BaseException) -> None:
    if session.arguments.json and not told.outcome:
        session.output.result_json(no_outcome_json(error, told.name, told.execution_id))


async def _drive(session: Session, application: Application, execution_id: str, plan: Plan, after: int) -> Outcome:
    """Follow the execution to its end and apply it if asked."""
    arguments, journal = session.arguments, application.journal
    record, steps = journal.execution(execution_id), journal.steps(execution_id)
    view = make_view(session.output, arguments.quiet, plan, record, steps, journal)
    async with reachable(application):
        record = await follow(session, application, execution_id, view, after)
    outcome = Outcome(record, journal.steps(execution_id), journal.checkpoints(execution_id))
    try:
        if arguments.json or arguments.quiet:
            outcome.changes = await application.results.changes(execution_id)
        else:
            from engine.cli.difference import survey  # a good part of all code, for the summary alone

            outcome.changes, outcome.stat = await survey(application, execution_id)
    except KNOWN as error:
        outcome.changes_error = error
    if getattr(arguments, "apply", False) and record.state is ExecutionState.COMPLETED:
        await _apply(session, application, outcome)
    return outcome


def _conclude(session: Session, outcome: Outcome) -> Exit:
    """Tell the outcome; what went wrong after the execution's end decides the exit code."""
    tell(session.output, outcome, as_json=session.arguments.json, quiet=session.arguments.quiet)
    errors = [error for error in (outcome.changes_error, outcome.apply_error) if error is not None]
    for error in errors:
        session.output.error(message_of(error), hint_of(error))
    return exit_of(errors[-1]) if errors else _exit(session, outcome.record)


async def _apply(session: Session, application: Application, outcome: Outcome) -> None:
    """Apply what the run made, unless a signal came in its last moment."""
    if session.interrupts.received is not None:
        session.output.note("not applied: interrupted")
        return
    try:
        outcome.applied = await application.results.apply(outcome.record.id, dry_run=False, force=False, allow=())
    except KNOWN as error:
        outcome.apply_error = error


def _exit(session: Session, record: ExecutionRecord) -> Exit:
    interrupted = session.interrupts.received is not None
    unapplied = getattr(session.arguments, "apply", False)
    if interrupted and (record.state is ExecutionState.CANCELLED or unapplied):
        return session.interrupts.exit
    return EXIT_OF_STATE[record.state]
