"""`diff`, `export` and `apply`."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.checkpoints.apply import Applier, ApplyReport
from engine.cli.difference import checkpoints_of
from engine.cli.output import Output, Terminal
from engine.errors import ApplyConflictError, ApplyRefusedError
from tests.unit.engine.cli.fake_application import ID, FakeApplication, Script

Sandstone = Callable[..., int]


@pytest.fixture
def ran(
    make_application: Callable[..., FakeApplication],
    sandstone: Sandstone,
    plan_file: Path,
    trees: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> FakeApplication:
    application = make_application(Script(trees=trees))
    sandstone(application, "run", plan_file, "-w", "/project")
    application.results.compared.clear()
    capsys.readouterr()
    return application


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (None, (None, None)),
        ("c1..c3", ("c1", "c3")),
        ("c1..", ("c1", None)),
        ("..c3", (None, "c3")),
        ("c1", ("c1", None)),
    ],
)
def test_ranges_of_checkpoints(text: str | None, ends: tuple[str | None, str | None]) -> None:
    assert checkpoints_of(text) == ends


def test_a_diff_is_shown_escaped(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "diff", "last") == 0
    shown = capsys.readouterr().out
    assert "+    return a if not b else gcd(b, a % b)\n" in shown
    assert "diff --git a/bad\\x1b[2J b/bad\\x1b[2J\n" in shown
    assert "+print('\\x1b[31m')\n" in shown
    assert "\x1b" not in shown


def test_a_diff_is_coloured_when_asked(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "--color", "always", "diff", "last")
    shown = capsys.readouterr().out
    assert "\x1b[31m-    return a\x1b[0m\n" in shown
    assert "\x1b[1m--- a/gcd.py\x1b[0m\n" in shown
    assert "\x1b[36m@@ " in shown


def test_a_diffstat_lists_every_file(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "diff", "last", "--stat")
    assert (
        capsys.readouterr().out
        == """\
