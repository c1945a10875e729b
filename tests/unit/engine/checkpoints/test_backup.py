"""Backups: what applies replaced can be listed, checked, restored, and goes when it is told to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.checkpoints.apply import Applier, Origin
from engine.checkpoints.backup import BackupService
from engine.checkpoints.baseline import Seen
from engine.checkpoints.contents import ContentStore
from engine.checkpoints.records import ApplyKind
from engine.clock import ManualClock
from engine.errors import BackupCorruptError, NotFoundError
from tests.unit.engine.checkpoints.project_bench import Bench, facts


def applied(bench: Bench) -> str:
    done = bench.apply().id
    assert done is not None
    return done


def test_a_backup_tells_what_was_there(changed: Bench) -> None:
    apply_id = applied(changed)
    service = BackupService(changed.home)
    (backup,) = service.backups("e1")
    assert (backup.apply_id, backup.kind, backup.checkpoint) == (apply_id, ApplyKind.APPLY, "c2")
    assert service.backups("other") == []
    entries = service.entries(apply_id)
    assert entries[b"src/new.py"] is None
    gone = entries[b"gone/a"]
    assert isinstance(gone, Seen)
    assert gone.size == 1


def test_one_file_is_read_without_restoring_it(changed: Bench) -> None:
    apply_id = applied(changed)
    service = BackupService(changed.home)
    assert b"".join(service.read(apply_id, b"data.bin")) == bytes(range(256)) * 9
    with pytest.raises(NotFoundError):
        service.read(apply_id, b"src/new.py")


def test_a_file_a_set_and_a_whole_apply_are_restored(changed: Bench) -> None:
    before = facts(changed.project)
    apply_id = applied(changed)
    service = BackupService(changed.home)
    service.restore(apply_id, [b"data.bin"])
    assert facts(changed.project)["data.bin"] == before["data.bin"]
    service.restore(apply_id, [b"src", b"gone"])
    now = facts(changed.project)
    assert {p: f for p, f in now.items() if p.startswith(("src", "gone"))} == {
        p: f for p, f in before.items() if p.startswith(("src", "gone"))
    }
    assert "deep" in now
    service.restore(apply_id)
    assert facts(changed.project) == before
    kinds = [backup.kind for backup in service.backups()]
    assert kinds == [ApplyKind.APPLY, ApplyKind.RESTORE, ApplyKind.RESTORE, ApplyKind.UNDO]


def test_verify_reads_everything_back_and_finds_damage(changed: Bench) -> None:
    apply_id = applied(changed)
    service = BackupService(changed.home)
    assert service.verify(apply_id) == sum(len(content) for content in {b"print('one')\n", b"old\n", b"a", b"b"}) + 2304
    kept = next((changed.home / "backups" / "objects").glob("??/*"))
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    with pytest.raises(BackupCorruptError):
        service.verify(apply_id)


def test_a_damaged_backup_restores_nothing(changed: Bench) -> None:
    apply_id = applied(changed)
    after = facts(changed.project)
    for kept in (changed.home / "backups" / "objects").glob("??/*"):
        kept.write_bytes(kept.read_bytes()[:-3])
    with pytest.raises(BackupCorruptError):
        BackupService(changed.home).restore(apply_id)
    assert facts(changed.project) == after
    assert changed.temporary_names() == []


def test_equal_contents_are_kept_once_and_compressed(bench: Bench) -> None:
    for name in ("one", "two"):
        (bench.project / name).write_bytes(b"same" * 10_000)
    bench.start()
    for name in ("one", "two"):
        (bench.head / name).unlink()
    bench.seal()
    bench.apply()
    (kept,) = (bench.home / "backups" / "objects").glob("??/*")
    assert kept.stat().st_size < 1_000
    assert kept.stat().st_mode & 0o777 == 0o600


def test_old_backups_are_collected_and_newer_ones_keep_their_contents(changed: Bench) -> None:
    clock = ManualClock()
    service = BackupService(changed.home, clock)
    with changed.compared() as (found, _, new):
        first = Applier(changed.home, clock).apply(changed.project, found, new, changed.baseline)
    clock.advance(timedelta(days=3))
    assert first.id is not None
    undo = Applier(changed.home, clock).undo(first.id)
    assert undo.id is not None
    would = service.collect(older_than=timedelta(days=2), dry_run=True)
    assert would.apply_ids == (first.id,)
    done = service.collect(older_than=timedelta(days=2))
    assert done == would
    assert [backup.apply_id for backup in service.backups()] == [undo.id]
    assert service.verify(undo.id) > 0
    with pytest.raises(NotFoundError):
        service.restore(first.id)


def test_what_applies_of_a_gone_execution_replaced_goes_with_it(changed: Bench) -> None:
    with changed.compared() as (found, _, new):
        origin = Origin("e1", "c1")
        report = Applier(changed.home).apply(changed.project, found, new, changed.baseline, origin=origin)
    service = BackupService(changed.home)
    assert service.collect(is_gone=lambda execution: execution == "e2").apply_ids == ()
    assert service.collect(is_gone=lambda execution: execution == "e1").apply_ids == (report.id,)
    assert list((changed.home / "backups" / "objects").glob("??/*")) == []


def test_the_oldest_backups_go_when_they_take_too_much_room(changed: Bench) -> None:
    apply_id = applied(changed)
    service = BackupService(changed.home)
    assert service.collect(keep_bytes=1 << 30).apply_ids == ()
    collected = service.collect(keep_bytes=10)
    assert collected.apply_ids == (apply_id,)
    assert collected.contents == 5
    assert list((changed.home / "backups" / "objects").glob("??/*")) == []


def test_a_damaged_content_is_replaced_when_it_is_kept_again(changed: Bench) -> None:
    store = ContentStore(changed.home / "backups")
    with (changed.project / "data.bin").open("rb") as file:
        digest = store.put(file.fileno())
    (path,) = (changed.home / "backups" / "objects").glob("??/*")
    path.write_bytes(b"broken")
    with (changed.project / "data.bin").open("rb") as file:
        assert store.put(file.fileno()) == digest
    assert store.verify(digest) == 2304
