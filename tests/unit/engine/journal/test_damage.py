"""Damage is found, never believed: after any of it the journal is refused, or reads exactly as it was written.

SANDSTONE_EVERY_BYTE=1 flips every byte of the file instead of a sample (about half an hour).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import JournalCorruptError, JournalVersionError
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.recovery import Recovery
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.states import ExecutionState
from sandbox.errors import StoreCorruptError
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.register import Register
from tests.fakes.journal_world import (
    IDS,
    add_layer,
    everything,
    flip,
    killed,
    make,
    read,
    record_of,
    run_step,
)

EVERY_BYTE = bool(os.environ.get("SANDSTONE_EVERY_BYTE"))
REFUSED = (JournalCorruptError, JournalVersionError, StoreCorruptError)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    home = tmp_path_factory.mktemp("written")
    return home, make(home)


@pytest.fixture
def home(tmp_path: Path, written: tuple[Path, dict[str, Any]]) -> Path:
    """A copy of the filled journal's directory."""
    home = tmp_path / "home"
    shutil.copytree(written[0], home)
    return home


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files of a filled journal as a kill -9 left them: the log holds what came last."""
    source = tmp_path / "source"
    source.mkdir()
    make(source)
    database = Database(source / "journal.db")
    register = Register(source / "journal.db", durable=False)
    journal = Journal(database, ManualClock())
    for execution_id in IDS:
        add_layer(register, execution_id, 2)
        run_step(journal, execution_id, 2)
    killed(source, tmp_path / "killed")
    yield tmp_path / "killed", everything(journal, register)
    register.close()
    database.close()


def outcome(home: Path, *, full: bool = True) -> dict[str, Any] | str:
    """What is read, or `refused` after a look that the refusal changed nothing and says what to do."""
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.name in ("journal.db", "journal.mark")}
    try:
        return read(home, full=full)
    except REFUSED as error:
        refusal = error
    assert "damaged" in str(refusal) or isinstance(refusal, JournalVersionError)
    assert before == {path.name: path.read_bytes() for path in home.iterdir() if path.name in before}
    return "refused"


def sample(size: int, seed: int, count: int) -> list[int]:
    if EVERY_BYTE:
        return list(range(size))
    # The header and the first table page decide most; the rest is a sample.
    return sorted({*range(0, 100, 3), *random.Random(seed).sample(range(size), count)})


def test_what_was_written_is_what_is_read(home: Path, written: tuple[Path, dict[str, Any]]) -> None:
    assert outcome(home) == written[1]


@pytest.mark.timeout(7200 if EVERY_BYTE else 120)
@pytest.mark.parametrize("full", [True, False], ids=["checked", "only read"])
def test_flipped_bits_are_harmless_or_refused(home: Path, written: tuple[Path, dict[str, Any]], full: bool) -> None:
    _, expected = written
    content = (home / "journal.db").read_bytes()
    refused = 0
    chance = random.Random(7)
    for offset in sample(len(content), 5 + full, 150):
        (home / "journal.db").write_bytes(content)
        mask = chance.choice([1 << chance.randrange(8), 0xFF])
        flip(home / "journal.db", offset, mask)
        found = outcome(home, full=full)
        assert found in (expected, "refused"), f"byte {offset} ^ {mask:#x}: {_differing(found, expected)}"
        refused += found == "refused"
    assert refused > 30


def _differing(found: dict[str, Any] | str, expected: dict[str, Any]) -> list[str]:
    assert isinstance(found, dict)
    return [name for name in expected if found[name] != expected[name]]


def test_a_flip_inside_a_value_is_noticed_by_who_reads_it(home: Path) -> None:
    """SQLite itself sees nothing wrong with such a file."""
    path = home / "journal.db"
    flip(path, path.read_bytes().index(b"step-2command"), 0x01)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database = Database(path)
    journal = Journal(database, ManualClock())
    with pytest.raises(JournalCorruptError) as error:
        [journal.steps(execution_id) for execution_id in IDS]
    assert "steps" in error.value.reason
    with pytest.raises(JournalCorruptError):
        journal.check()
    database.close()


def test_a_layer_that_says_another_volume_is_never_taken_for_none(home: Path) -> None:
    """What a volume's rows do not name is removed when it is opened, before any full check."""
    path = home / "journal.db"
    for found in re.finditer(b"aa-l1committed(?=a{32})", path.read_bytes()):  # one of them is the row
        flip(path, found.end(), 0x02)
    with closing(Register(path, durable=False)) as register:
        assert [layer.layer.id for layer in register.of_volume(VolumeId(IDS[1]))] == ["ab-l0", "ab-l1"]
        # The index still knows better than the row; without it the row would be missed by the volume's count.
        assert [layer.layer.id for layer in register.of_volume(VolumeId(IDS[0]))] == ["aa-l0", "aa-l1"]
        with pytest.raises(StoreCorruptError):
            register.all()


