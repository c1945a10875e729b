"""The JavaScript half of the lint check, with the real oxlint."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.validation.report import ValidationReport
from engine.validation.validator import CheckStatus
from tests.conformance.validator_suite import ValidatorSuite
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

FAULTY = "debugger;\nif (x == NaN) {\n  f();\n}\n"


async def lint(bench: Bench, *paths: str) -> ValidationReport:
    return await bench.service.check(["lint"], bench.run, None, list(paths) or None, MINUTE)


def found(report: ValidationReport) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.file, finding.line) for finding in report.findings]


async def test_the_default_rules_hold_and_every_finding_fails(bench: Bench) -> None:
    bench.file("a.ts", "export const f = (x: number): boolean => {\n  debugger;\n  return x === NaN;\n};\n")
    report = await lint(bench)
    assert found(report) == [("no-debugger", "a.ts", 2), ("use-isnan", "a.ts", 3)]
    assert report.results[0].status is CheckStatus.FAILED
    assert report.findings[0].help_url.startswith("https://")
    assert report.results[0].files == 1


async def test_the_projects_configuration_decides(bench: Bench) -> None:
    bench.file("a.js", FAULTY)
    bench.file("sub/b.js", "eval('1');\n")
    bench.file(".oxlintrc.json", '{"rules": {"no-debugger": "off", "use-isnan": "error", "no-eval": "off"}}')
    report = await lint(bench)
    assert found(report) == [("use-isnan", "a.js", 2)]
    assert report.findings[0].severity.value == "error"


async def test_both_languages_are_in_one_report(bench: Bench) -> None:
    bench.file("a.js", "debugger;\n")
    bench.file("a.py", "import os\n")
    report = await lint(bench)
    assert found(report) == [("no-debugger", "a.js", 1), ("F401", "a.py", 1)]
    assert report.results[0].files == 2


@pytest.mark.parametrize(
    "comment", ["// eslint-disable-line", "// eslint-disable-line no-debugger", "// oxlint-disable-line no-debugger"]
)
async def test_comments_that_silence_a_rule_are_honoured(bench: Bench, comment: str) -> None:
    bench.file("a.js", f"debugger; {comment}\n")
    assert (await lint(bench)).ok


@pytest.mark.parametrize("config", ['{"rules": 3}', "{", '{"rules": {"no-such-rule-at-all": "error"}}'])
async def test_a_configuration_that_is_refused_is_no_pass(bench: Bench, config: str) -> None:
    bench.file("a.js", "let x = 1;\nf(x);\n")
    bench.file(".oxlintrc.json", config)
    report = await lint(bench)
    assert [finding.rule for finding in report.findings] == ["validator-failed"]
    assert "oxlint refused its configuration: " in report.findings[0].message


async def test_a_configuration_that_leaves_out_everything_is_no_pass(bench: Bench) -> None:
    bench.file("a.js", FAULTY)
    bench.file(".oxlintrc.json", '{"ignorePatterns": ["**/*.js"]}')
    report = await lint(bench)
    assert "leaves out all of 1 scripts" in report.results[0].note


async def test_that_the_projects_eslint_is_not_run_is_said(bench: Bench) -> None:
    bench.file("a.js", "f();\n")
    bench.file("eslint.config.js", "export default [];\n")
    report = await lint(bench)
    assert report.ok
    assert "the project's eslint is not run (2 files)" in report.results[0].note


async def test_a_rule_that_the_project_brings_is_not_run_and_is_no_pass(bench: Bench) -> None:
    bench.file("a.js", "f();\n")
    bench.file("plugin.js", "export default {meta: {name: 'p'}, rules: {}};\n")
    bench.file(".oxlintrc.json", '{"jsPlugins": ["./plugin.js"], "rules": {"p/x": "error"}}')
    report = await lint(bench)
    assert found(report) == [("tool-missing", ".oxlintrc.json", 0)]
    assert report.results[0].status is CheckStatus.ERROR


async def test_a_file_that_crashes_the_linter_takes_no_other_with_it(bench: Bench) -> None:
    bench.file("deep.js", "(" * 2_000_000)
    bench.file("a.js", "debugger;\n")
    assert found(await lint(bench)) == [("no-debugger", "a.js", 1), ("invalid-syntax", "deep.js", 0)]


async def test_scripts_without_a_linter_are_no_pass(fake: Bench, tmp_path: Path) -> None:
    fake.file("a.js", "f();\n")
    report = await lint(fake)
    assert [finding.rule for finding in report.findings] == ["tool-missing"]
    assert report.results[0].status is CheckStatus.ERROR


@pytest.mark.parametrize(("name", "rules"), [("sub/a.vue", ["tool-missing"]), ("sub/a.txt", [])])
@pytest.mark.parametrize("paths", [(), ("sub",)])
async def test_without_an_interpreter_scripts_are_no_pass_and_their_absence_is(
    fake: Bench, tmp_path: Path, name: str, rules: list[str], paths: tuple[str, ...]
) -> None:
    fake.run.path = ValidatorSuite.path_without_tools(tmp_path)
    fake.file(name, "x\n")
    report = await lint(fake, *paths)
    assert [finding.rule for finding in report.findings] == rules
    assert report.ok is (not rules)
