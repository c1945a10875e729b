"""Backups are whole, checked and few; what an error tells to type brings the newest good one back."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import JournalCorruptError
from engine.journal.database import Database
from engine.journal.journal import Journal
from tests.fakes.journal_world import IDS, flip, make, read, run_step


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home"
    home.mkdir()
    make(home)
    return home


def backup(home: Path, clock: ManualClock | None = None, keep: int = 3) -> Path:
    with closing(Database(home / "journal.db")) as database:
        return Journal(database, clock or ManualClock()).backup(home / "journal-backups", keep)


def damage(path: Path) -> None:
    flip(path, path.read_bytes().index(b"step-1command"), 0x01)


def test_a_backup_is_a_journal_with_all_that_was_committed(home: Path, tmp_path: Path) -> None:
    expected = read(home)
    with closing(Database(home / "journal.db")) as database, database.transaction() as connection:
        connection.execute("UPDATE executions SET reason='not committed' WHERE id=?", (IDS[0],))
        with closing(Database(home / "journal.db")) as other:
            path = Journal(other, ManualClock()).backup(home / "journal-backups")
    assert path == home / "journal-backups/journal-20260101T000000.000000Z.db"
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "restored").mkdir()
    shutil.copy(path, tmp_path / "restored/journal.db")
    assert read(tmp_path / "restored") == expected


def test_the_newest_are_kept_and_nothing_else_is_left(home: Path) -> None:
    clock = ManualClock()
    made = []
    for _ in range(5):
        made.append(backup(home, clock))
        clock.advance(timedelta(hours=1))
    assert sorted((home / "journal-backups").iterdir()) == made[-3:]
    assert backup(home, clock, keep=1).name > made[-1].name
    assert len(list((home / "journal-backups").iterdir())) == 1


def test_a_damaged_journal_takes_the_place_of_no_good_backup(home: Path) -> None:
    clock = ManualClock()
    for _ in range(3):
        backup(home, clock)
        clock.advance(timedelta(hours=1))
    before = sorted((home / "journal-backups").iterdir())
    damage(home / "journal.db")
    with pytest.raises(JournalCorruptError):
        backup(home, clock)
    assert sorted((home / "journal-backups").iterdir()) == before


def test_a_backup_that_cannot_be_written_leaves_the_others(home: Path) -> None:
    good = backup(home)
    part = good.with_name(".journal-20260101T010000.000000Z.db.part")
    clock = ManualClock()
    clock.advance(timedelta(hours=1))
    good.with_name("journal-20260101T010000.000000Z.db").mkdir()
    with pytest.raises(OSError):
        backup(home, clock)
    assert good.exists()
    assert not [path for path in good.parent.iterdir() if path.name.startswith(part.name[:8])]


def test_the_commands_of_the_advice_restore_the_newest_good_backup(home: Path) -> None:
    clock = ManualClock()
    expected: dict[str, Any] = read(home)
    good = backup(home, clock)
    with closing(Database(home / "journal.db")) as database:
        run_step(Journal(database, clock), IDS[0], 2)
    clock.advance(timedelta(hours=1))
    damage(backup(home, clock))
    damage(home / "journal.db")
    damaged = (home / "journal.db").read_bytes()
    with pytest.raises(JournalCorruptError) as error:
        read(home)
    assert good.name in error.value.advice
    assert "2026-01-01 00:00:00 UTC" in error.value.advice
    assert "are lost" in error.value.advice
    commands = [line for line in error.value.advice.splitlines() if line.startswith("  ")]
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True)
    assert read(home) == expected
    assert (home / "journal-damaged/journal.db").read_bytes() == damaged, "the damaged file is kept"


def test_without_a_good_backup_the_advice_is_to_move_everything(home: Path) -> None:
    damage(backup(home))
    (home / "journal.db").write_bytes(b"")
    with pytest.raises(JournalCorruptError) as error:
        read(home)
    assert "no good backup" in error.value.advice
    command = error.value.advice.partition("keep it: ")[2].partition(" (see")[0]
    subprocess.run(["sh", "-ec", command], check=True)
    assert (home.with_name("a home.damaged") / "journal.db").exists()
    home.mkdir()
    Database(home / "journal.db").close()


def test_a_missing_journal_is_restored_by_the_same_commands(home: Path) -> None:
    expected = read(home)
    backup(home)
    (home / "journal.db").unlink()
    with pytest.raises(JournalCorruptError, match="is missing") as error:
        read(home)
    commands = [line for line in error.value.advice.splitlines() if line.startswith("  ")]
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True)
    assert read(home) == expected
