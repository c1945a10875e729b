"""Differences as people see them: right, bounded and safe to print."""

from __future__ import annotations

import os

from engine.checkpoints.render import DEFAULT_LIMITS, FileStat, RenderLimits, render, summarize, visible
from sandbox.workspace.changes import ChangeKind
from tests.unit.engine.checkpoints.project_bench import Bench


def rendered(bench: Bench, limits: RenderLimits = DEFAULT_LIMITS) -> list[str]:
    with bench.compared() as (found, old, new):
        return list(render(found, old, new, limits))


def stats(bench: Bench) -> dict[bytes, FileStat]:
    with bench.compared() as (found, old, new):
        return {file.path: file for file in summarize(found, old, new).files}


def test_every_kind_of_change_is_shown(changed: Bench) -> None:
    text = "\n".join(rendered(changed))
    assert "-print('one')\n+print('two')" in text
    assert "diff --git a/run.sh b/run.sh\nold mode 100755\nnew mode 100700" in text
    assert "-src/main.py\n\\ No newline at end of file\n+src/new.py" in text
    assert "Contents differ: 2304 bytes sha256" in text
    assert "was a directory mode 0755\nis a file mode 100644" in text
    assert "deleted file mode 100644\n--- a/gone/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-a" in text
    assert "new directory mode 0755" in text


def test_counts_are_those_of_the_diff(changed: Bench) -> None:
    found = stats(changed)
    main = found[b"src/main.py"]
    assert (main.kind, main.added, main.removed) == (ChangeKind.MODIFIED, 1, 1)
    assert (found[b"data.bin"].added, found[b"data.bin"].old_size) == (None, 2304)
    assert (found[b"run.sh"].added, found[b"run.sh"].old_mode, found[b"run.sh"].new_mode) == (0, 0o755, 0o700)
    with changed.compared() as (changes, old, new):
        stat = summarize(changes, old, new)
    assert (stat.added, stat.removed) == (6, 5)


def test_nothing_that_moves_a_cursor_or_turns_text_around_is_printed(bench: Bench) -> None:
    bench.start()
    (bench.head / "evil\x1b[2J").write_bytes("a\x1b[31m\u202eb\u200b\r\nback\\slash\ttab\n".encode() + b"\xff\n")
    bench.seal()
    text = "\n".join(rendered(bench))
    assert not {"\x1b", "\u202e", "\u200b", "\r"} & set(text)
    assert "+a\\x1b[31m\\u202eb\\u200b\\r" in text
    assert "+back\\slash\ttab" in text
    assert "+\\xff" in text
    assert "b/evil\\x1b[2J" in text


def test_cuts_are_told(bench: Bench) -> None:
    (bench.project / "long").write_text("".join(f"{n}\n" for n in range(500)))
    bench.start()
    (bench.head / "long").write_text("".join(f"new {n}\n" for n in range(500)))
    (bench.head / "z").write_text("last\n")
    (bench.head / "large").write_text("x" * 2000)
    bench.seal()
    lines = rendered(bench, RenderLimits(file_lines=20, file_bytes=1999 + 1 + 4000))
    assert "... cut after 20 lines of the diff; 1000 lines changed in all" in lines
    assert "+last" in lines
    assert rendered(bench, RenderLimits(total_lines=10))[-1] == "... 2 of 3 changes are not, or not wholly, shown"
    assert any("Contents differ: nothing -> 2000 bytes" in line for line in rendered(bench, RenderLimits(1000)))


def test_a_long_line_is_cut_with_its_length() -> None:
    assert visible(b"x" * 50, 10) == "xxxxxxxxxx... (50 bytes)"
    assert visible(b"", 10) == ""
    assert visible(b".", 10) == "."


def test_special_files_are_told_and_not_opened(bench: Bench) -> None:
    bench.start()
    os.mkfifo(bench.head / "pipe")
    bench.seal()
    assert "new fifo (never applied) mode 0644" in rendered(bench)


def test_hostile_texts_are_compared_in_bounded_time(bench: Bench) -> None:
    (bench.project / "text").write_bytes(b"a\nb\n" * 50_000)
    bench.start()
    (bench.head / "text").write_bytes(b"b\nb\na\n" * 40_000)
    bench.seal()
    assert stats(bench)[b"text"].added is not None