@pytest.mark.parametrize("text", [b"CREATE TABLE ledger", b"layers_discounted AFTER", b"table" + b"executions" * 2])
@pytest.mark.parametrize("at", [0, 3, 10])
def test_a_schema_that_is_no_text_any_more_is_refused(home: Path, text: bytes, at: int) -> None:
    """SQLite puts it into messages that the interpreter cannot decode."""
    path = home / "journal.db"
    flip(path, path.read_bytes().index(text) + at, 0xFF)
    assert outcome(home) == "refused"


def test_a_damaged_row_is_never_sealed_by_an_update(home: Path) -> None:
    path = home / "journal.db"
    flip(path, path.read_bytes().index(b"plan-0running"), 0x01)
    database = Database(path)
    journal = Journal(database, ManualClock())
    with pytest.raises(JournalCorruptError, match="executions"), journal.transaction() as tx:
        tx.set_execution(IDS[0], reason="changed")
    with pytest.raises(JournalCorruptError, match="executions"):
        journal.execution(IDS[0])
    assert journal.execution(IDS[1]).reason == ""
    database.close()


@pytest.mark.parametrize("table", ["executions", "steps", "checkpoints", "baseline", "events", "layers", "volumes"])
def test_a_row_that_is_gone_is_missed(home: Path, table: str) -> None:
    """As if a page were lost: the row is taken out behind the back of the counts."""
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        # The last one, so that neither order nor numbers show a hole.
        order = "rowid" if table in ("executions", "layers", "volumes") else "2"
        key = (
            "rowid"
            if order == "rowid"
            else "(execution_id, {})".format(
                {"steps": "idx", "checkpoints": "number", "baseline": "path", "events": "sequence"}[table]
            )
        )
        columns = key.strip("()")
        connection.execute(
            f"DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {table} ORDER BY {columns} DESC LIMIT 1)"
        )
        for _, sql in triggers:
            connection.execute(sql)
    assert outcome(home) == "refused"
    assert outcome(home, full=False) == "refused"


def test_a_row_that_only_the_index_lost_is_missed(home: Path) -> None:
    path = home / "journal.db"
    flip(path, path.read_bytes().index(b"plan-12026"), 0x01)  # only the index has the name next to the time
    database = Database(path)
    with pytest.raises(JournalCorruptError, match="index"):
        Journal(database, ManualClock()).find("plan-1")
    database.close()


@pytest.mark.parametrize("at", [0, 1, 99, 100, 511, 512, 513, 5000, -5000, -513, -512])
def test_a_file_that_was_cut_is_refused(home: Path, at: int) -> None:
    path = home / "journal.db"
    size = path.stat().st_size
    os.truncate(path, at % size)
    assert outcome(home) == "refused"
    assert outcome(home, full=False) == "refused"
    assert path.stat().st_size == at % size


def test_a_file_cut_within_its_last_page_is_refused_or_lost_only_zeros(
    home: Path, written: tuple[Path, dict[str, Any]]
) -> None:
    path = home / "journal.db"
    content = path.read_bytes()
    for cut in range(1, 512, 5):
        path.write_bytes(content[:-cut])
        assert outcome(home) == (written[1] if not any(content[-cut:]) else "refused"), cut


def test_every_page_boundary_at_which_the_file_is_cut_is_noticed(home: Path) -> None:
    path = home / "journal.db"
    content = path.read_bytes()
    for size in range(0, len(content), 512 if EVERY_BYTE else 4096):
        path.write_bytes(content[:size])
        assert outcome(home, full=False) == "refused", size


@pytest.mark.parametrize("witness", ["mark", "volumes", "journal-backups", "applies", "log"])
@pytest.mark.parametrize("emptied", [True, False], ids=["emptied", "missing"])
def test_a_journal_that_was_there_is_not_begun_anew(tmp_path: Path, witness: str, emptied: bool) -> None:
    """Else everything that the lost rows named would be removed as rubbish."""
    path = tmp_path / "journal.db"
    if emptied:
        path.touch()
    if witness == "mark":
        (tmp_path / "other").mkdir()
        make(tmp_path / "other")
        shutil.copy(tmp_path / "other/journal.mark", tmp_path / "journal.mark")
    elif witness == "log":
        (tmp_path / "journal.db-wal").write_bytes(b"something")
    else:
        (tmp_path / witness).mkdir()
        (tmp_path / witness / "something").touch()
    with pytest.raises(JournalCorruptError) as error:
        Database(path)
    assert ("is empty" if emptied else "is missing") in error.value.reason
    assert path.exists() is emptied
    assert not emptied or path.stat().st_size == 0


def test_an_empty_directory_gets_a_new_journal(tmp_path: Path) -> None:
    for name in ("volumes", "applies"):
        (tmp_path / name).mkdir()
    Database(tmp_path / "journal.db").close()
    Database(tmp_path / "journal.db").close()


