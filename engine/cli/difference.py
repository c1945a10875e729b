"""`sandstone diff` and `sandstone export`: what differs between two checkpoints, to look at or to take elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from engine.checkpoints.render import DiffStat, render, summarize
from engine.cli.escape import name_text, one_line
from engine.cli.exits import Exit, UsageError
from engine.cli.output import Output
from engine.cli.session import Session
from engine.cli.shapes import change_counts, change_json, counts_text
from engine.cli.stat import StatLine, stat_lines, total_text
from engine.journal.records import ExecutionRecord
from sandbox.workspace.changes import Change

if TYPE_CHECKING:
    from engine.app import Application
    from engine.checkpoints.patch import LeftOut
    from engine.checkpoints.results import Comparison

    Make = Callable[[Comparison, BinaryIO], list[LeftOut]]

STDOUT: Final = "-"
LINE_STYLES: Final = (
    ("diff ", "bold"),
    ("+++ ", "bold"),
    ("--- ", "bold"),
    ("@@ ", "accent"),
    ("+", "good"),
    ("-", "bad"),
)


def checkpoints_of(text: str | None) -> tuple[str | None, str | None]:
    """The two ends of `A..B`; None for an end that is left open. `A` alone is `A..`."""
    if text is None:
        return None, None
    start, _, end = text.partition("..")
    return start or None, end or None


async def diff(session: Session) -> Exit:
    """`sandstone diff ID [A..B]`."""
    arguments, output = session.arguments, session.output
    start, end = checkpoints_of(arguments.range)
    async with session.open() as application:
        record = application.journal.find(arguments.id)
        if arguments.json or arguments.stat:
            changes, stat = await survey(application, record.id, start, end)
            lines: Sequence[str] = ()
        else:
            changes, lines = await application.results.using(record.id, start, end, _rendered)
        ends = {
            "from": _start(application, record, start),
            "to": application.journal.checkpoint(record.id, end or record.head).id,
        }
    if arguments.json:
        output.result_json({"execution_id": record.id, **ends, **_shape(changes, stat)})
    elif arguments.stat:
        show_stat(output, changes, stat)
    else:
        for line in lines:
            output.result(_colored(output, line))
    return Exit.FAILED if arguments.exit_code and changes else Exit.DONE


def _start(application: Application, record: ExecutionRecord, start: str | None) -> str | None:
    """The checkpoint that the difference begins at; None: the user's directory, which no checkpoint of a fork is."""
    if start is None and record.forked_from:
        return None
    return application.journal.checkpoint(record.id, start or "c0").id


async def survey(
    application: Application, execution_id: str, start: str | None = None, end: str | None = None
) -> tuple[list[Change], DiffStat]:
    """What differs, and how many lines of it."""
    return await application.results.using(
        execution_id, start, end, lambda found: (found.changes, summarize(found.changes, found.old, found.new))
    )


def _rendered(found: Comparison) -> tuple[list[Change], list[str]]:
    return found.changes, list(render(found.changes, found.old, found.new))


def _shape(changes: Sequence[Change], stat: DiffStat) -> dict[str, object]:
    return {
        "counts": change_counts(changes),
        "added_lines": stat.added,
        "removed_lines": stat.removed,
        "changes": [
            {**change_json(change), "added_lines": file.added, "removed_lines": file.removed}
            for change, file in zip(changes, stat.files, strict=True)
        ],
    }


def show_stat(
    output: Output, changes: Sequence[Change], stat: DiffStat, limit: int | None = None, indent: str = ""
) -> None:
    """Print the diffstat as a result; of at most `limit` files."""
    lines = stat_lines(changes, stat)
    width = max((len(line.text) for line in lines if line.added or line.removed), default=0)
    for line in lines[:limit]:
        output.result(f"{indent}{_stat_text(output, line, width)}")
    if limit is not None and len(lines) > limit:
        output.result(f"{indent}... and {len(lines) - limit} more")
    counts = counts_text(changes)
    output.result(f"{indent}{counts}; {total_text(stat)}" if changes else f"{indent}{counts}")


def _stat_text(output: Output, line: StatLine, width: int) -> str:
    bar = output.styled(line.added, "good") + output.styled(line.removed, "bad")
    text = f"{line.text.rjust(width)} {bar}" if bar else line.text
    return f"{output.styled(line.letter, 'accent')} {line.path} | {text}"


def _colored(output: Output, line: str) -> str:
    style = next((style for start, style in LINE_STYLES if line.startswith(start)), None)
    return output.styled(line, style) if style is not None else line


async def export(session: Session) -> Exit:
    """`sandstone export ID (--patch FILE | --tar FILE)`."""
    arguments, output = session.arguments, session.output
    target: str = arguments.patch if arguments.patch is not None else arguments.tar
    if target == STDOUT and output.out.is_terminal:
        raise UsageError("bytes that steps made are not written to a terminal", "name a file, or pipe it somewhere")
    make = _patch if arguments.patch is not None else _tar
    async with session.open() as application:
        record = application.journal.find(arguments.id)
        if target == STDOUT:
            left_out = await application.results.using(
                record.id, None, None, lambda found: _to_stdout(output, found, make)
            )
        else:
            left_out = await application.results.using(
                record.id, None, None, lambda found: _to_file(Path(target), found, make)
            )
    for left in left_out:
        output.note(f"not in it: {name_text(left.path)}: {one_line(left.reason)}")
    return Exit.DONE


def _patch(found: Comparison, out: BinaryIO) -> list[LeftOut]:
    from engine.checkpoints.patch import write_patch

    return write_patch(found.changes, found.old, found.new, out)


def _tar(found: Comparison, out: BinaryIO) -> list[LeftOut]:
    from engine.checkpoints.export import write_tar

    return write_tar(found.changes, found.new, out)


def _to_file(target: Path, found: Comparison, make: Make) -> list[LeftOut]:
    from engine.checkpoints.export import written

    with written(target) as file:
        return make(found, file)


def _to_stdout(output: Output, found: Comparison, make: Make) -> list[LeftOut]:
    """Made whole in a temporary file first: what reaches standard output is all of it or nothing."""
    with tempfile.TemporaryFile() as spool:
        left_out = make(found, cast(BinaryIO, spool))
        spool.seek(0)
        while chunk := spool.read(1 << 20):
            output.result_bytes(chunk)
    return left_out
