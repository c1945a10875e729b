"""The main job as a user does it: a project with a bug, a plan with every type of step, every verb after it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_bench import CommandBench, command_bench, tree

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

SECRET = "hunter2-is-the-value"
PLAN = """\
version: 1
name: mend
sandbox: {disk: 64MiB, memory: 512MiB, hide: [.env, "**/*.pem"]}
env: {LEVEL: plan}
secrets: [API_TOKEN]
steps:
  - {id: reproduce, type: command, run: "! python3 -m pytest -q -p no:cacheprovider"}
  - id: patch
    type: file_edit
    path: calc.py
    patch: |
      --- a/calc.py
      +++ b/calc.py
      @@ -1,2 +1,2 @@
       def add(a: int, b: int) -> int:
      -    return a - b
      +    return a + b
  - {id: insert, type: file_edit, path: calc.py, insert: {line: 1, text: '"Sums."'}}
  - {id: replace, type: file_edit, path: notes.txt, replace: {search: old, with: new, all: true}}
  - {id: whole, type: file_edit, path: VERSION, content: "2\\n"}
  - {id: create, type: file_create, path: docs/how to.md, content: "Add.\\n", mode: "0755"}
  - {id: delete, type: file_delete, path: junk, recursive: true}
  - id: command
    type: command
    run: |
      test ! -e .env && test ! -e keys/a.pem || exit 9
      printf '\\000\\001\\377binary' > data.bin
      ln -s calc.py link.py
      chmod 700 run.sh
      cat > from-stdin.txt
      echo "level $LEVEL here $PWD token $API_TOKEN"
      printf hunter2-is >&2; sleep 0.1; printf -- '-the-value' >&2
    cwd: tools
    stdin: given
    env: {LEVEL: step}
  - {id: argv, type: command, run: [python3, -c, "print(open('/workspace/calc.py').read())"], memory: 128MiB, pids: 32}
  - id: roomy
    type: command
    run: "head -c 80M /dev/zero > /workspace/big && rm /workspace/big"
    sandbox: {disk: 128MiB}
  - {id: checks, type: validation, checks: [syntax, lint, type], paths: [calc.py]}
  - {id: unit, type: test, run: pytest -q, needs: [patch]}
