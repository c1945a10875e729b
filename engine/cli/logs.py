"""`sandstone logs`: what the steps printed, escaped line by line; `--raw` gives the bytes as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.cli.escape import one_line, shown_lines
from engine.cli.exits import Exit
from engine.cli.session import Session
from engine.errors import NotFoundError
from engine.journal.records import StepRecord
from sandbox.spec import Stream

CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """One stream of one attempt of one step."""

    step_id: str
    attempt: int
    stream: Stream
    path: Path


async def logs(session: Session) -> Exit:
    """`sandstone logs ID [STEP]`."""
    arguments, output = session.arguments, session.output
    async with session.open() as application:
        record = application.journal.find(arguments.id)
        steps = application.journal.steps(record.id)
        if arguments.step is not None:
            _known_step(steps, arguments.step)
        found = [Piece(*each) for each in application.results.logs(record.id, arguments.step)]
        pieces = select(found, steps, arguments.stream, arguments.attempt)
        if arguments.json:
            output.result_json([_shape(piece) for piece in pieces])
            return Exit.DONE
        for number, piece in enumerate(pieces):
            if arguments.raw:
                for chunk in chunks(piece.path):
                    output.result_bytes(chunk)
                continue
            if len(pieces) > 1:
                title = f"== {one_line(piece.step_id)}, attempt {piece.attempt}, {piece.stream.value} =="
                output.result(output.styled(title, "bold") if number == 0 else "\n" + output.styled(title, "bold"))
            for line in shown_lines(chunks(piece.path)):
                output.result(line)
        if not pieces:
            others = " by that attempt; others printed something: see --attempt" if found else ""
            output.note(f"nothing was printed{others}")
    return Exit.DONE


def select(found: Iterable[Piece], steps: Sequence[StepRecord], stream: str | None, attempt: int | None) -> list[Piece]:
    """The pieces of the stream (None: both) and the attempt (None: each step's last) asked for."""
    last = {step.id: step.attempts for step in steps}
    return [
        piece
        for piece in found
        if stream in (None, piece.stream.value) and piece.attempt == (attempt or last.get(piece.step_id))
    ]


def chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, in bounded chunks."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _shape(piece: Piece) -> dict[str, object]:
    text = b"".join(chunks(piece.path)).decode("utf-8", "replace")
    return {
        "step_id": piece.step_id,
        "attempt": piece.attempt,
        "stream": piece.stream.value,
        "text": text,
    }


def _known_step(steps: list[StepRecord], step_id: str) -> None:
    """Raises NotFoundError with the names that look alike."""
    import difflib

    names = [step.id for step in steps]
    if step_id not in names:
        raise NotFoundError("step", step_id, difflib.get_close_matches(step_id, names, 3))
