"""The program that runs inside the sandbox, run the way the sandbox runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.validation.archive import pack
from engine.validation.syntax import SyntaxCheck

SKIPPED = ".git:node_modules"


def command(root: Path) -> list[str]:
    """The words that run it."""
    archive = root.parent / "programs.zip"
    archive.write_bytes(pack(frozenset(SyntaxCheck.programs)))
    return [sys.executable, "-I", str(archive), "syntax"]


def run(root: Path, listing: str | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The findings and the last line."""
    arguments = [SKIPPED]
    if listing is not None:
        (root.parent / "listing").write_text(listing)
        arguments.append(str(root.parent / "listing"))
    with open(root.parent / "stderr", "w+b") as stderr:
        done = subprocess.run(
            [*command(root), *arguments],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=True,
        )
        stderr.seek(0)
        assert stderr.read() == b""
    *records, end = [json.loads(line) for line in done.stdout.splitlines()]
    return records, end


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def rules(records: list[dict[str, Any]]) -> dict[str, str]:
    return {record["file"]: record["rule"] for record in records}


@pytest.mark.parametrize(
    "source",
    [
        b"return 1\n",
        b"x = \xff\n",
        b"# coding: nonsense\n",
        b"a\x00b\n",
        b"(" * 500,
        b"-" * 100_000 + b"1",
        b"x = " + b"[" * 3000 + b"]" * 3000,
        b"def f():\n  nonlocal x\n",
        b"f'{'\n",
        b"1" * 5000,
    ],
)
def test_source_that_does_not_compile_is_found_whatever_is_wrong_with_it(root: Path, source: bytes) -> None:
    (root / "a.py").write_bytes(source)
    records, end = run(root)
    assert rules(records) == {"a.py": "syntax-error"}
    assert end == {"done": True, "files": 1, "left_out": 0, "others_left_out": 0, "notes": [], "part": "all"}


