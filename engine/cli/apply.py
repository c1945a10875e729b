"""`sandstone apply`: copy an execution's changes into the project, or take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.cli.escape import name_text, one_line, path_json
from engine.cli.exits import Exit, UsageError
from engine.cli.failures import KNOWN, message_of
from engine.cli.output import Output
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID, error_json

if TYPE_CHECKING:
    import argparse

    from engine.app import Application
    from engine.checkpoints.apply import ApplyReport


async def apply(session: Session) -> Exit:
    """`sandstone apply ID`."""
    arguments, output = session.arguments, session.output
    if arguments.undo and arguments.allow:
        raise UsageError("--allow has no meaning with --undo: an undo refuses nothing")
    async with session.open() as application:
        record = application.journal.find(arguments.id)
        try:
            report = await _carry_out(application, record.id, arguments)
        except KNOWN as error:
            if arguments.json:
                shape = {"execution_id": record.id, "undo": arguments.undo, "error": message_of(error)}
                output.result_json({**shape, **error_json(error)})
            raise
    if arguments.json:
        output.result_json({"execution_id": record.id, "undo": arguments.undo, **report_json(report)})
        return Exit.DONE
    for line in report_lines(report, output):
        output.result(line)
    for line in note_lines(report):
        output.note(line)
    output.result(_last_line(report, arguments))
    if report.id is not None and not arguments.undo:
        output.note(f"take it back with: sandstone apply {record.id[:SHORT_ID]} --undo")
    return Exit.DONE


async def _carry_out(application: Application, execution_id: str, arguments: argparse.Namespace) -> ApplyReport:
    if arguments.undo:
        return await application.results.undo(execution_id, dry_run=arguments.dry_run, force=arguments.force)
    return await application.results.apply(
        execution_id, dry_run=arguments.dry_run, force=arguments.force, allow=arguments.allow
    )


def _last_line(report: ApplyReport, arguments: argparse.Namespace) -> str:
    counts = [("added", report.added), ("modified", report.modified), ("deleted", report.deleted)]
    parts = ", ".join(f"{len(paths)} {word}" for word, paths in counts if paths) or "nothing to do"
    done = "undone" if arguments.undo else "applied"
    verb = f"would be {done}" if report.dry_run else done
    return f"{verb} in {one_line(str(report.project))}: {parts}"


def report_lines(report: ApplyReport, output: Output) -> list[str]:
    """`A`, `M` or `D` and each path."""
    groups = (("A", report.added), ("M", report.modified), ("D", report.deleted))
    return [f"{output.styled(letter, 'accent')} {name_text(path)}" for letter, paths in groups for path in paths]


def note_lines(report: ApplyReport) -> list[str]:
    """What the user should know about single paths."""
    notes = [f"note: {name_text(note.path)}: {one_line(note.text)}" for note in report.notes]
    return notes + [f"note: {name_text(stayed.path)}: {one_line(stayed.reason)}" for stayed in report.stayed]


def report_json(report: ApplyReport) -> dict[str, object]:
    """What was done, or would be."""
    return {
        "apply_id": report.id,
        "project": str(report.project),
        "dry_run": report.dry_run,
        "added": [path_json(path) for path in report.added],
        "modified": [path_json(path) for path in report.modified],
        "deleted": [path_json(path) for path in report.deleted],
        "notes": [{**path_json(note.path), "kind": note.kind.value, "text": note.text} for note in report.notes],
        "stayed": [{**path_json(stayed.path), "reason": stayed.reason} for stayed in report.stayed],
    }
