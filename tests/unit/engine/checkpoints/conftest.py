"""The bench that tests of apply, undo and export work at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.checkpoints.project_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A small project with one of everything; the execution is not started."""
    bench = Bench(tmp_path)
    project = bench.project
    (project / "src").mkdir()
    (project / "src" / "main.py").write_text("print('one')\n")
    (project / "src" / "old.py").write_text("old\n")
    (project / "data.bin").write_bytes(bytes(range(256)) * 9)
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    (project / "link").symlink_to("src/main.py")
    (project / "gone").mkdir()
    (project / "gone" / "a").write_text("a")
    (project / "gone" / "b").write_text("b")
    (project / "empty").mkdir()
    return bench


@pytest.fixture
def changed(bench: Bench) -> Bench:
    """The same after an execution that made one of every kind of change."""
    bench.start()
    head = bench.head
    (head / "src" / "main.py").write_text("print('two')\n")
    (head / "src" / "old.py").unlink()
    (head / "src" / "new.py").write_text("new\n")
    (head / "data.bin").write_bytes(bytes(reversed(range(256))) * 9)
    (head / "run.sh").chmod(0o700)
    (head / "link").unlink()
    (head / "link").symlink_to("src/new.py")
    for name in ("a", "b"):
        (head / "gone" / name).unlink()
    (head / "gone").rmdir()
    (head / "empty").rmdir()
    (head / "empty").write_text("a file now")
    (head / "deep" / "er").mkdir(parents=True)
    (head / "deep" / "er" / "file").write_text("deep")
    (head / "deep" / "void").mkdir()
    (head / "deep" / "there").symlink_to("er")
    bench.seal()
    return bench