D bad\\x1b[2J | 1 -
M gcd.py     | 2 +-
A new/a.py   | 2 ++
A new/data   | nothing -> 3 B
M run.sh     | mode 0644 -> 0755
2 added, 2 modified, 1 deleted; +3 -2 lines
"""
    )


def test_a_diff_as_json_names_its_ends(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "diff", "last", "new-test..", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (shown["execution_id"], shown["from"], shown["to"]) == (ID, "c1", "c2")
    assert shown["counts"] == {"added": 2, "modified": 2, "deleted": 1}
    by_path = {change["path"]: change for change in shown["changes"]}
    assert by_path["gcd.py"]["added_lines"] == 1
    assert by_path["new/data"]["added_lines"] is None
    assert by_path["bad\x1b[2J"]["new"] is None
    assert ran.results.compared == [("new-test", None)]


def test_the_exit_code_tells_differences_only_when_asked(
    ran: FakeApplication, sandstone: Sandstone, trees: tuple[Path, Path]
) -> None:
    assert sandstone(ran, "diff", "last", "--exit-code") == 1
    ran.script.trees = (trees[0], trees[0])
    assert sandstone(ran, "diff", "last", "--exit-code") == 0


def test_a_checkpoint_that_does_not_exist_ends_with_2(ran: FakeApplication, sandstone: Sandstone) -> None:
    assert sandstone(ran, "diff", "last", "c7..") == 2


def test_a_patch_is_written_to_a_file(
    ran: FakeApplication, sandstone: Sandstone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "fix.patch"
    assert sandstone(ran, "export", "last", "--patch", target) == 0
    assert b"GIT binary patch" in target.read_bytes()
    assert capsys.readouterr().out == ""


def test_a_tar_goes_to_standard_output(
    ran: FakeApplication, sandstone: Sandstone, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = io.BytesIO()
    monkeypatch.setattr(Output, "result_bytes", lambda self, data: target.write(data))
    assert sandstone(ran, "export", "last", "--tar", "-") == 0
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        assert "files/new/a.py" in tar.getnames()


def test_nothing_raw_is_written_to_a_terminal(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr("engine.cli.output.terminal_of", lambda *_: Terminal(is_terminal=True))
    assert sandstone(ran, "export", "last", "--patch", "-") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "not written to a terminal" in shown.err


def test_an_export_to_where_nothing_can_be_written_ends_with_3(
    ran: FakeApplication, sandstone: Sandstone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "export", "last", "--tar", tmp_path / "no" / "x.tar") == 3
    assert "No such file or directory" in capsys.readouterr().err


def test_apply_tells_what_it_did_and_how_to_take_it_back(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "apply", "last", "--allow", ".github/**", "--allow", "*.pth", "--force") == 0
    shown = capsys.readouterr()
    assert (
        shown.out
        == """\
A a\\x1b[2J
M b
M c
applied in /project: 1 added, 2 modified
"""
    )
    assert (
        shown.err
        == """\
note: Makefile: runs on your machine later
note: d: not empty
take it back with: sandstone apply 0123456789ab --undo
"""
    )
    assert ran.results.applied == [{"id": ID, "dry_run": False, "force": True, "allow": [".github/**", "*.pth"]}]


def test_a_dry_run_says_would(ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandstone(ran, "apply", "last", "--dry-run") == 0
    assert "would be applied in /project: 1 added, 2 modified\n" in capsys.readouterr().out


def test_undo_takes_the_last_apply_back(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "apply", "last", "--undo", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["undo"], shown["apply_id"], shown["added"]) == (True, "a2", [{"path": "a\x1b[2J"}])
    assert ran.results.applied[-1]["undo"] is True


def test_undo_with_allow_is_refused(ran: FakeApplication, sandstone: Sandstone) -> None:
    assert sandstone(ran, "apply", "last", "--undo", "--allow", "x") == 2
    assert ran.results.applied == []


@pytest.mark.parametrize("kind", [ApplyConflictError, ApplyRefusedError])
def test_what_keeps_an_apply_from_writing_ends_with_5_and_a_list(
    kind: type[ApplyConflictError] | type[ApplyRefusedError],
    ran: FakeApplication,
    sandstone: Sandstone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran.script.apply_error = kind([("gcd.py", "changed \x1b[2J"), ("b", "gone")])
    assert sandstone(ran, "apply", "last") == 5
    shown = capsys.readouterr().err
    assert "  gcd.py: changed \\x1b[2J\n  b: gone\nhint: " in shown


@pytest.mark.parametrize(("kind", "key"), [(ApplyConflictError, "conflicts"), (ApplyRefusedError, "refused")])
def test_what_keeps_an_apply_from_writing_is_one_json_object_too(
    kind: type[ApplyConflictError] | type[ApplyRefusedError],
    key: str,
    ran: FakeApplication,
    sandstone: Sandstone,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran.script.apply_error = kind([("gcd.py", "changed")])
    assert sandstone(ran, "apply", "last", "--dry-run", "--json") == 5
    shown = json.loads(capsys.readouterr().out)
    assert (shown["execution_id"], shown["exit_code"], shown["error_type"]) == (ID, 5, kind.__name__)
    assert shown[key] == [{"path": "gcd.py", "reason": "changed"}]


def test_a_diffstat_calls_a_special_file_by_its_kind(
    ran: FakeApplication, trees: tuple[Path, Path], sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(trees[1] / "pipe")
    (trees[1] / "void").mkdir()
    sandstone(ran, "diff", "last", "--stat")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines if line[2:6] in ("pipe", "void")] == ["fifo", "directory"]


def test_one_long_name_does_not_move_the_other_lines_of_a_diffstat(
    ran: FakeApplication, trees: tuple[Path, Path], sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    (trees[1] / ("x" * 200)).write_text("long\n")
    sandstone(ran, "diff", "last", "--stat")
    lines = {line[2:].split(" ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["x" * 200].startswith("A " + "x" * 200 + " | ")
    assert lines["gcd.py"].index(" | ") == 2 + 50


def test_an_undo_without_an_apply_says_why_and_where_to_look(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def undo(execution_id: str, **_: object) -> ApplyReport:
        Applier(ran.home).last(execution_id)
        raise AssertionError

    monkeypatch.setattr(ran.results, "undo", undo)
    assert sandstone(ran, "apply", "last", "--undo") == 2
    why = "it was never applied, or what was applied is undone already"
    assert capsys.readouterr().err == (
        f"error: there is no apply of execution {ID} to undo: {why}\n"
        f"hint: see what was applied and undone with `sandstone events {ID}`\n"
    )