def test_another_journal_in_its_place_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make(tmp_path / "other")
    shutil.copy(tmp_path / "other/journal.db", home / "journal.db")
    with pytest.raises(JournalCorruptError, match="its mark speaks of"):
        Database(home / "journal.db")


def test_an_older_state_of_the_journal_in_its_place_is_refused(home: Path) -> None:
    shutil.copy(home / "journal.db", home / "older.db")
    database = Database(home / "journal.db")
    run_step(Journal(database, ManualClock()), IDS[0], 2)
    database.close()
    shutil.move(home / "older.db", home / "journal.db")
    with pytest.raises(JournalCorruptError, match="were acknowledged"):
        Database(home / "journal.db")


def test_what_a_killed_process_had_acknowledged_is_there(live: tuple[Path, dict[str, Any]]) -> None:
    home, expected = live
    assert (home / "journal.db-wal").stat().st_size > 0
    assert outcome(home) == expected


def test_a_log_that_is_gone_or_garbage_is_missed(live: tuple[Path, dict[str, Any]]) -> None:
    home, _ = live
    log = home / "journal.db-wal"
    size = log.stat().st_size
    for content in (b"", b"\0" * size, random.Random(1).randbytes(size)):
        log.write_bytes(content)
        assert outcome(home) == "refused"
        assert log.read_bytes() == content, "what is refused is kept as it is"
    log.unlink()
    assert outcome(home) == "refused"


def test_a_log_that_was_cut_or_flipped_anywhere_is_noticed(live: tuple[Path, dict[str, Any]]) -> None:
    """Everything in it was acknowledged. (What comes after the last commit would be harmless.)"""
    home, expected = live
    log = home / "journal.db-wal"
    content, whole = log.read_bytes(), (home / "journal.db").read_bytes()
    offsets = sample(len(content), 11, 80)
    refused = 0
    for offset in offsets:
        for cut in (True, False):
            (home / "journal.db").write_bytes(whole)
            log.write_bytes(content[:offset] if cut else content)
            if not cut:
                flip(log, offset, 0x10)
            found = outcome(home)
            assert found in (expected, "refused"), (offset, cut)
            refused += found == "refused"
    assert refused > len(offsets)


def test_a_torn_end_of_a_log_that_nobody_acknowledged_is_harmless(live: tuple[Path, dict[str, Any]]) -> None:
    home, expected = live
    with (home / "journal.db-wal").open("ab") as log:
        log.write(b"torn" * 100)
    assert outcome(home) == expected


def test_a_damaged_mark_is_refused_and_a_torn_one_is_not(home: Path, written: tuple[Path, dict[str, Any]]) -> None:
    mark = home / "journal.mark"
    content = mark.read_bytes()
    flip(mark, 30, 0x01)
    assert outcome(home) == written[1]
    flip(mark, len(content) // 2 + 30, 0x01)
    assert outcome(home) == "refused"
    mark.write_bytes(b"")
    assert outcome(home) == "refused"


def test_a_lost_mark_is_made_again(home: Path, written: tuple[Path, dict[str, Any]]) -> None:
    content = (home / "journal.mark").read_bytes()
    (home / "journal.mark").unlink()
    assert outcome(home) == written[1]
    assert (home / "journal.mark").read_bytes().split()[1] == content.split()[1]


def test_recovery_of_a_damaged_journal_changes_nothing(home: Path) -> None:
    path = home / "journal.db"
    flip(path, path.read_bytes().index(b"step-1command"), 0x01)
    database = Database(path)
    journal = Journal(database, ManualClock())
    store = CopyingLayerStore(home / "store")
    with pytest.raises(JournalCorruptError):
        Recovery(journal, store, ExecutionLocks(home / "locks"), LogStore(home / "logs")).all()
    store.close()
    assert {record.state for record in journal.in_state(ExecutionState.RUNNING)} <= {ExecutionState.RUNNING}
    database.close()


def test_a_new_execution_after_the_check_is_counted(home: Path) -> None:
    """The counts are kept by every write there is, else the next check would refuse a good journal."""
    clock = ManualClock()
    database = Database(home / "journal.db")
    register = Register(home / "journal.db", durable=False)
    journal = Journal(database, clock)
    with journal.transaction() as tx:
        tx.add_execution(record_of("f" * 32, clock), "{}", [])
        tx.delete_checkpoints(IDS[0], [2, 99])
        tx.add_baseline(IDS[0], {b"b": None, b"c": None})
        tx.add_baseline(IDS[0], {})
        tx.delete_execution(IDS[1])
        tx.forget_requests(clock.now())
    register.remove("aa-l1")
    register.remove("nothing")
    register.remove_volume(register.volumes()[1])
    journal.check()
    assert [record.id for record in journal.checkpoints(IDS[0])] == ["c0", "c1"]
    assert register.exists(LayerName("aa-l0"))
    register.close()
    database.close()
