"""Results kept by content: what makes the same question, what makes another, and what is never kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.plan.settings import FailOn, FindingPolicy
from engine.validation import cache
from engine.validation.cache import AS_BEFORE, DirectoryCache, NoCache, ResultCache, read_identity
from engine.validation.finding import Applicability, Edit, Finding, Fix, Severity
from engine.validation.service import ValidationService
from engine.validation.validator import CheckResult, CheckStatus, ToolPlaces
from sandbox.errors import SandboxUnavailableError
from sandbox.spec import CapturedOutput, ExecRequest, ExecResult, Verdict
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

FOUND = Finding(
    rule="F401",
    severity=Severity.WARNING,
    message="unused",
    check="lint",
    category="lint",
    file="a\udcff.py",
    line=3,
    subject="what it is about",
    fix=Fix((Edit(1, 1, 2, 1, "é"),), Applicability.SAFE, "remove it"),
)
RESULT = CheckResult("lint", CheckStatus.FAILED, (FOUND,), "a note", 7, Severity.INFO, cut=True)


class Placed:
    """Runs as the bench does, in an image of this name."""

    def __init__(self, bench: Bench, image: str = "sha256:a") -> None:
        self.bench = bench
        self.image = image
        self.lost = False

    async def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        result = await self.bench.run(request, variant)
        return replace(result, verdict=Verdict.SANDBOX_UNAVAILABLE) if self.lost else result

    async def image_of(self, variant: str) -> str:
        return self.image + variant


class Kept:
    """A bench whose service has a cache, and a count of what ran."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.run = Placed(bench)
        self.directory = directory
        places = ToolPlaces(str(bench.root), str(bench.tools))
        self.service = ValidationService(places=places, cache=DirectoryCache(directory))

    async def ran(self, *checks: str, paths: tuple[str, ...] | None = None, changed: list[bytes] | None = None) -> int:
        """How many runs with checks in them it took."""
        before = len(self.bench.run.requests)
        self.report = await self.service.check(checks or ["syntax"], self.run, changed, paths, MINUTE)
        return len(self.bench.run.requests) - before - 1


@pytest.fixture
def kept(bench: Bench, tmp_path: Path) -> Kept:
    bench.file("a.py", "import os\n")
    return Kept(bench, tmp_path / "checked")


async def test_the_same_files_are_checked_once_and_the_answer_is_the_same(kept: Kept) -> None:
    assert await kept.ran("syntax", "lint") == 1
    first = kept.report
    assert await kept.ran("syntax", "lint") == 0
    assert kept.report.findings == first.findings
    assert [finding.rule for finding in first.findings] == ["F401"]
    assert [result.status for result in kept.report.results] == [CheckStatus.PASSED, CheckStatus.FAILED]
    assert [result.note for result in kept.report.results] == [AS_BEFORE, AS_BEFORE]


async def test_only_the_checks_that_are_not_kept_run(kept: Kept) -> None:
    await kept.ran("lint")
    assert await kept.ran("syntax", "lint") == 1
    assert [result.note for result in kept.report.results] == ["", AS_BEFORE]


@pytest.mark.parametrize("change", ["content", "new", "gone", "configuration", "mode", "link"])
async def test_any_other_file_is_another_question(kept: Kept, change: str) -> None:
    kept.bench.file("other/b.py", "x = 1\n")
    (kept.bench.root / "way").symlink_to("other")
    await kept.ran("lint")
    if change == "content":
        path = kept.bench.root / "other/b.py"
        was = path.stat()
        path.write_text("x = 2\n")
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    elif change == "new":
        kept.bench.file("c.txt")
    elif change == "gone":
        (kept.bench.root / "other/b.py").unlink()
    elif change == "configuration":
        kept.bench.file("pyproject.toml", '[tool.ruff.lint]\nignore = ["F401"]\n')
    elif change == "mode":
        (kept.bench.root / "other/b.py").chmod(0o755)
    else:
        (kept.bench.root / "way").unlink()
        (kept.bench.root / "way").symlink_to("a.py")
    assert await kept.ran("lint") == 1
    assert kept.report.ok == (change == "configuration")


async def test_times_of_files_do_not_matter(kept: Kept) -> None:
    await kept.ran("lint")
    os.utime(kept.bench.root / "a.py", (1, 1))
    assert await kept.ran("lint") == 0


async def test_another_image_and_another_selection_are_other_questions(kept: Kept) -> None:
    kept.bench.file("b.py", "x = 1\n")
    await kept.ran("lint")
    assert await kept.ran("lint", paths=("b.py",)) == 1
    assert kept.report.ok
    assert await kept.ran("lint", changed=[b"b.py"]) == 0
    assert kept.report.ok
    kept.run.image = "sha256:b"
    assert await kept.ran("lint") == 1


async def test_a_policy_needs_no_new_run_and_is_not_kept(kept: Kept) -> None:
    await kept.ran("lint")
    before = len(kept.bench.run.requests)
    policy = FindingPolicy(fail_on=FailOn.ERROR)
    report = await kept.service.check(["lint"], kept.run, None, None, MINUTE, policy)
    assert len(kept.bench.run.requests) == before + 1
    assert report.ok
    await kept.ran("lint")
    assert not kept.report.ok