def test_odd_source_that_compiles_is_let_pass(root: Path) -> None:
    (root / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (root / "marked.py").write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    (root / "empty.py").write_bytes(b"")
    (root / "stub.pyi").write_bytes(b"def f(x: int) -> str: ...\n")
    assert run(root) == (
        [],
        {"done": True, "files": 4, "left_out": 0, "others_left_out": 0, "notes": [], "part": "all"},
    )


def test_invalid_escapes_are_warnings(root: Path) -> None:
    (root / "a.py").write_text("x = 1\ny = '\\d'\n")
    records, _ = run(root)
    assert [(it["rule"], it["severity"], it["line"]) for it in records] == [("syntax-warning", "warning", 2)]


def test_nothing_is_executed_or_imported(root: Path) -> None:
    (root / "a.py").write_text("import json_planted\nopen('made', 'w')\n")
    for name in ("json", "tomllib", "re", "os", "sitecustomize"):
        (root / f"{name}.py").write_text("open('made', 'w')\n")
    assert run(root)[0] == []
    assert not (root / "made").exists()


def test_links_pipes_and_skipped_directories_are_not_looked_into(root: Path) -> None:
    (root / "node_modules").mkdir()
    (root / "env").mkdir()
    (root / "env" / "pyvenv.cfg").touch()
    for place in ("node_modules", "env"):
        (root / place / "bad.py").write_text("(")
    os.mkfifo(root / "pipe.py")
    (root / "link.py").symlink_to("node_modules/bad.py")
    (root / "gone.py").symlink_to("nowhere")
    (root / "linked").symlink_to("node_modules")
    assert run(root) == (
        [],
        {"done": True, "files": 0, "left_out": 0, "others_left_out": 0, "notes": [], "part": "all"},
    )


def test_a_skipped_directory_is_looked_into_when_it_is_named(root: Path) -> None:
    (root / "node_modules").mkdir()
    (root / "node_modules" / "bad.py").write_text("(")
    (root / "other.py").write_text("(")
    assert rules(run(root, "./node_modules\n")[0]) == {"node_modules/bad.py": "syntax-error"}


def test_named_files_that_are_gone_count_as_nothing(root: Path) -> None:
    (root / "a.py").write_text("(")
    records, end = run(root, "./gone.py\n./a.py\n./README\n")
    assert (rules(records), end["files"]) == ({"a.py": "syntax-error"}, 1)


def test_json_that_may_have_comments_is_not_judged_as_json(root: Path) -> None:
    (root / ".vscode").mkdir()
    for name in ("tsconfig.json", "tsconfig.base.json", "deno.json", ".vscode/settings.json"):
        (root / name).write_text("{ // a comment\n}")
    (root / "package.json").write_text("{ // a comment\n}")
    assert rules(run(root)[0]) == {"package.json": "invalid-json"}


@pytest.mark.parametrize("data", [b"", b"{'a': 1}", b"[1,]", b"\xff\xfe\xfd", b"[" * 200_000, b'{"a": "\n"}'])
def test_json_that_does_not_parse_is_found(root: Path, data: bytes) -> None:
    (root / "a.json").write_bytes(data)
    assert rules(run(root)[0]) == {"a.json": "invalid-json"}


def test_numbers_of_any_length_are_json(root: Path) -> None:
    (root / "a.json").write_bytes(b"[" + b"1" * 10_000 + b", 1e999]")
    assert run(root)[0] == []


@pytest.mark.parametrize("data", [b"a = \n", b"a = 1\na = 2\n", b"\xff = 1\n", b"a = " + b"[" * 5000])
def test_toml_that_does_not_parse_is_found(root: Path, data: bytes) -> None:
    (root / "a.toml").write_bytes(data)
    assert rules(run(root)[0]) == {"a.toml": "invalid-toml"}


def test_what_is_too_large_or_unreadable_is_never_silent(root: Path) -> None:
    for name in ("big.py", "big.json"):
        with open(root / name, "wb") as stream:
            stream.truncate((4 << 20) + 1)
    records, _ = run(root)
    assert {(it["file"], it["rule"], it["severity"]) for it in records} == {
        ("big.py", "too-large", "error"),
        ("big.json", "too-large", "warning"),
    }


def test_a_flood_of_findings_is_counted(root: Path) -> None:
    for number in range(510):
        (root / f"{number:03}.py").write_text("(")
    records, end = run(root)
    assert (len(records), end["left_out"], end["files"]) == (500, 10, 510)


def test_warnings_take_no_room_from_errors(root: Path) -> None:
    for number in range(310):
        (root / f"a{number}.py").write_text("x = '\\d'\n")
    (root / "b.py").write_text("def f(:\n")
    records, end = run(root)
    assert [record["file"] for record in records if record["severity"] == "error"] == ["b.py"]
    assert (len(records), end["left_out"], end["others_left_out"]) == (301, 0, 10)


def test_a_name_that_is_not_utf8_is_reported_so_that_it_can_be_found(root: Path) -> None:
    path = os.path.join(os.fsencode(root), b"a\xff\n.py")
    with open(path, "wb") as stream:
        stream.write(b"(")
    (record,) = run(root)[0]
    assert os.fsencode(record["file"]) == b"a\xff\n.py"


def test_a_crash_leaves_the_name_of_the_file_at_hand(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "victim.py").write_text("x = 1\n")
    archive = command(root)[2]
    crash = f"""
import os, sys
sys.path.insert(0, {archive!r})
from engine.validation.programs import syntax
syntax.OWN["Python"] = lambda *_: os.abort()
os.environ["PART"] = "own"
syntax.main([{SKIPPED!r}])
"""
    with open(root.parent / "stderr", "w+b") as stderr:
        done = subprocess.run([sys.executable, "-I", "-c", crash], cwd=root, stderr=stderr, check=False)
        stderr.seek(0)
        assert (done.returncode, stderr.read()) == (-6, b"./sub/victim.py")
