"""What `apply` brings into the user's directory, and what stops it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.checkpoints.planning import NoteKind
from engine.checkpoints.records import ApplyRecords
from engine.checkpoints.staging import Point
from engine.errors import ApplyConflictError, ApplyRefusedError, NotFoundError
from sandbox.errors import HostDiskFullError, LayerCorruptError, StoreBusyError
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from tests.unit.engine.checkpoints.project_bench import Bench, facts, times


def test_the_project_becomes_what_the_steps_made(changed: Bench) -> None:
    report = changed.apply()
    assert facts(changed.project) == facts(changed.head)
    assert changed.temporary_names() == []
    assert b"src/new.py" in report.added
    assert b"src/main.py" in report.modified
    assert b"gone/a" in report.deleted


def test_only_changed_paths_are_touched(changed: Bench) -> None:
    (changed.project / "untouched").write_text("mine")
    before = (changed.project / "untouched").stat()
    changed.apply()
    assert (changed.project / "untouched").stat() == before


def test_undo_brings_everything_back_with_times(changed: Bench) -> None:
    before, stamps = facts(changed.project), times(changed.project)
    changed.apply()
    changed.undo()
    assert facts(changed.project) == before
    assert times(changed.project) == stamps
    assert changed.temporary_names() == []


def test_what_is_undone_can_be_applied_again_but_not_undone_twice(changed: Bench) -> None:
    changed.apply()
    changed.undo()
    with pytest.raises(NotFoundError, match="there is no apply of execution e1 to undo: it was never applied, or what"):
        changed.undo()
    changed.apply(force=True)
    assert facts(changed.project) == facts(changed.head)


def test_a_second_apply_has_nothing_to_do(changed: Bench) -> None:
    changed.apply()
    assert changed.apply().id is None


def test_planning_writes_nothing(changed: Bench) -> None:
    before = facts(changed.project)
    plan = changed.plan()
    assert plan.operations
    assert facts(changed.project) == before


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda p: (p / "src/main.py").write_text("mine\n"), "bytes now"),
        (lambda p: (p / "src/main.py").write_text("print('own')\n"), "content was changed"),
        (lambda p: (p / "src/main.py").unlink(), "deleted meanwhile"),
        (lambda p: (p / "src/main.py").chmod(0o600), "mode was changed"),
        (lambda p: (p / "src/new.py").write_text("mine"), "created meanwhile"),
        (lambda p: (p / "src/old.py").write_text("own"), "bytes now"),
        (lambda p: (p / "data.bin").unlink() or (p / "data.bin").mkdir(), "is a directory now"),
        (lambda p: (p / "link").unlink() or (p / "link").symlink_to("run.sh"), "points somewhere else"),
    ],
)
def test_a_file_that_the_user_changed_is_a_conflict_and_nothing_is_written(changed, edit, reason) -> None:
    edit(changed.project)
    before = facts(changed.project)
    with pytest.raises(ApplyConflictError) as caught:
        changed.apply()
    assert len(caught.value.conflicts) == 1
    assert reason in caught.value.conflicts[0][1]
    assert facts(changed.project) == before


def test_force_overrides_a_conflict_and_undo_brings_the_users_version_back(changed: Bench) -> None:
    (changed.project / "src/main.py").write_text("mine\n")
    report = changed.apply(force=True)
    assert [note.path for note in report.notes if note.kind is NoteKind.OVERRIDDEN] == [b"src/main.py"]
    assert facts(changed.project) == facts(changed.head)
    changed.undo()
    assert (changed.project / "src/main.py").read_text() == "mine\n"


def test_force_does_not_replace_a_directory_that_was_never_seen(changed: Bench) -> None:
    (changed.project / "src/new.py").mkdir()
    (changed.project / "src/new.py/treasure").write_text("x")
    with pytest.raises(ApplyConflictError):
        changed.apply(force=True)
    assert (changed.project / "src/new.py/treasure").exists()


def test_a_file_changed_during_the_execution_is_a_conflict_even_if_steps_saw_the_change(bench: Bench) -> None:
    bench.start()
    (bench.project / "src/main.py").write_text("changed while it ran\n")
    (bench.head / "src/main.py").write_text("by a step\n")
    bench.seal()
    with pytest.raises(ApplyConflictError, match="while the execution ran"):
        bench.apply()


def test_a_file_that_was_touched_but_has_its_content_is_no_conflict(changed: Bench) -> None:
    os.utime(changed.project / "src/main.py")
    changed.apply()
    assert facts(changed.project) == facts(changed.head)


def test_a_file_added_to_a_deleted_directory_stays_and_so_does_the_directory(changed: Bench) -> None:
    (changed.project / "gone/mine").write_text("mine")
    report = changed.apply()
    assert facts(changed.project / "gone") == {"mine": ("file", 0o644, b"mine")}
    assert (b"gone/mine", NoteKind.KEPT) in [(note.path, note.kind) for note in report.notes]
    assert [found.path for found in report.stayed] == [b"gone"]


def test_a_directory_that_gained_a_file_is_not_replaced_by_one(changed: Bench) -> None:
    (changed.project / "empty/mine").write_text("mine")
    with pytest.raises(ApplyConflictError, match="empty/mine"):
        changed.apply(force=True)
    assert (changed.project / "empty/mine").read_text() == "mine"


def test_what_was_hidden_from_the_steps_is_never_overwritten(bench: Bench) -> None:
    (bench.project / ".env").write_text("SECRET=1")
    bench.start()
    (bench.head / ".env").write_text("OVER=1")
    bench.seal(hide=Manifest([Entry(b".env", EntryKind.WHITEOUT)]))
    with pytest.raises(ApplyConflictError):
        bench.apply()
    assert (bench.project / ".env").read_text() == "SECRET=1"


def test_nothing_goes_through_a_link_that_took_a_directorys_place(changed: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (changed.project / "src").rename(outside)
    (changed.project / "src").symlink_to(outside)
    before = facts(outside)
    with pytest.raises(ApplyConflictError):
        changed.apply(force=True)
    assert facts(outside) == before


def test_a_link_swapped_in_during_the_apply_leads_nowhere_and_all_is_taken_back(changed: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "main.py").write_text("secret")
    moved = tmp_path / "moved"

    def swap(point: Point) -> None:
        if point is Point.STAGED:
            (changed.project / "src").rename(moved)
            (changed.project / "src").symlink_to(outside)

    with pytest.raises(ApplyConflictError):
        changed.apply(at=swap)
    assert facts(outside) == {"main.py": ("file", 0o644, b"secret")}
    assert (changed.project / "data.bin").read_bytes() == bytes(range(256)) * 9


def test_a_file_changed_in_the_last_moment_is_kept_and_all_is_taken_back(changed: Bench) -> None:
    stamps = times(changed.project)

    def edit(point: Point) -> None:
        if point is Point.STAGED:
            (changed.project / "src/old.py").write_text("OLD\n")

    before = facts(changed.project)
    with pytest.raises(ApplyConflictError, match="while it was applied"):
        changed.apply(at=edit)
    before["src/old.py"] = ("file", 0o644, b"OLD\n")
    assert facts(changed.project) == before
    stamps.pop("src/old.py")
    assert stamps.items() <= times(changed.project).items()


def test_an_apply_to_another_directory_is_refused(changed: Bench) -> None:
    changed.project.rename(changed.directory / "elsewhere")
    changed.project.mkdir()
    with pytest.raises(ApplyConflictError, match="not the directory"):
        changed.apply(force=True)


def test_two_applies_at_once_exclude_each_other(changed: Bench) -> None:
    status = changed.project.stat()
    with ApplyRecords(changed.home).project_locked(status.st_dev, status.st_ino), pytest.raises(StoreBusyError):
        changed.apply()
    changed.apply()


def test_content_that_is_not_what_was_recorded_is_not_applied(changed: Bench) -> None:
    before = facts(changed.project)
    (changed.head / "src/main.py").write_text("print('bad')\n")
    with pytest.raises(LayerCorruptError, match=r"src/main\.py"):
        changed.apply()
    assert facts(changed.project) == before
    assert changed.temporary_names() == []


@pytest.mark.parametrize("point", list(Point)[:5])
def test_an_error_before_the_commit_point_takes_everything_back(changed: Bench, point: Point) -> None:
    before, stamps = facts(changed.project), times(changed.project)

    class Boom(Exception):
        pass

    def fail(reached: Point) -> None:
        if reached is point:
            raise Boom

    with pytest.raises(Boom):
        changed.apply(at=fail)
    assert facts(changed.project) == before
    assert times(changed.project) == stamps


def test_modes_are_normalised_and_told(bench: Bench) -> None:
    bench.start()
    for name, mode in (("suid", 0o4755), ("wide", 0o777), ("plain", 0o640)):
        (bench.head / name).write_text(name)
        (bench.head / name).chmod(mode)
    bench.seal()
    report = bench.apply()
    modes = {name: (bench.project / name).stat().st_mode & 0o7777 for name in ("suid", "wide", "plain")}
    assert modes == {"suid": 0o755, "wide": 0o755, "plain": 0o640}
    assert {note.path for note in report.notes if note.kind is NoteKind.MODE} == {b"suid", b"wide"}


def test_a_mode_that_the_users_file_has_already_is_kept(bench: Bench) -> None:
    (bench.project / "src/main.py").chmod(0o664)
    bench.start()
    (bench.head / "src/main.py").write_text("x")
    bench.seal()
    bench.apply()
    assert (bench.project / "src/main.py").stat().st_mode & 0o7777 == 0o664


def test_a_mode_does_not_change_through_another_name_of_the_file(bench: Bench) -> None:
    outside = bench.directory / "other-name"
    os.link(bench.project / "run.sh", outside)
    bench.start()
    (bench.head / "run.sh").chmod(0o600)
    bench.seal()
    bench.apply()
    assert outside.stat().st_mode & 0o7777 == 0o755
    assert (bench.project / "run.sh").stat().st_mode & 0o7777 == 0o600


def test_a_fifo_is_refused_and_nothing_is_written(bench: Bench) -> None:
    bench.start()
    os.mkfifo(bench.head / "pipe")
    (bench.head / "other").write_text("x")
    bench.seal()
    with pytest.raises(ApplyRefusedError, match="pipe"):
        bench.apply("**")
    assert not (bench.project / "other").exists()


def test_leaving_out_applies_the_rest(bench: Bench) -> None:
    bench.start()
    os.mkfifo(bench.head / "pipe")
    (bench.head / ".git").mkdir()
    (bench.head / ".git/config").write_text("[core]")
    (bench.head / "other").write_text("x")
    bench.seal()
    report = bench.apply(leave_out=True)
    assert (bench.project / "other").exists()
    assert not (bench.project / ".git").exists()
    assert {n.path for n in report.notes if n.kind is NoteKind.LEFT_OUT} == {b"pipe", b".git", b".git/config"}


def test_deleting_most_of_the_project_needs_to_be_named(bench: Bench) -> None:
    for number in range(30):
        (bench.project / f"file{number}").write_text("x")
    bench.start()
    for path in bench.head.iterdir():
        if path.name.startswith("file"):
            path.unlink()
    bench.seal()
    with pytest.raises(ApplyRefusedError, match="30 of its"):
        bench.apply()
    assert (bench.project / "file1").exists()
    bench.apply("file*")
    assert not (bench.project / "file1").exists()


def test_no_room_is_an_error_and_nothing_is_written(changed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.checkpoints.backing.RESERVE_BYTES", 1 << 62)
    before = facts(changed.project)
    with pytest.raises(HostDiskFullError):
        changed.apply()
    assert facts(changed.project) == before


def test_names_of_any_bytes_are_applied(bench: Bench) -> None:
    bench.start()
    names = [b"\xff\xfe", b"new\nline", b"\x1b[31m", "\u202e".encode(), b"-rf", b" ", b"..x", b"x" * 250]
    for name in names:
        (bench.head / os.fsdecode(name)).write_bytes(name)
    bench.seal()
    bench.apply()
    assert facts(bench.project) == facts(bench.head)
    bench.undo()
    assert not (bench.project / "-rf").exists()


def test_a_project_path_of_any_bytes_is_applied_to_and_undone(tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b'a,b:c\\d"e\n\xff')
    directory.mkdir()
    bench = Bench(directory)
    (bench.project / "f").write_text("old")
    bench.start()
    (bench.head / "f").write_text("new")
    bench.seal()
    bench.apply()
    assert (bench.project / "f").read_text() == "new"
    bench.undo()
    assert (bench.project / "f").read_text() == "old"


def test_names_that_this_file_system_folds_are_not_applied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def folding_look(directory_fd: int, name: bytes) -> os.stat_result | None:
        for found in os.listdir(directory_fd):
            if os.fsencode(found).lower() == name.lower():
                return os.stat(found, dir_fd=directory_fd, follow_symlinks=False)
        return None

    bench.start()
    (bench.head / "README").write_text("one")
    (bench.head / "readme").write_text("two")
    bench.seal()
    before = facts(bench.project)
    with monkeypatch.context() as patched:
        patched.setattr("engine.checkpoints.staging.look", folding_look)
        with pytest.raises(ApplyConflictError, match="same name as readme"):
            bench.apply()
    assert facts(bench.project) == before
    bench.apply()
    assert facts(bench.project) == facts(bench.head)


def test_undo_of_a_changed_file_is_a_conflict_and_force_overrides_it(changed: Bench) -> None:
    before = facts(changed.project)
    changed.apply()
    (changed.project / "src/main.py").write_text("mine since\n")
    with pytest.raises(ApplyConflictError, match="changed since it was applied"):
        changed.undo()
    assert (changed.project / "src/new.py").exists()
    changed.undo(force=True)
    assert facts(changed.project) == before


def test_undo_keeps_a_new_directory_that_has_the_users_files(changed: Bench) -> None:
    changed.apply()
    (changed.project / "deep/mine").write_text("mine")
    report = changed.undo()
    assert facts(changed.project / "deep") == {"mine": ("file", 0o644, b"mine")}
    assert b"deep" in {found.path for found in report.stayed}


def test_one_path_is_restored_with_the_directory_it_was_in(changed: Bench) -> None:
    applied = changed.apply()
    assert applied.id is not None
    changed.applier().restore(applied.id, [b"gone/a"])
    assert facts(changed.project / "gone") == {"a": ("file", 0o644, b"a")}
    assert (changed.project / "src/new.py").exists()
    with pytest.raises(NotFoundError):
        changed.applier().restore(applied.id, [b"never/there"])


@pytest.mark.root
def test_new_files_belong_to_the_owner_of_the_project(changed: Bench) -> None:
    os.chown(changed.project, 1234, 1235)
    os.chown(changed.project / "src/main.py", 1236, 1237)
    changed.seal()
    changed.apply()
    owners = {
        name: ((s := (changed.project / name).lstat()).st_uid, s.st_gid)
        for name in ("src/new.py", "deep/er/file", "deep/there", "src/main.py")
    }
    assert owners == {
        "src/new.py": (1234, 1235), "deep/er/file": (1234, 1235), "deep/there": (1234, 1235),
        "src/main.py": (1236, 1237),
    }  # fmt: skip
