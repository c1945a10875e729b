"""What must hold of a store after any death and the next command: asked of a copy of its journal and of its disk."""

from __future__ import annotations

from typing import Any, Final

from tests.e2e.command_bench import CommandBench

Row = tuple[Any, ...]
MAY_BE_OPEN: Final = ("idle", "running", "paused", "completed")


def executions(bench: CommandBench) -> dict[str, str]:
    """Id -> state, oldest first; as the journal has it, whoever died."""
    if not (bench.home / "journal.db").exists():
        return {}
    with bench.one_copy():
        if not bench.rows("SELECT 1 FROM sqlite_master WHERE name='executions'"):
            return {}
        return dict(bench.rows("SELECT id, state FROM executions ORDER BY rowid"))  # type: ignore[arg-type]


def checkpoints(bench: CommandBench, execution_id: str) -> list[Row]:
    """Number, name, layer and parent of each."""
    return bench.rows(
        "SELECT number, name, layer, parent FROM checkpoints WHERE execution_id=? ORDER BY number", execution_id
    )


def assert_consistent(bench: CommandBench, execution_id: str, told: object) -> None:
    """The journal by itself: no gaps, no dangling names, states and events that agree."""
    rows = bench.rows
    sequences = [row[0] for row in rows("SELECT sequence FROM events WHERE execution_id=? ORDER BY 1", execution_id)]
    assert sequences == list(range(1, len(sequences) + 1)), told
    assert rows("PRAGMA integrity_check") == [("ok",)], told
    points = {f"c{row[0]}": row for row in checkpoints(bench, execution_id)}
    ((head,),) = rows("SELECT head FROM executions WHERE id=?", execution_id)
    assert head in points, told
    assert {point[3] for point in points.values() if point[3]} <= set(points), told
    steps = rows("SELECT id, state FROM steps WHERE execution_id=? ORDER BY idx", execution_id)
    assert {state for _, state in steps} <= {"pending", "succeeded"}, (told, steps)
    completed = [
        row[0]
        for row in rows(
            "SELECT step_id FROM events WHERE execution_id=? AND kind='step-completed' ORDER BY sequence", execution_id
        )
    ]
    succeeded = [step for step, state in steps if state == "succeeded"]
    ((origin,),) = rows("SELECT forked_from FROM executions WHERE id=?", execution_id)
    inherited = len(succeeded) - len(completed) if origin else 0
    assert completed == succeeded[inherited:], (told, completed)


def assert_disk_agrees(bench: CommandBench, told: object) -> None:
    """The journal and the disk, no command running: every checkpoint has its layer, every layer its volume, every
    volume its image, and nothing else is there."""
    if not executions(bench):
        known: set[str] = set()
    else:
        rows = bench.rows
        dangling = rows(
            "SELECT c.execution_id, c.number FROM checkpoints c LEFT JOIN layers l ON l.id = c.layer"
            " WHERE c.layer IS NOT NULL AND (l.id IS NULL OR l.kind <> 'committed')"
        )
        assert dangling == [], told
        assert rows("SELECT id FROM layers WHERE kind <> 'committed'") == [], told
        unnamed = "SELECT id FROM layers WHERE id NOT IN (SELECT layer FROM checkpoints WHERE layer IS NOT NULL)"
        assert rows(unnamed) == [], told
        assert rows("SELECT id FROM layers WHERE volume NOT IN (SELECT id FROM volumes)") == [], told
        known = {row[0] for row in rows("SELECT id FROM volumes")}
        owners = {row[0] for row in rows("SELECT id FROM executions")}
        assert {name.partition("-")[0] for name in known} <= owners, told
    images = {path.stem for path in (bench.home / "volumes").glob("*.img")}
    assert images == known, told
    assert not list(bench.home.rglob("*.part")), told


def assert_in_order(bench: CommandBench, before: dict[str, list[Row]], told: object) -> None:
    """After the command that follows a death. before: checkpoints that each execution had at that death."""
    assert bench.left() == [], told
    states = executions(bench)
    for execution_id, committed in before.items():
        assert states[execution_id] not in ("running", "idle"), told
        assert_consistent(bench, execution_id, told)
        assert checkpoints(bench, execution_id)[: len(committed)] == committed, told
    assert_disk_agrees(bench, told)
