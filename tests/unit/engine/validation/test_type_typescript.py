"""The TypeScript half of the type check, with the real tsc."""

from __future__ import annotations

import json

import pytest

from engine.validation.report import ValidationReport
from engine.validation.validator import CheckStatus
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

STRICT = json.dumps({"compilerOptions": {"strict": True}, "include": ["**/*.ts"]})
WRONG = "export const f = (x: number): string => x;\n"
LOOSE = "export function g(x) { return x; }\n"


async def types(bench: Bench, *paths: str) -> ValidationReport:
    return await bench.service.check(["type"], bench.run, None, list(paths) or None, MINUTE)


def found(report: ValidationReport) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.file, finding.line) for finding in report.findings]


async def test_files_in_no_project_are_checked_together_and_not_strictly(bench: Bench) -> None:
    bench.file("a.ts", "import { g } from './b';\nconst n: number = g.length;\nconst s: string = n;\nexport { s };\n")
    bench.file("b.ts", LOOSE)
    report = await types(bench)
    assert found(report) == [("TS2322", "a.ts", 3)]
    assert report.results[0].files == 2


async def test_the_projects_configuration_decides(bench: Bench) -> None:
    bench.file("tsconfig.json", STRICT)
    bench.file("src/b.ts", LOOSE)
    assert found(await types(bench)) == [("TS7006", "src/b.ts", 1)]


async def test_each_project_of_a_tree_is_checked_by_its_own(bench: Bench) -> None:
    bench.file("one/tsconfig.json", STRICT)
    bench.file("one/b.ts", LOOSE)
    bench.file("two/b.ts", LOOSE)
    bench.file("two/c.ts", WRONG)
    assert found(await types(bench)) == [("TS7006", "one/b.ts", 1), ("TS2322", "two/c.ts", 1)]


async def test_what_a_project_refers_to_is_part_of_it(bench: Bench) -> None:
    bench.file("tsconfig.json", '{"files": [], "references": [{"path": "./lib"}]}')
    bench.file("lib/tsconfig.json", '{"compilerOptions": {"composite": true, "strict": true}, "include": ["src"]}')
    bench.file("lib/src/a.ts", WRONG)
    bench.file("stray.ts", WRONG)
    report = await types(bench)
    assert found(report) == [("TS2322", "lib/src/a.ts", 1)]
    assert "TypeScript that its project leaves out is not checked (1 file)" in report.results[0].note


async def test_only_faults_of_the_files_at_hand_are_told(bench: Bench) -> None:
    bench.file("tsconfig.json", STRICT)
    bench.file("a.ts", WRONG)
    bench.file("b.ts", WRONG)
    assert found(await types(bench, "a.ts")) == [("TS2322", "a.ts", 1)]


async def test_both_languages_are_in_one_report(bench: Bench) -> None:
    bench.file("a.ts", WRONG)
    bench.file("a.py", "x: int = ''\n")
    report = await types(bench)
    assert found(report) == [("assignment", "a.py", 1), ("TS2322", "a.ts", 1)]
    assert report.results[0].files == 2


@pytest.mark.parametrize(
    ("config", "rule"),
    [("{", "TS1005"), ('{"extends": "./absent.json"}', "TS5083"), ('{"compilerOptions": {"strict": 3}}', "TS5024")],
)
async def test_a_configuration_that_is_wrong_is_a_finding(bench: Bench, config: str, rule: str) -> None:
    bench.file("tsconfig.json", config)
    bench.file("a.ts", "export const x = 1;\n")
    report = await types(bench)
    assert report.results[0].status is not CheckStatus.PASSED
    assert (rule, "tsconfig.json") in [(finding.rule, finding.file) for finding in report.findings]


async def test_scripts_are_checked_where_the_project_asks_for_it(bench: Bench) -> None:
    bench.file("a.js", "/** @type {number} */\nexport const x = 'a';\n")
    assert (await types(bench)).ok
    bench.file("jsconfig.json", '{"compilerOptions": {"checkJs": true}}')
    assert found(await types(bench)) == [("TS2322", "a.js", 2)]


async def test_columns_count_characters_and_details_are_kept(bench: Bench) -> None:
    bench.file("a.ts", "const s = '😀ä', n: { a: { b: number } } = { a: { b: '' } };\nexport { s, n };\n")
    (finding,) = (await types(bench)).findings
    assert (finding.line, finding.column) == (1, 50)


async def test_types_without_a_checker_are_no_pass(fake: Bench) -> None:
    fake.file("a.ts", "export {};\n")
    report = await types(fake)
    assert (report.results[0].status, found(report)) == (CheckStatus.ERROR, [("tool-missing", "a.ts", 0)])


async def test_a_checker_that_crashes_is_no_pass(fake: Bench) -> None:
    fake.file("a.ts", "export {};\n")
    fake.tool("tsc", "kill -9 $$\n")
    report = await types(fake)
    assert found(report) == [("validator-failed", "", 0)]


async def test_a_checker_that_looks_at_nothing_is_told(fake: Bench) -> None:
    fake.file("a.ts", "export {};\n")
    fake.tool("tsc", "exit 0\n")
    report = await types(fake)
    assert (report.results[0].status, found(report)) == (CheckStatus.ERROR, [("validator-failed", "", 0)])
