"""The `sandstone` command against a real container engine, from a plan to the user's files and back."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images import plain_image

pytestmark = [pytest.mark.docker, pytest.mark.root]

IMAGE = plain_image()
LIMIT_S = 100
PROGRAM = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
ROOT = Path(__file__).parents[2]

GOOD = f"""\
version: 1
name: greet
environment: {{image: "{IMAGE}"}}
sandbox: {{disk: 64MiB, memory: 128MiB}}
secrets: [GREETING_TOKEN]
steps:
  - {{id: words, type: file_create, path: words/hello.txt, content: "hello\\n"}}
  - id: shout
    type: command
    run: "tr a-z A-Z < words/hello.txt > loud.txt; echo done $GREETING_TOKEN; echo warned >&2"
  - {{id: tidy, type: file_delete, path: old.txt}}
"""
FAILING = f"""\
version: 1
name: breaks
environment: {{image: "{IMAGE}"}}
sandbox: {{disk: 64MiB, memory: 128MiB}}
steps:
  - {{id: touch, type: command, run: "echo x > made.txt"}}
  - {{id: boom, type: command, run: "echo y > half.txt; printf 'bad \\\\033[2J'; exit 7"}}
"""
SLOW = f"""\
version: 1
name: slow
environment: {{image: "{IMAGE}"}}
sandbox: {{disk: 64MiB, memory: 128MiB}}
steps:
  - {{id: wait, type: command, run: "echo begun; sleep 90"}}
