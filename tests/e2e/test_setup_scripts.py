"""The scripts of .ci/ and the Makefile: what can be said of them without setting a machine up."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (TOP / ".ci").iterdir() if path.read_bytes().startswith(b"#!/usr/bin/env bash"))


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=TOP, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_parses_stops_at_errors_and_can_be_run(script: Path) -> None:
    assert run("bash", "-n", str(script)).returncode == 0
    assert "set -euo pipefail" in script.read_text()
    assert os.access(script, os.X_OK)


def test_an_engine_on_another_machine_is_refused_with_a_fix() -> None:
    ended = run(".ci/setup", "engine", DOCKER_HOST="tcp://elsewhere:2375")
    assert ended.returncode == 1
    assert re.fullmatch(r"setup: .*tcp://elsewhere.*; fix: unset DOCKER_HOST\n", ended.stderr)


def test_a_part_that_does_not_exist_is_refused_with_a_fix() -> None:
    ended = run(".ci/setup", "nonsense")
    assert ended.returncode == 1
    assert re.fullmatch(r"setup: .*nonsense; fix: .*\n", ended.stderr)


def test_every_fail_has_a_fix() -> None:
    text = re.sub(r"\\\n\s*", "", (TOP / ".ci/setup").read_text())
    calls = re.findall(r"\bfail (\"[^\"]*\"|'[^']*') ?(\"[^\"]*\")?", text)
    assert len(calls) >= 10
    assert [what for what, fix in calls if not fix] == []


def test_the_makefile_lists_every_target_that_it_has() -> None:
    text = (TOP / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    listed = {line.split()[0] for line in run("make", "--no-print-directory", "help").stdout.splitlines()}
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    assert targets == listed == phony


def test_the_lock_pins_every_package_by_hash_and_names_no_index() -> None:
    text = (TOP / ".ci/requirements.lock").read_text()
    assert "://" not in text
    assert "--index" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_example_of_the_demo_has_its_bug_and_the_plan_its_fix() -> None:
    source = (TOP / "examples/demo/project/ratio/gcd.py").read_text()
    plan = (TOP / "examples/demo/plan.yaml").read_text()
    search, replacement = re.findall(r'replace: \{search: "(.*?)", with: "(.*?)"\}', plan)[0]
    assert source.count(search) == 1
    fixed: dict[str, object] = {}
    exec(compile(source.replace(search, replacement), "gcd.py", "exec"), fixed)
    gcd = fixed["gcd"]
    assert callable(gcd)
    assert (gcd(12, 18), gcd(9, 0)) == (6, 9)