async def test_a_check_without_an_answer_is_asked_again(fake: Bench, tmp_path: Path) -> None:
    fake.file("a.py", "import os\n")
    fake.tool("ruff", "exit 70")
    kept = Kept(fake, tmp_path / "checked")
    assert await kept.ran("lint") == 1
    assert kept.report.results[0].status is CheckStatus.ERROR
    assert await kept.ran("lint") == 1
    assert not list(kept.directory.glob("*"))


@pytest.mark.parametrize("check", ["test", "compile"])
async def test_what_runs_the_project_itself_is_asked_each_time_and_nothing_is_read_for_it(
    kept: Kept, check: str
) -> None:
    kept.bench.run.path = f"{kept.bench.tools}:{kept.bench.run.path}"
    kept.bench.file("own/__init__.py")
    kept.bench.file("own/test_a.py", "def test_it():\n    pass\n")
    for _ in range(2):
        await kept.ran(check)
        assert kept.report.ok
    assert len(kept.bench.run.requests) == 2
    assert await kept.ran(check, "syntax") == 2
    assert await kept.ran(check, "syntax") == 1


async def test_another_version_of_what_reads_the_output_asks_again(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    await kept.ran("lint")
    monkeypatch.setattr(cache, "_CODE", "another")
    assert await kept.ran("lint") == 1


async def test_fingerprints_of_what_was_kept_are_the_same(kept: Kept) -> None:
    kept.bench.file("b.py", "def f(x):\n" + "".join(" " * it + "if x:\n" for it in range(4, 14)) + " " * 14 + "x()\n")
    await kept.ran("quality")
    first = [it.fingerprint for it in kept.report.findings]
    assert any(it.endswith("-error") for it in first)
    assert await kept.ran("quality") == 0
    assert [it.fingerprint for it in kept.report.findings] == first


async def test_a_run_that_does_not_tell_its_image_keeps_nothing(kept: Kept) -> None:
    for _ in range(2):
        await kept.service.check(["syntax"], kept.bench.run, None, None, MINUTE)
    assert len(kept.bench.run.requests) == 2
    assert not kept.directory.exists()


async def test_a_sandbox_lost_while_files_were_read_is_no_answer(kept: Kept) -> None:
    kept.run.lost = True
    with pytest.raises(SandboxUnavailableError):
        await kept.ran("lint")


async def test_a_planted_tar_is_not_asked(kept: Kept) -> None:
    planted = kept.bench.file("tar", "#!/bin/sh\necho same\n")
    planted.chmod(0o755)
    kept.bench.run.path = f"{kept.bench.root}:{kept.bench.run.path}"
    await kept.ran("lint")
    kept.bench.file("a.py", "x = 1\n")
    assert await kept.ran("lint") == 1
    assert kept.report.ok


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"check": "lint"}', "\0" * 100])
def test_what_cannot_be_read_counts_as_not_kept_and_goes(tmp_path: Path, text: str) -> None:
    kept = DirectoryCache(tmp_path)
    (tmp_path / "k").write_text(text)
    assert kept.get("k") is None
    assert not (tmp_path / "k").exists()


def test_the_least_used_go_first(tmp_path: Path) -> None:
    kept = DirectoryCache(tmp_path, entries=3)
    for number, key in enumerate(("a", "b", "c")):
        kept.put(key, RESULT)
        os.utime(tmp_path / key, (number, number))
    assert kept.get("a") == RESULT
    kept.put("d", RESULT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "d"]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    DirectoryCache(tmp_path / "own").put("k", RESULT)
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "own" / "k").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_written_is_no_fault_of_the_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = DirectoryCache(tmp_path / "file")
    kept.put("k", RESULT)
    assert kept.get("k") is None


@pytest.fixture(params=["nothing", "directory"])
def any_cache(request: pytest.FixtureRequest, tmp_path: Path) -> ResultCache:
    return NoCache() if request.param == "nothing" else DirectoryCache(tmp_path / "some")


def test_every_cache_gives_back_what_it_got_or_nothing(any_cache: ResultCache) -> None:
    assert any_cache.get("k") is None
    any_cache.put("k", RESULT)
    assert any_cache.get("k") in (RESULT, None)
    assert any_cache.get("other") is None


@pytest.mark.parametrize(
    ("code", "verdict", "out"),
    [
        (1, None, b"0" * 64 + b"  -\n"),
        (None, Verdict.TIMEOUT, b"0" * 64 + b"  -\n"),
        (0, None, b"0" * 63 + b"  -\n"),
        (0, None, b"0" * 64 + b"  -\nmore"),
        (0, None, b""),
    ],
)
def test_without_a_whole_digest_there_is_no_identity(code: int | None, verdict: Verdict | None, out: bytes) -> None:
    assert read_identity(ExecResult(code, verdict, CapturedOutput(out), CapturedOutput(), MINUTE)) is None
