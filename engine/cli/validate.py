"""`sandstone validate`: checks over a directory as it is now, in a sandbox, told in the form that is asked for.

It is an execution with one validation step, so everything that holds for those holds here, and `status`, `events` and
`gc` know it. Which findings count is decided by the step's policy; with `--baseline` the same checks run over a
checkpoint first, and what they find there does not count.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.cli.exits import EXIT_OF_STATE, Exit
from engine.cli.findings import Source, findings_text
from engine.cli.follow import follow
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID
from engine.cli.summary import end_text
from engine.cli.validation_plan import STEP, checking_plan, fixing_plan, selection_of
from engine.cli.views import QuietView, make_view
from engine.journal.records import ExecutionRecord
from engine.plan.model import Plan
from engine.plan.settings import FindingPolicy
from engine.reach import reachable
from engine.validation.policy import NOTHING_KNOWN, fingerprints, under_policy
from engine.validation.report import ValidationReport, report_from_step
from sandbox.errors import SandboxError
from sandbox.workspace.beneath import DIRECTORY, read_regular

if TYPE_CHECKING:
    from engine.app import Application

MAX_SOURCE_BYTES: Final = 4 << 20
"""Of a file whose lines are shown with its findings."""


async def validate(session: Session) -> Exit:
    """`sandstone validate [PATHS]`."""
    arguments = session.arguments
    selection = selection_of(arguments)
    plan = checking_plan(arguments, selection)
    async with session.open() as application:
        known, fixed = NOTHING_KNOWN, frozenset[str]()
        if arguments.baseline is not None:
            record, before = await _at_checkpoint(session, application, checking_plan(arguments, {}))
            if before is None:
                return _without_report(session, record)
            known = fingerprints(before)
        record, report = await _here(session, application, plan)
        if arguments.fix and report is not None and (files := mendable(report)):
            record, report = await _here(session, application, fixing_plan(arguments, selection, files))
            fixed = frozenset(os.fsdecode(change.path) for change in await application.results.changes(record.id))
    if report is None:
        return _without_report(session, record)
    report = under_policy(report, FindingPolicy(), known)
    _tell(session, record, report, fixed)
    if fixed:
        _tell_fixed(session, record)
    return Exit.DONE if report.ok else Exit.FAILED


def mendable(report: ValidationReport) -> list[str]:
    """The files in which a linter may know how to mend what it found. oxlint does not say in which it does."""
    scripts = {finding.file for finding in report.findings if finding.check == "lint" and not _is_python(finding.file)}
    told = {finding.file for finding in report.findings if finding.fix is not None}
    return sorted(file for file in scripts | told if file)


def _is_python(file: str) -> bool:
    return file.endswith((".py", ".pyi"))


def _tell_fixed(session: Session, record: ExecutionRecord) -> None:
    short = record.id[:SHORT_ID]
    session.output.note("what could be mended is in the execution's head; your files are as they were")
    session.output.note(f"  sandstone diff {short}   look at it")
    session.output.note(f"  sandstone apply {short}  take it")


async def _here(
    session: Session, application: Application, plan: Plan
) -> tuple[ExecutionRecord, ValidationReport | None]:
    """The execution over the workspace as it is, and its report if it came to one."""
    execution_id = await application.engine.start(plan, session.arguments.workspace)
    return await _followed(session, application, execution_id, plan)


async def _at_checkpoint(
    session: Session, application: Application, plan: Plan
) -> tuple[ExecutionRecord, ValidationReport | None]:
    """The same checks over all of a checkpoint, in a fork that starts there."""
    text, _, checkpoint = session.arguments.baseline.partition(":")
    origin = application.journal.find(text)
    execution_id = await application.engine.fork(origin.id, checkpoint or origin.head, plan=plan)
    return await _followed(session, application, execution_id, plan)


async def _followed(
    session: Session, application: Application, execution_id: str, plan: Plan
) -> tuple[ExecutionRecord, ValidationReport | None]:
    journal = application.journal
    quiet = session.arguments.quiet or not session.output.live
    record, steps = journal.execution(execution_id), journal.steps(execution_id)
    view = QuietView() if quiet else make_view(session.output, False, plan, record, steps, journal)
    async with reachable(application):
        record = await follow(session, application, execution_id, view, 0)
    (step,) = [step for step in journal.steps(execution_id) if step.id == STEP]
    said = [event for event in journal.events(execution_id) if event.kind == "validation-completed"]
    return record, report_from_step(step.findings, said[-1].data) if said else None


def _tell(session: Session, record: ExecutionRecord, report: ValidationReport, fixed: frozenset[str]) -> None:
    """Print it. fixed: files whose lines in the workspace are not those that were checked."""
    arguments, output = session.arguments, session.output
    if arguments.format == "json":
        output.result_json({**report.to_json(), "execution_id": record.id})
    elif arguments.format == "text":
        with _source(arguments.workspace, fixed) as source:
            for line in findings_text(report, source, output):
                output.result(line)
    else:
        from engine.validation.formats import FORMATS  # by those who want another form

        output.result(FORMATS[arguments.format](report))


@contextmanager
def _source(workspace: Path, fixed: frozenset[str]) -> Iterator[Source]:
    """Gives the lines of a file of the workspace, None when it cannot be read; no link is followed."""
    directory = os.open(workspace, DIRECTORY)

    @lru_cache(maxsize=16)
    def lines(file: str) -> Sequence[str] | None:
        if file in fixed:
            return None
        try:
            data = read_regular(directory, os.fsencode(file), MAX_SOURCE_BYTES)
        except (OSError, SandboxError):
            return None
        return data.decode("utf-8", "replace").splitlines()

    try:
        yield lines
    finally:
        os.close(directory)


def _without_report(session: Session, record: ExecutionRecord) -> Exit:
    """The execution ended before there was an answer: why, and the exit code of its state."""
    arguments, output = session.arguments, session.output
    why = end_text(record) or f"the validation is {record.state.value}"
    if arguments.format == "json":
        output.result_json({"ok": False, "summary": why, "checks": [], "findings": [], "execution_id": record.id})
    output.error(why)
    return EXIT_OF_STATE[record.state]
