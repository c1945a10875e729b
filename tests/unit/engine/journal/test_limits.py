"""What the disk and other processes can refuse is a typed error, and the journal goes on afterwards."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import EnvironmentUnfitError
from engine.events.types import EventKind
from engine.journal.database import LOG_LIMIT_BYTES, Database
from engine.journal.journal import Journal
from engine.journal.states import ExecutionState
from sandbox.errors import HostDiskFullError, StoreBusyError
from sandbox.workspace.layer import DiskLimit, VolumeId
from sandbox.workspace.register import Register, Volume
from tests.fakes.journal_world import record_of

A = "a" * 32
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


def filled(home: Path) -> tuple[Database, Journal]:
    database, clock = Database(home / "journal.db"), ManualClock()
    journal = Journal(database, clock)
    with journal.transaction() as tx:
        tx.add_execution(record_of(A, clock), "{}", [])
    return database, journal


def test_a_journal_held_by_another_process_is_a_busy_store(tmp_path: Path) -> None:
    database, _ = filled(tmp_path)
    database.close()
    database = Database(tmp_path / "journal.db", busy_timeout_s=0.05)
    journal = Journal(database, ManualClock())
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError), journal.transaction() as tx:
            tx.set_execution(A, reason="written")
        assert journal.execution(A).reason == "", "reading goes on"
        with closing(Database(tmp_path / "journal.db", busy_timeout_s=0.05)):
            pass
        other.execute("COMMIT")
    with journal.transaction() as tx:
        tx.set_execution(A, reason="written")
    database.close()


def test_a_journal_that_another_process_is_making_is_a_busy_store(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError):
            Database(tmp_path / "journal.db", busy_timeout_s=0.05)
        other.execute("ROLLBACK")
    Database(tmp_path / "journal.db").close()


OPEN_OFTEN = """
import sys
from pathlib import Path
from engine.journal.database import Database
for _ in range(5):
    Database(Path(sys.argv[1])).close()
"""


def test_processes_that_open_a_new_journal_together_make_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    processes = [subprocess.Popen([sys.executable, "-c", OPEN_OFTEN, path]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    with closing(Database(path)) as database:
        database.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill_disk(ballast: Path) -> None:
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(fd, b"\0" * 4096)
    os.close(fd)


def emit_for_ever(journal: Journal) -> None:
    while True:
        with journal.transaction() as tx:
            tx.emit(A, EventKind.EXECUTION_PROGRESS, text="x" * 3000)


def add_volumes_for_ever(register: Register) -> None:
    for number in itertools.count():
        register.add_volume(Volume(VolumeId(f"v{number}"), Path("/" + "x" * 3000), DiskLimit(1, 1), None))


@as_root
@pytest.mark.parametrize("room_kib", [*range(0, 40, 4), 48, 64, 80, 96])
def test_a_full_disk_undoes_the_transaction_and_nothing_else(small_disk: Path, room_kib: int) -> None:
    database, journal = filled(small_disk)
    register = Register(small_disk / "journal.db", durable=False)
    ballast = small_disk / "ballast"
    fill_disk(ballast)
    os.truncate(ballast, max(0, ballast.stat().st_size - room_kib * 1024))
    with pytest.raises(HostDiskFullError):
        emit_for_ever(journal)
    written = journal.execution(A).last_sequence
    with pytest.raises(HostDiskFullError):
        add_volumes_for_ever(register)
    assert len(journal.events(A)) == written
    ballast.unlink()
    with journal.transaction() as tx:
        tx.emit(A, EventKind.EXECUTION_PROGRESS)
    assert [event.sequence for event in journal.events(A)] == list(range(1, written + 2))
    database.check()
    register.close()
    database.close()
    with closing(Database(small_disk / "journal.db")) as again:
        again.check()
        assert len(Journal(again, ManualClock()).events(A)) == written + 1


@as_root
def test_without_room_no_journal_is_begun_and_later_it_is(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    fill_disk(ballast)
    with pytest.raises((HostDiskFullError, EnvironmentUnfitError)):
        Database(small_disk / "journal.db")
    ballast.unlink()
    with closing(Database(small_disk / "journal.db")) as database:
        database.check()


@as_root
def test_a_directory_that_cannot_be_written_is_an_unfit_environment(small_disk: Path) -> None:
    filled(small_disk)[0].close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        with pytest.raises(EnvironmentUnfitError) as error:
            Database(small_disk / "journal.db")
        assert "writable" in error.value.fix
        with pytest.raises(EnvironmentUnfitError):
            Database(small_disk / "other.db")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_the_log_goes_back_to_its_limit_when_a_long_reader_ends(tmp_path: Path) -> None:
    database, journal = filled(tmp_path)
    log = tmp_path / "journal.db-wal"

    def write(megabytes: int) -> None:
        for _ in range(megabytes):
            with journal.transaction() as tx:
                tx.emit(A, EventKind.EXECUTION_PROGRESS, text="x" * (1 << 20))

    write(40)
    assert log.stat().st_size <= LOG_LIMIT_BYTES, "checkpoints keep it small by themselves"
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        (seen,) = reader.execute("SELECT COUNT(*) FROM events").fetchone()
        write(30)
        assert reader.execute("SELECT COUNT(*) FROM events").fetchone() == (seen,)
        assert log.stat().st_size > LOG_LIMIT_BYTES, "a reader holds it: nobody is delayed or refused"
        reader.execute("COMMIT")
    write(3)
    assert log.stat().st_size <= LOG_LIMIT_BYTES
    assert journal.execution(A).state is ExecutionState.IDLE
    database.close()