"""
RUN_KEYS = {"execution_id", "name", "state", "error", "head", "changes", "duration_ms", "steps", "workspace", "applied"}
STEP_KEYS = {
    "id",
    "type",
    "state",
    "attempts",
    "exit_code",
    "verdict",
    "duration_ms",
    "overhead_ms",
    "checkpoint",
    "findings",
    "stdout_tail",
    "stderr_tail",
}


def make_project(project: Path) -> None:
    (project / "tools").mkdir()
    (project / "tools/run.sh").write_text("#!/bin/sh\n")
    (project / "calc.py").write_text("def add(a: int, b: int) -> int:\n    return a - b\n")
    (project / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\n"
        "def test_zero():\n    assert add(0, 0) == 0\n"
    )
    (project / "notes.txt").write_text("old and old\r\nlast line, without an end")
    (project / "VERSION").write_text("1\n")
    (project / ".env").write_text("PASSWORD=x\n")
    (project / "keys").mkdir()
    (project / "keys/a.pem").write_text("key\n")
    (project / "junk/deep").mkdir(parents=True)
    (project / "junk/deep/file").write_text("junk\n")


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        made.variables = {"API_TOKEN": SECRET}
        make_project(made.project)
        yield made


@pytest.fixture(scope="module")
def pristine(bench: CommandBench) -> dict[str, tuple[str, str]]:
    return bench.files()


@pytest.fixture(scope="module")
def outcome(bench: CommandBench, pristine: object) -> Any:
    return bench.run(PLAN)


@pytest.fixture(scope="module")
def clean_copy(bench: CommandBench, outcome: Any) -> Path:
    copy = bench.directory / "copy"
    shutil.copytree(bench.project, copy, symlinks=True)
    return copy


def step(outcome: Any, name: str) -> Any:
    return next(found for found in outcome["steps"] if found["id"] == name)


def test_every_type_of_step_succeeds_and_the_project_is_as_it_was(
    bench: CommandBench, outcome: Any, pristine: object
) -> None:
    assert outcome["state"] == "completed", outcome["error"]
    assert {found["state"] for found in outcome["steps"]} == {"succeeded"}
    assert {found["type"] for found in outcome["steps"]} == {
        "file_create", "file_edit", "file_delete", "command", "validation", "test",
    }  # fmt: skip
    assert bench.files() == pristine


def test_the_outcome_has_the_promised_keys(outcome: Any) -> None:
    assert set(outcome) >= RUN_KEYS
    assert outcome["error"] is None
    assert re.fullmatch("[0-9a-f]{32}", outcome["execution_id"])
    for found in outcome["steps"]:
        assert set(found) >= STEP_KEYS
        assert found["attempts"] == 1
        assert 0 <= found["overhead_ms"] <= found["duration_ms"]
    assert outcome["changes"] == {"added": 4, "modified": 4, "deleted": 1}


def test_a_command_gets_its_directory_input_and_environment(outcome: Any) -> None:
    assert step(outcome, "command")["stdout_tail"].startswith("level step here /workspace/tools token ")
    assert step(outcome, "argv")["stdout_tail"] == '"Sums."\ndef add(a: int, b: int) -> int:\n    return a + b\n\n'


def test_a_step_may_have_a_disk_of_its_own(outcome: Any) -> None:
    assert step(outcome, "roomy")["exit_code"] == 0


def test_a_test_step_counts_its_tests(outcome: Any) -> None:
    tests = step(outcome, "unit")["tests"]
    assert (tests["tests"], tests["passed"], tests["failures"], tests["failed"]) == (2, 2, 0, [])


def test_a_secret_is_masked_wherever_it_could_stand(bench: CommandBench, outcome: Any) -> None:
    assert SECRET not in json.dumps(outcome)
    assert SECRET not in bench("logs", "last", "--raw").stdout
    assert SECRET not in bench("events", "last", "--json").stdout
    kept = [path for path in bench.home.rglob("*") if path.is_file() and path.suffix != ".img"]
    assert any(path.name == "journal.db" for path in kept)
    assert [path.name for path in kept if SECRET.encode() in path.read_bytes()] == []


def test_every_reading_verb_answers_with_json(bench: CommandBench, outcome: Any) -> None:
    shown = bench.shown("status", outcome["execution_id"][:8])
    assert [found["state"] for found in shown["steps"]] == ["succeeded"] * 12
    assert [found["execution_id"] for found in bench.shown("status")] == [outcome["execution_id"]]
    progress = bench.shown("progress", "mend")
    assert (progress["done"], progress["total"], progress["state"]) == (12, 12, "completed")
    points = bench.shown("checkpoints", "last")
    assert points[-1]["head"] is True
    assert [point["id"] for point in points] == [f"c{number}" for number in range(13)]
    logs = bench.shown("logs", "last", "unit")
    assert "2 passed" in json.dumps(logs)
    kinds = [event["kind"] for event in bench.events()]
    assert kinds[0] == "execution-started"
    assert kinds[-1] == "execution-completed"
    assert kinds.count("step-started") == kinds.count("step-completed") == 12
    assert bench.shown("version")["version"]
    assert bench.shown("doctor")["ok"] is True
    assert json.loads(bench("schema").stdout)["type"] == "object"
    assert bench.shown("image", "state")["state"] != "absent"


def test_a_difference_between_two_checkpoints_shows_that_step_alone(bench: CommandBench, outcome: Any) -> None:
    shown = bench.shown("diff", "last", "c4..c5")
    assert [(found["path"], found["change"]) for found in shown["changes"]] == [("VERSION", "modified")]
    everything = bench("diff", "last").stdout
    assert "-    return a - b\n+    return a + b\n" in everything
    assert ".env" not in everything
    assert "calc.py" in bench("diff", "last", "--stat").stdout


def test_an_exported_patch_and_tar_and_an_apply_make_the_same_tree(
    bench: CommandBench, clean_copy: Path, outcome: Any, pristine: object
) -> None:
    patch, tar = bench.directory / "it.patch", bench.directory / "it.tar"
    bench("export", "last", "--patch", patch)
    bench("export", "last", "--tar", tar)
    subprocess.run(["git", "apply", "--whitespace=nowarn", str(patch)], cwd=clean_copy, check=True)
    dry = bench.shown("apply", "last", "--dry-run")
    assert dry["apply_id"] is None
    assert bench.files() == pristine
    report = bench.shown("apply", "last")
    assert [entry["path"] for entry in report["added"]] == [entry["path"] for entry in dry["added"]]
    applied = bench.files()
    assert (bench.project / "data.bin").exists() is False
    assert (bench.project / "tools/data.bin").read_bytes() == b"\x00\x01\xffbinary"
    assert (bench.project / "notes.txt").read_bytes() == b"new and new\r\nlast line, without an end"
    assert (bench.project / ".env").read_text() == "PASSWORD=x\n"
    assert _without_modes(applied) == _without_modes(tree(clean_copy))
    with tarfile.open(tar) as archive:
        names = archive.getnames()
        deleted = archive.extractfile("deleted")
        assert deleted is not None
        assert b"junk/deep/file" in deleted.read()
    assert {"files/tools/data.bin", "files/docs/how to.md"} <= set(names)
    assert bench.shown("apply", "last")["apply_id"] is None
    undone = bench.shown("apply", "last", "--undo")
    assert undone["undo"] is True
    assert bench.files() == pristine


def _without_modes(files: dict[str, tuple[str, str]]) -> dict[str, str]:
    """git knows no modes but the executable bit, and no empty directories."""
    return {name: content for name, (_, content) in files.items() if content != "directory"}


def test_a_named_checkpoint_is_gone_back_to_and_gone_on_from(bench: CommandBench, outcome: Any) -> None:
    made = bench.shown("checkpoint", "last", "all-good")
    assert made["kind"] == "manual"
    assert bench.shown("rollback", "last")["checkpoint"]["step_id"] == "checks"
    assert bench.shown("rollback", "last", "--to", "whole")["state"] == "paused"
    assert "+++ b/docs/how to.md" not in bench("diff", "last").stdout
    resumed = bench.shown("resume", "last", "--quiet")
    assert resumed["state"] == "completed"
    assert [found["attempts"] for found in resumed["steps"]] == [1] * 5 + [2] * 7
    assert bench("diff", "last", "all-good..", "--exit-code").stdout == ""


def test_collection_removes_the_execution_and_what_it_held(bench: CommandBench, outcome: Any) -> None:
    assert bench.shown("gc", "--dry-run", "--all")["executions"] == [outcome["execution_id"]]
    report = bench.shown("gc", "--all")
    assert report["executions"] == [outcome["execution_id"]]
    assert report["freed_bytes"] > 0
    assert bench.shown("status") == []
    assert list((bench.home / "volumes").glob("*.img")) == []
    assert bench.left() == []
