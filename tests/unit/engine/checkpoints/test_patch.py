"""Exported patches: what `git apply` makes of them is what the steps made."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from engine.checkpoints.git_binary import MAX_SEARCH_BYTES, delta
from engine.checkpoints.patch import quoted, write_patch
from sandbox.errors import LayerCorruptError
from sandbox.workspace.changes import ChangeKind
from tests.unit.engine.checkpoints.project_bench import Bench, Facts, facts
from tests.unit.engine.checkpoints.random_trees import TREES, Node, put

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="compares with git itself")


def patch_of(bench: Bench) -> tuple[bytes, dict[bytes, str]]:
    out = io.BytesIO()
    with bench.compared() as (found, old, new):
        left_out = write_patch(found, old, new, out)
    return out.getvalue(), {item.path: item.reason for item in left_out}


def git_apply(patch: bytes, directory: Path, *options: str) -> None:
    """In a directory of the test's own, with no configuration of anybody's."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(directory.parent), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CEILING_DIRECTORIES": str(directory.parent), "LC_ALL": "C",
    }  # fmt: skip
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, "-"],
        input=patch, cwd=directory, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, repr(done.stderr) + "\n" + repr(patch)


def leaves(found: Facts) -> Facts:
    """What git records: no directories, of modes only whether it can be executed."""
    return {path: (kind, mode & 0o100, content) for path, (kind, mode, content) in found.items() if kind != "dir"}


def without_empty_directories(directory: Path) -> None:
    """As a clone has it."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not os.listdir(path):
            path.rmdir()


def bench_of(before: dict[bytes, Node], after: dict[bytes, Node], directory: Path) -> Bench:
    bench = Bench(directory)
    put(before, bench.project)
    bench.start()
    put(after, bench.head)
    bench.seal()
    return bench


@needs_git
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=TREES, after=TREES)
@example(before={b"a": ("file", b"", 0o644)}, after={b"a": ("file", b"", 0o755)})
@example(before={b"a": ("file", b"x", 0o644)}, after={b"a": {b"b": ("link", b"nowhere", 0)}})
@example(before={b"a": {b"b": ("file", b"x\0", 0o644)}}, after={b"a": ("link", b"nowhere", 0)})
@example(before={b"a": ("link", b"nowhere", 0)}, after={b"a": ("file", b"\0\0", 0o755)})
@example(before={}, after={b" x ": ("file", b"", 0o755), b"new\nline": ("link", b"no where", 0)})
def test_git_makes_the_same_tree_of_a_clean_copy_and_back(before, after) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = bench_of(before, after, Path(directory))
        patch, left_out = patch_of(bench)
        assert all("empty director" in r or "modes of director" in r for r in left_out.values())
        if not patch:
            assert leaves(facts(bench.project)) == leaves(facts(bench.head))
            return
        copy = Path(directory) / "copy"
        shutil.copytree(bench.project, copy, symlinks=True)
        without_empty_directories(copy)
        git_apply(patch, copy)
        assert leaves(facts(copy)) == leaves(facts(bench.head))
        with bench.compared() as (found, _, _new):
            replaced = any(change.kind is ChangeKind.TYPE_CHANGED for change in found)
        if not replaced:  # taking back a link in the place of a directory is beyond git itself
            git_apply(patch, copy, "-R")
            assert leaves(facts(copy)) == leaves(facts(bench.project))


@needs_git
@pytest.mark.parametrize("size", [0, 1, 51, 52, 53, 26, 27, 1000, 100_000, 3_000_000])
def test_git_takes_binary_files_of_any_size_whole_and_as_delta(bench: Bench, size: int) -> None:
    noise = random.Random(size)
    (bench.project / "moved").write_bytes(b"\0" + noise.randbytes(size))
    bench.start()
    content = (bench.head / "moved").read_bytes()
    half = len(content) // 2
    (bench.head / "moved").write_bytes(content[half:] + b"between\0" + content[:half] + content[: half // 3])
    (bench.head / "fresh").write_bytes(b"\0" + noise.randbytes(size))
    bench.seal()
    patch, _ = patch_of(bench)
    if 1000 <= size <= MAX_SEARCH_BYTES:
        assert b"\ndelta " in patch
    git_apply(patch, bench.project)
    assert leaves(facts(bench.project)) == leaves(facts(bench.head))


@needs_git
def test_git_takes_a_text_too_large_to_compare(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.checkpoints.patch.MAX_TEXT_BYTES", 10)
    (bench.project / "text").write_text("a line\n" * 100)
    bench.start()
    (bench.head / "text").write_text("a line\n" * 99 + "another\n")
    bench.seal()
    patch, _ = patch_of(bench)
    assert b"GIT binary patch" in patch
    git_apply(patch, bench.project)
    assert leaves(facts(bench.project)) == leaves(facts(bench.head))


def test_what_a_patch_cannot_say_is_left_out_and_told(bench: Bench) -> None:
    (bench.project / "private").write_text("x")
    bench.start()
    (bench.head / "private").chmod(0o600)
    (bench.head / "void").mkdir()
    (bench.head / ".git").mkdir()
    (bench.head / ".git" / "config").write_text("[core]\n\tfsmonitor = evil\n")
    os.mkfifo(bench.head / "pipe")
    (bench.head / "src").chmod(0o700)
    bench.seal()
    patch, left_out = patch_of(bench)
    assert patch == b""
    assert set(left_out) == {b"private", b"void", b".git", b".git/config", b"pipe", b"src"}


def test_permissions_that_git_does_not_record_are_told_though_the_file_is_in_the_patch(bench: Bench) -> None:
    (bench.project / "edited").write_text("old\n")
    bench.start()
    (bench.head / "key").write_text("k\n")
    (bench.head / "key").chmod(0o600)
    (bench.head / "edited").write_text("new\n")
    (bench.head / "edited").chmod(0o640)
    (bench.head / "usual").write_text("u\n")
    bench.seal()
    patch, left_out = patch_of(bench)
    assert left_out == {
        b"key": "its mode 0600: git records only whether a file can be executed",
        b"edited": "its mode 0640: git records only whether a file can be executed",
    }
    assert all(name in patch for name in (b"b/key", b"b/edited", b"b/usual"))


def test_a_patch_is_not_made_of_content_that_is_not_what_was_recorded(changed: Bench) -> None:
    (changed.head / "src/new.py").write_text("bad")
    with pytest.raises(LayerCorruptError):
        patch_of(changed)


def test_the_same_change_gives_the_same_bytes(changed: Bench) -> None:
    assert patch_of(changed) == patch_of(changed)


def test_names_are_quoted_as_git_quotes_them() -> None:
    assert quoted(b"plain name") == b"plain name"
    assert quoted(b'a"b') == b'"a\\"b"'
    assert quoted("é".encode()) == b'"\\303\\251"'
    assert quoted(b"\x01\t\n\\\x7f") == b'"\\001\\t\\n\\\\\\177"'


def test_a_delta_that_saves_nothing_is_not_used() -> None:
    assert delta(b"\0" * 10, random.Random(1).randbytes(100)) is None
    assert delta(b"", b"x") is None
