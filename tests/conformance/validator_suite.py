"""What every check must keep, whatever its tool: one suite, run for each row of the table of checks.

A test module subclasses `ValidatorSuite`, gives the check and a few samples, and gets every test below.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.validation.finding import Finding, Severity
from engine.validation.validator import Check, CheckStatus, ToolOutput, judge
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench


@dataclass(frozen=True)
class Sample:
    """Files of a workspace, and the rules that the check must find in them as (rule, file, line)."""

    files: dict[str, str]
    found: frozenset[tuple[str, str, int]] = frozenset()


SMALL_PROGRAMS = (
    "base64", "cat", "env", "find", "grep", "head", "mkdir", "mktemp", "setsid", "sh", "sleep", "tail", "tee", "tr",
    "wc", "xargs",
)  # fmt: skip
"""All that the driver and the checks' scripts need of an image but their tools."""

exit_codes = st.none() | st.integers(min_value=0, max_value=255)
outputs = st.builds(
    ToolOutput,
    exit_codes,
    st.binary(max_size=200) | st.sampled_from([b"", b"[]", b"{}", b"null", b"[[]]", b"[{}]", b'{"done": true}\n']),
    st.binary(max_size=50) | st.just(b"analysed=1\n"),
    st.integers(min_value=1, max_value=5),
    st.just("/workspace"),
    st.booleans(),
)


class ValidatorSuite:
    """Subclasses set `check`, `good` (passes) and `bad` (fails)."""

    check: Check
    good: Sample
    bad: Sample
    nothing = "README"
    """The name of a file that the check does not look at."""

    @pytest.fixture
    def tools(self, bench: Bench) -> Bench:
        """A bench with the check's real tools."""
        return bench

    async def report_on(self, bench: Bench, sample: Sample) -> tuple[CheckStatus, tuple[Finding, ...]]:
        for name, text in sample.files.items():
            bench.file(name, text)
        report = await bench.service.check([self.check.name], bench.run, None, None, MINUTE)
        assert [result.check for result in report.results] == [self.check.name]
        return report.results[0].status, report.findings

    def test_its_name_can_be_part_of_a_frame_and_of_a_file_name(self) -> None:
        assert re.fullmatch(r"[a-z][a-z_]{0,30}", self.check.name)

    def test_its_script_is_posix_shell(self) -> None:
        done = subprocess.run(["/bin/sh", "-n"], input=self.check.script(), text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def test_its_time_limit_is_positive(self) -> None:
        assert self.check.time_limit_seconds() > 0

    async def test_good_code_passes_without_findings(self, tools: Bench) -> None:
        assert await self.report_on(tools, self.good) == (CheckStatus.PASSED, ())

    async def test_bad_code_fails_with_the_fault_where_it_is(self, tools: Bench) -> None:
        status, findings = await self.report_on(tools, self.bad)
        assert status is CheckStatus.FAILED
        assert {(it.rule, it.file, it.line) for it in findings} >= self.bad.found
        assert all(it.check == self.check.name and it.fingerprint for it in findings)

    async def test_the_workspace_is_not_written_to(self, tools: Bench) -> None:
        await self.report_on(tools, self.bad)
        assert {str(path.relative_to(tools.root)) for path in tools.root.rglob("*") if path.is_file()} == set(
            self.bad.files
        )

    async def test_only_what_is_named_is_looked_at(self, tools: Bench) -> None:
        for name, text in {**self.bad.files, **{f"fine/{it}": text for it, text in self.good.files.items()}}.items():
            tools.file(name, text)
        report = await tools.service.check([self.check.name], tools.run, None, ["fine"], MINUTE)
        assert (report.ok, report.findings) == (True, ())
        report = await tools.service.check(
            [self.check.name], tools.run, [it.encode() for it in self.bad.files], None, MINUTE
        )
        assert not report.ok

    async def test_no_files_is_a_pass_that_says_so(self, tools: Bench) -> None:
        tools.file(self.nothing, "text")
        report = await tools.service.check([self.check.name], tools.run, None, None, MINUTE)
        assert report.ok
        assert "nothing to check" in report.results[0].note

    async def test_a_missing_tool_is_an_error(self, fake: Bench, tmp_path: Path) -> None:
        fake.run.path = self.path_without_tools(tmp_path)
        status, findings = await self.report_on(fake, self.good)
        assert (status, [it.rule for it in findings]) == (CheckStatus.ERROR, ["tool-missing"])

    @pytest.mark.parametrize(
        "answer", ["exit 0", "exit 1", "exit 3", "kill -9 $$", "echo garbage", "echo '{}'; exit 1"]
    )
    async def test_a_tool_that_says_nothing_sensible_is_an_error(
        self, fake: Bench, tmp_path: Path, answer: str
    ) -> None:
        fake.run.path = self.path_without_tools(tmp_path)
        for tool in ("ruff", "mypy", "python3"):
            fake.tool(tool, answer)
        status, findings = await self.report_on(fake, self.good)
        assert (status, [it.rule for it in findings]) == (CheckStatus.ERROR, ["validator-failed"])
        assert findings[0].severity is Severity.ERROR

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(outputs)
    def test_every_output_has_an_answer_and_no_error_passes(self, output: ToolOutput) -> None:
        result = judge(self.check, output)
        if result.status is CheckStatus.PASSED:
            assert not any(it.severity is Severity.ERROR for it in result.findings)
            assert output.exit_code == 0
            assert not output.overflow
        else:
            assert result.findings

    @staticmethod
    def path_without_tools(base: Path) -> str:
        """A PATH with the small programs of the system and none of the tools."""
        small = base / "small"
        small.mkdir()
        for name in SMALL_PROGRAMS:
            found = next(path for path in (Path("/usr/bin") / name, Path("/bin") / name) if path.exists())
            (small / name).symlink_to(found)
        return str(small)