"""


def sandstone(*arguments: str | Path, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=environment(),
    )
    assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return {**kept, "PYTHONPATH": str(ROOT), "GREETING_TOKEN": "very-secret-value"}


def shown(*arguments: str | Path, expect: int = 0) -> Any:
    return json.loads(sandstone(*arguments, "--json", expect=expect).stdout)


def contents(project: Path) -> dict[str, str]:
    return {str(path.relative_to(project)): path.read_text() for path in project.rglob("*") if path.is_file()}


def loaded(*arguments: str | Path) -> set[str]:
    """The modules that a command which succeeds has imported."""
    program = [PROGRAM[0], "-X", "importtime", *PROGRAM[1:]]
    done = subprocess.run(
        [*program, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S,
        check=True,
        env=environment(),
    )
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line[2].strip() for line in lines}


@pytest.fixture
def project(sandstone_home: Path) -> Iterator[Path]:
    directory = sandstone_home.parent / f"{sandstone_home.name}-project"
    directory.mkdir()
    (directory / "old.txt").write_text("old\n")
    yield directory
    sandstone("gc", "--all")
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def test_a_plan_goes_from_run_to_apply_and_back(project: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD)
    before = contents(project)
    outcome = json.loads(sandstone("run", plan, "-w", project, "--json").stdout)
    assert outcome["state"] == "completed"
    assert outcome["changes"] == {"added": 2, "modified": 0, "deleted": 1}
    assert [step["state"] for step in outcome["steps"]] == ["succeeded"] * 3
    shout = outcome["steps"][1]
    assert (shout["exit_code"], shout["verdict"], shout["stderr_tail"]) == (0, None, "warned\n")
    assert "very-secret-value" not in json.dumps(outcome)
    assert contents(project) == before

    assert shown("status")[0]["execution_id"] == outcome["execution_id"]
    assert shown("status", "greet")["head"] == "c3"
    assert shown("progress", "last")["done"] == 3
    sequences = [json.loads(line)["sequence"] for line in sandstone("events", "last", "--json").stdout.splitlines()]
    assert sequences == list(range(1, len(sequences) + 1))
    assert sandstone("logs", "last", "shout", "--stderr").stdout == "warned\n"
    assert [point["name"] for point in shown("checkpoints", "last")] == ["start", "words", "shout", "tidy"]
    assert "+HELLO\n" in sandstone("diff", "last").stdout
    assert "words/hello.txt" not in sandstone("diff", "last", "c1..").stdout
    assert sandstone("diff", "last", "--exit-code", expect=1)

    assert shown("apply", "last", "--dry-run")["apply_id"] is None
    assert contents(project) == before
    sandstone("apply", "last")
    assert contents(project) == {"words/hello.txt": "hello\n", "loud.txt": "HELLO\n"}
    sandstone("apply", "last", "--undo")
    assert contents(project) == before


def test_without_a_controller_nothing_of_its_protocol_is_loaded(project: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD)
    ran, looked = loaded("run", plan, "-w", project), loaded("status")
    assert "engine.app" in ran & looked
    for modules in (ran, looked):
        assert not [name for name in modules if name.split(".")[0] in ("grpc", "grpc_status", "google")]
        assert not [name for name in modules if name.startswith("engine._gen")]
    # Who may find a controller looks for its address.
    assert {name for name in ran if name.startswith("engine.rpc")} <= {"engine.rpc", "engine.rpc.address"}
    assert not [name for name in looked if name.startswith("engine.rpc")]


def test_a_command_that_only_looks_does_not_load_the_engines_sdk(project: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(GOOD)
    assert "docker" in loaded("run", plan, "-w", project)
    for command in (("status",), ("diff", "last"), ("events", "last"), ("checkpoints", "last")):
        assert "docker" not in loaded(*command), command


def test_a_failed_step_ends_with_1_and_its_output_is_shown_escaped(project: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(FAILING)
    done = sandstone("run", plan, "-w", project, expect=1)
    assert "boom failed" in done.stderr
    assert "| bad \\x1b[2J" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    record = shown("status", "last")
    assert (record["state"], record["head"]) == ("failed", "c0")
    branches = [point for point in shown("checkpoints", "last") if point["kind"] == "failed"]
    assert "half.txt" in sandstone("diff", "last", f"c1..{branches[0]['id']}", "--stat").stdout


def test_a_rolled_back_execution_goes_on_from_there(project: Path) -> None:
    sandstone("run", "-", "-w", project, stdin=GOOD)
    assert shown("rollback", "last", "--to", "words")["head"] == "c1"
    outcome = shown("resume", "last", "--quiet")
    assert outcome["state"] == "completed"
    assert [step["attempts"] for step in outcome["steps"]] == [1, 2, 2]


def test_one_conflict_keeps_everything_from_being_applied(project: Path) -> None:
    sandstone("run", "-", "-w", project, stdin=GOOD)
    (project / "old.txt").write_text("changed meanwhile\n")
    done = sandstone("apply", "last", expect=5)
    assert "old.txt" in done.stderr
    assert contents(project) == {"old.txt": "changed meanwhile\n"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 4)])
def test_a_signal_cancels_and_leaves_nothing_running(number: signal.Signals, code: int, project: Path) -> None:
    child = subprocess.Popen(
        [*PROGRAM, "run", "-", "-w", str(project), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    try:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(SLOW.encode())
        child.stdin.close()
        child.stdin = None
        seen = b""
        while b"wait (command)" not in seen:
            assert select.select([child.stderr], [], [], LIMIT_S)[0]
            seen += os.read(child.stderr.fileno(), 4096)
        child.send_signal(number)
        stdout, _ = child.communicate(timeout=LIMIT_S)
    finally:
        child.kill()
        child.wait()
    outcome = json.loads(stdout)
    assert (outcome["state"], child.returncode) == ("cancelled", code)
    assert outcome["steps"][0]["state"] == "pending"


def test_an_image_that_is_not_there_ends_with_3(project: Path) -> None:
    done = sandstone("run", "-", "-w", project, "--json", expect=3, stdin=GOOD.replace(IMAGE, "no-such-image:x"))
    assert json.loads(done.stdout)["error_type"] == "ImageNotFoundError"
    assert shown("status") == []


def test_doctor_finds_this_machine_fit(sandstone_home: Path) -> None:
    found = shown("doctor")
    assert found["ok"] is True
    assert {probe["name"] for probe in found["probes"]} >= {"engine"}
