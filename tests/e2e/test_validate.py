"""`sandstone validate` as users type it: what is looked at, what counts, every form, and mending."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

SARIF = json.loads((Path(__file__).parents[1] / "corpus" / "schemas" / "sarif-2.1.0.json").read_text())
OLD = "import os\n"
NEW = "import sys\n\nVALUE: int = undefined_name\n"


def git(project: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=project, check=True, capture_output=True)


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    """A repository with a committed fault (`old.py`) and what differs from the commit (`new.py`, `a.js`)."""
    with command_bench() as made:
        (made.project / "old.py").write_text(OLD)
        git(made.project, "init", "--quiet")
        git(made.project, "add", "-A")
        git(made.project, "commit", "--quiet", "-m", "first")
        (made.project / "new.py").write_text(NEW)
        (made.project / "a.js").write_text("export const f = (x) => x === NaN;\n")
        yield made


@pytest.fixture(autouse=True)
def _the_project_stays_as_it_is(bench: CommandBench) -> Iterator[None]:
    before = bench.files()
    yield
    assert bench.files() == before


def found(bench: CommandBench, *arguments: str, expect: int = 1) -> list[tuple[str, str]]:
    told = bench.shown("validate", *arguments, "--quiet", expect=expect)
    return [(finding["file"], finding["rule"]) for finding in told["findings"]]


def test_what_differs_from_the_commit_is_checked_unless_something_else_is_said(bench: CommandBench) -> None:
    differing = [("a.js", "use-isnan"), ("new.py", "F401"), ("new.py", "F821"), ("new.py", "name-defined")]
    assert found(bench) == differing
    assert found(bench, "--all") == [*differing, ("old.py", "F401")]
    assert found(bench, "old.py") == [("old.py", "F401")]
    assert found(bench, ".", "--checks", "syntax", expect=0) == []


def test_findings_are_shown_with_their_code(bench: CommandBench) -> None:
    told = bench("validate", "new.py", "--checks", "lint", expect=1).stdout
    assert "VALUE: int = undefined_name" in told
    assert "^^^^^^^^^^^^^^" in told
    assert "failed: 1 error, 1 warning" in told


def test_what_a_checkpoint_has_does_not_count_against_it(bench: CommandBench) -> None:
    first = bench.run("version: 1\nsteps: [{type: command, run: 'true'}]\n")["execution_id"]
    assert found(bench, "--all", "--baseline", first, expect=0) == []
    edited = bench.run(
        "version: 1\nsteps:\n  - {type: file_edit, path: new.py, content: 'import sys'}\n"
        "  - {type: file_edit, path: new.py, content: ''}\n"
    )["execution_id"]
    assert found(bench, "new.py", "--checks", "lint", "--baseline", f"{edited}:c1") == [("new.py", "F821")]
    assert found(bench, "new.py", "--checks", "lint", "--baseline", edited) == [("new.py", "F401"), ("new.py", "F821")]
    assert "no execution" in bench("validate", "--baseline", "absent", expect=2).stderr


def test_every_form_is_one_that_its_readers_take(bench: CommandBench) -> None:
    log = json.loads(bench("validate", "--format", "sarif", expect=1).stdout)
    jsonschema.Draft7Validator(SARIF).validate(log)
    assert sum(len(run["results"]) for run in log["runs"]) == 4
    suites = ElementTree.fromstring(bench("validate", "--format", "junit", expect=1).stdout)
    assert suites.get("failures") == "3"
    told = bench("validate", "--format", "github", expect=1).stdout
    assert "::error file=new.py,line=3,col=14" in told


def test_what_can_be_mended_is_a_checkpoint_that_can_be_taken_back(bench: CommandBench) -> None:
    done = bench("validate", "--fix", expect=1)
    assert "F401" not in done.stdout
    assert "F821" in done.stdout
    assert "sandstone apply" in done.stderr
    changed = bench("diff", "last").stdout
    assert "-import sys" in changed
    assert "isNaN" in changed
    assert "old.py" not in changed
    points = bench.shown("checkpoints", "last")
    assert len(points["checkpoints"] if isinstance(points, dict) else points) >= 2
    bench("rollback", "last", "--to", "c0")
    assert bench("diff", "last").stdout == ""


def test_the_lowest_severity_that_fails_can_be_said(bench: CommandBench) -> None:
    assert found(bench, "old.py", "--fail-on", "error", expect=0) == [("old.py", "F401")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["../outside"], "is not below"),
        (["absent.py"], "does not exist"),
        (["--checks", "lnt"], "did you mean lint?"),
        (["--timeout", "soon"], "is not a duration"),
        (["--format", "xml"], "invalid choice"),
    ],
)
def test_what_cannot_be_asked_ends_with_2_and_says_why(bench: CommandBench, arguments: list[str], message: str) -> None:
    done = bench("validate", *arguments, expect=2)
    assert message in done.stderr
    assert done.stdout == ""


def test_a_directory_without_a_repository_is_checked_whole(bench: CommandBench, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\n")
    os.chmod(tmp_path, 0o755)
    told = bench.shown("validate", "-w", str(tmp_path), "--quiet", expect=1)
    assert [finding["rule"] for finding in told["findings"]] == ["F401"]
    assert all("no commit to compare with" in check["note"] for check in told["checks"])
