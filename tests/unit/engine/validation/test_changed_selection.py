"""What differs from the commit: found out inside the sandbox, by a git that reads nothing but the repository's
objects.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.validation.report import ValidationReport
from engine.validation.service import NO_COMMIT
from engine.validation.validator import CheckStatus
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

BAD = "import os\n"


def git(bench: Bench, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=bench.root, check=True, capture_output=True)


@pytest.fixture
def repository(bench: Bench) -> Bench:
    """`old.py` has a fault and is committed as it is, `kept.py` and `gone.py` too."""
    git(bench, "init", "--quiet", "--initial-branch=main")
    for name in ("old.py", "kept.py", "gone.py", "sub/deep.py"):
        bench.file(name, BAD)
    bench.file(".gitignore", "ignored.py\n")
    git(bench, "add", "-A")
    git(bench, "commit", "--quiet", "-m", "first")
    return bench


async def check(bench: Bench, *checks: str) -> ValidationReport:
    return await bench.service.check(checks or ("lint",), bench.run, None, None, MINUTE, since_commit=True)


def files(report: ValidationReport) -> list[str]:
    return sorted({finding.file for finding in report.findings})


async def test_only_what_differs_or_is_new_is_looked_at(repository: Bench) -> None:
    repository.file("old.py", "import sys\n")
    repository.file("new one.py", BAD)
    repository.file("sub/näw.py", BAD)
    repository.file("ignored.py", BAD)
    (repository.root / "gone.py").unlink()
    report = await check(repository)
    assert files(report) == ["new one.py", "old.py", "sub/näw.py"]


async def test_what_is_staged_differs_too_and_a_newer_time_alone_does_not(repository: Bench) -> None:
    repository.file("sub/deep.py", "import sys\n")
    git(repository, "add", "-A")
    (repository.root / "kept.py").touch()
    assert files(await check(repository)) == ["sub/deep.py"]


async def test_nothing_that_differs_is_a_pass_that_says_so(repository: Bench) -> None:
    report = await check(repository, "syntax", "lint", "type")
    assert report.ok
    assert all("nothing to check" in result.note for result in report.results)


async def test_without_a_commit_everything_is_looked_at_and_it_is_said(bench: Bench) -> None:
    bench.file("a.py", BAD)
    report = await check(bench)
    assert (files(report), report.results[0].note) == (["a.py"], NO_COMMIT)
    git(bench, "init", "--quiet")
    assert NO_COMMIT in (await check(bench)).results[0].note


async def test_a_repository_that_is_damaged_counts_as_none(repository: Bench) -> None:
    for path in (repository.root / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"rubbish")
    report = await check(repository)
    assert files(report) == ["gone.py", "kept.py", "old.py", "sub/deep.py"]
    assert NO_COMMIT in report.results[0].note


async def test_nothing_that_the_repository_names_is_run(repository: Bench, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    script = repository.file("attack.sh", f"#!/bin/sh\necho $0 >>{marker}\ncat\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.external", "core.sshCommand"):
        git(repository, "config", key, str(script))
    repository.file(".gitattributes", "*.py filter=evil diff=evil\n")
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "post-checkout", "reference-transaction"):
        (hooks / name).symlink_to(script)
    repository.file("old.py", "import sys\n")
    assert "old.py" in files(await check(repository))
    assert not marker.exists()


async def test_a_name_that_cannot_be_handed_over_is_no_pass(repository: Bench) -> None:
    repository.file(b"a\nb.py", "x = 1\n")
    report = await check(repository)
    assert report.results[0].status is CheckStatus.ERROR
    assert files(report) == ["a\nb.py"]


async def test_a_repository_elsewhere_is_not_asked(repository: Bench, tmp_path: Path) -> None:
    (repository.root / ".git").rename(tmp_path / "elsewhere")
    (repository.root / ".git").write_text(f"gitdir: {tmp_path}/elsewhere\n")
    assert NO_COMMIT in (await check(repository)).results[0].note
