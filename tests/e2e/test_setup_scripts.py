"""The scripts of .ci/ and the Makefile: what can be said of them without setting a machine up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (TOP / ".ci").iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.read_bytes().startswith(b"#!/usr/bin/env bash")]


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


NODE_LOCKS = [TOP / ".ci/node/package-lock.json", TOP / "examples/node-client/package-lock.json"]


@pytest.mark.parametrize("lock", NODE_LOCKS, ids=lambda path: path.parent.name)
def test_a_lock_of_node_packages_pins_every_package_by_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    wanted = json.loads(lock.with_name("package.json").read_text())
    for kind in ("dependencies", "devDependencies"):
        assert packages[""].get(kind) == wanted.get(kind)
    pinned = {name: package for name, package in packages.items() if name}
    assert pinned
    assert [name for name, package in pinned.items() if not package["integrity"].startswith("sha512-")] == []


@pytest.fixture
def without_node(tmp_path: Path) -> Path:
    """A directory of the programs that the scripts use, as PATH of a machine without Node.js and apt."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "cut", "dirname", "env", "id", "mkdir", "sha256sum", "uname"):
        found = shutil.which(name)
        assert found is not None, name
        (programs / name).symlink_to(found)
    return programs


def test_without_node_the_setup_says_in_one_line_what_is_missing_and_what_helps(without_node: Path) -> None:
    ended = run(".ci/setup", "node", PATH=str(without_node))
    assert ended.returncode == 1
    assert re.fullmatch(r"setup: Node.js 18 or later is missing; fix: install it .*nodejs.*\n", ended.stderr)


def test_an_old_node_is_refused_with_a_fix(without_node: Path) -> None:
    old = without_node / "node"
    old.write_text("#!/usr/bin/env bash\nexit 1\n")
    old.chmod(0o755)
    ended = run(".ci/setup", "node", PATH=str(without_node))
    assert ended.returncode == 1
    assert re.fullmatch(r"setup: Node.js 18 or later is missing; fix: .*\n", ended.stderr)


def test_lint_fails_without_buf_instead_of_leaving_the_protocol_out(without_node: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / ".ci").mkdir(parents=True)
    shutil.copy(TOP / ".ci/lint", tree / ".ci/lint")
    (tree / ".venv/bin").mkdir(parents=True)
    for name in ("ruff", "mypy", "lint-imports"):
        (tree / ".venv/bin" / name).symlink_to("/bin/true")
    ended = run(str(tree / ".ci/lint"), PATH=str(without_node))
    assert ended.returncode == 1
    assert ended.stderr == "lint: buf is missing, so proto/ was not checked; fix: .ci/setup node\n"


def test_lint_finds_what_is_wrong_with_the_protocol(tmp_path: Path) -> None:
    buf = TOP / ".ci/node/node_modules/.bin/buf"
    if not buf.exists():
        pytest.fail("buf is not there (fix: .ci/setup node)", pytrace=False)
    cache = str(tmp_path / "cache")
    shutil.copytree(TOP / "proto", tmp_path / "proto")
    service = tmp_path / "proto/sandstone/v1/execution_service.proto"
    was = service.read_text()
    cases = {
        "COMMENT_FIELD": ("  // Why, for people; empty: `asked for`.\n", ""),
        "FIELD_LOWER_SNAKE_CASE": ("string plan_text = 3;", "string planText = 3;"),
    }
    for rule, (old, new) in cases.items():
        assert old in was
        service.write_text(was.replace(old, new))
        ended = run(str(buf), "lint", str(tmp_path / "proto"), "--error-format", "json", BUF_CACHE_DIR=cache)
        assert rule in {json.loads(line)["type"] for line in ended.stdout.splitlines()}
    service.write_text(was.replace("string plan_text = 3;", "int32 plan_text = 3;"))
    image = str(TOP / ".ci/node/protocol.binpb")
    ended = run(str(buf), "breaking", str(tmp_path / "proto"), "--against", image, BUF_CACHE_DIR=cache)
    assert ended.returncode == 100
    assert 'Field "3"' in ended.stdout


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
