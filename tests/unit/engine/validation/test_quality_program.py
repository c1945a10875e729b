"""The program of the `quality` check: what it measures, what it is told to let pass, and files that mean it ill."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.plan.settings import FindingPolicy
from engine.validation.finding import Finding, Severity, with_fingerprints
from engine.validation.policy import fingerprints, under_policy
from engine.validation.programs.quality_clones import Clones
from engine.validation.programs.quality_tokens import LANGUAGES, Vocabulary, cut
from engine.validation.quality import QualityCheck
from engine.validation.report import report_of
from engine.validation.validator import CheckResult, CheckStatus, ToolOutput, ToolOutputError
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench
from tests.unit.engine.validation.quality_run import findings, rules, run

CORPUS = Path(__file__).parents[3] / "corpus" / "quality"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but what a test writes."""
    directory = tmp_path / "here"
    directory.mkdir(exist_ok=True)
    monkeypatch.chdir(directory)


def branches(count: int, head: str = "def f(a):") -> str:
    return '"""A module."""\n\n\n' + head + '\n    """Do."""\n' + "    if a:\n        a()\n" * count


def nested(count: int, name: str = "f") -> str:
    lines = [" " * (4 + it) + "if a:" for it in range(count)]
    return f"def {name}(a):\n" + "\n".join([*lines, " " * (5 + count) + "a()"]) + "\n"


def test_a_message_carries_the_numbers_and_the_place_is_that_of_the_head() -> None:
    text = "class K:\n    def f(\n        self, a\n    ) -> None:\n" + "        if a:\n            a()\n" * 11
    (finding,) = [it for it in findings({"a.py": text})[0] if it["severity"] != "info"]
    assert finding["message"] == "cyclomatic complexity 12, limit 10: function `K.f`"
    assert (finding["line"], finding["column"], finding["end_line"], finding["end_column"]) == (2, 5, 4, 15)
    assert (finding["rule"], finding["severity"]) == ("cyclomatic-complexity", "warning")


@pytest.mark.parametrize(("count", "severity"), [(15, None), (16, "warning"), (50, "warning"), (51, "error")])
def test_cognitive_complexity_is_a_warning_over_one_limit_and_an_error_over_the_other(
    count: int, severity: str | None
) -> None:
    lines = "".join(f"    x = a[{it}] and b\n" for it in range(count))
    found = [it for it in rules({"a.py": f"def f(a, b):\n{lines}"}) if it[0] == "cognitive-complexity"]
    assert found == ([] if severity is None else [("cognitive-complexity", severity, 1)])


def test_many_ways_are_an_error_only_when_the_code_is_hard_to_follow_too() -> None:
    cases = "".join(f"case {it}: return {it};\n" for it in range(40))
    assert rules({"a.js": f"function f(a) {{ switch (a) {{\n{cases}}} }}\n"}) == [
        ("cyclomatic-complexity", "warning", 1)
    ]
    ways = rules({"a.py": branches(31)})
    assert ("cyclomatic-complexity", "error", 4) in ways


def test_what_a_function_within_costs_is_added_to_the_one_around_it() -> None:
    inner = "if (a) { if (b) { if (c) {} } }\n" * 2
    told = rules({"a.js": f"function f(a) {{ if (a) {{}}\n const g = (b) => {{ {inner} }};\n}}\n"})
    assert told == [("cognitive-complexity", "warning", 1)]  # 1 + 2 * (2 + 3 + 4)
    told = rules({"a.js": f"(function () {{\n const g = (b) => {{ {inner} }};\n}})();\n"})
    assert told == []  # a function that is only a place: 2 * (1 + 2 + 3) each for itself


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("pyproject.toml", "[tool.ruff.lint.mccabe]\nmax-complexity = 20\n", "cyclomatic-complexity"),
        ("ruff.toml", "[lint.mccabe]\nmax-complexity = 20\n", "cyclomatic-complexity"),
        (".flake8", "[flake8]\nmax-complexity = 20\n", "cyclomatic-complexity"),
        ("setup.cfg", "[flake8]\nmax-complexity = -1\n", "cyclomatic-complexity"),
    ],
)
def test_the_projects_own_limits_hold(name: str, text: str, rule: str) -> None:
    files = {"a.py": branches(12)}
    assert [it[0] for it in rules(files)] == [rule]
    Path(name).write_text(text)
    assert rules(files) == []


def test_limits_nearer_to_a_file_come_first_and_may_be_stricter() -> None:
    Path("pyproject.toml").write_text("[tool.complexipy]\nmax-complexity-allowed = 40\n")
    Path("strict").mkdir()
    Path("strict/pyproject.toml").write_text("[tool.complexipy]\nmax-complexity-allowed = 2\n")
    files = {"a.py": nested(2), "strict/a.py": nested(2), "strict/deep/a.py": nested(1)}
    assert [(it["file"], it["message"]) for it in findings(files)[0] if it["severity"] == "warning"] == [
        ("strict/a.py", "cognitive complexity 3, limit 2: function `f`")
    ]


def test_a_limit_of_the_project_above_the_hard_one_moves_that_too() -> None:
    Path("complexipy.toml").write_text("max-complexity-allowed = 60\n")
    assert [it[0] for it in rules({"a.py": nested(10)})] == ["cyclomatic-complexity", "nesting"]  # cognitive 55


def test_rules_of_oxlint_and_eslint_hold_for_other_languages() -> None:
    files = {"a.ts": "function f(a, b, c) { if (a) { if (b) {} } }\n"}
    assert rules(files) == []
    Path(".oxlintrc.json").write_text(
        '{"rules": {"max-params": ["error", 2], /* why */ "max-depth": ["warn", {"max": 1}]}}'
    )
    assert [it[0] for it in rules(files)] == ["nesting", "too-many-parameters"]
    Path(".oxlintrc.json").write_text('{"rules": {"max-params": "off"}}')
    assert rules({"a.ts": "function f(a, b, c, d, e, f, g, h, i) {}\n"}) == []


@pytest.mark.parametrize("text", ["[[[", "[tool.ruff.lint.mccabe]\nmax-complexity = 'x'", "\0\xff", "[" * 20_000])
def test_configuration_that_says_nothing_sensible_says_nothing(text: str) -> None:
    for name in ("pyproject.toml", "setup.cfg", ".flake8", "ruff.toml", ".oxlintrc.json"):
        Path(name).write_text(text)
    assert [it[0] for it in rules({"a.py": branches(12), "a.js": "let x = 1;\n"})] == ["cyclomatic-complexity"]


@pytest.mark.parametrize(
    "head",
    [
        "def f(a):  # noqa: C901",
        "def f(a):  # noqa",
        "def f(a):  # noqa: E501, cyclomatic-complexity",
        "@keep  # noqa: C901\ndef f(a):",
    ],
)
def test_comments_silence_a_function(head: str) -> None:
    assert [it[0] for it in rules({"a.py": branches(12)})] == ["cyclomatic-complexity"]
    assert rules({"a.py": branches(12, head)}) == []


def test_a_comment_for_another_rule_silences_nothing() -> None:
    assert [it[0] for it in rules({"a.py": branches(12, "def f(a):  # noqa: E501")})] == ["cyclomatic-complexity"]


@pytest.mark.parametrize("comment", ["# complexipy: ignore\ndef f(a):", "def f(a):  # complexipy: ignore"])
def test_complexipys_comment_silences_what_complexipy_measures(comment: str) -> None:
    text = nested(6).replace("def f(a):", comment)
    assert [it[0] for it in rules({"a.py": nested(6)})] == ["cognitive-complexity", "nesting"]
    assert [it[0] for it in rules({"a.py": text})] == ["nesting"]


def test_a_whole_file_is_silenced_by_ruffs_and_flake8s_comment() -> None:
    assert rules({"a.py": "# ruff: noqa: C901\n" + branches(12), "b.py": "# flake8: noqa\n" + nested(6)}) == []


@pytest.mark.parametrize(
    "text",
    [
        "// eslint-disable-next-line max-params\nfunction f(a, b, c, d, e, f, g, h) {}\n",
        "function f(a, b, c, d, e, f, g, h) {} // eslint-disable-line\n",
        "/* eslint-disable max-params -- why */\nfunction f(a, b, c, d, e, f, g, h) {}\n/* eslint-enable */\n",
        "/* eslint-disable */\nfunction f(a, b, c, d, e, f, g, h) {}\n",
    ],
)
def test_eslints_comments_silence(text: str) -> None:
    assert rules({"a.js": text}) == []


def test_behind_eslint_enable_things_count_again() -> None:
    text = "/* eslint-disable max-params */\n/* eslint-enable */\nfunction f(a, b, c, d, e, f, g, h) {}\n"
    assert rules({"a.js": text}) == [("too-many-parameters", "warning", 3)]


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("a.py", "# Code generated by protoc. DO NOT EDIT.\n"),
        ("a.py", "# @generated\n"),
        ("vendor/a.py", ""),
        ("a_pb2.py", ""),
        ("a.py", "x = [" + "1, " * 2_000 + "]\n"),
    ],
)
def test_what_nobody_reads_is_left_alone_with_a_note(name: str, before: str) -> None:
    records, report, _ = findings({name: before + nested(6)})
    assert records == []
    assert list(report.notes) == ["generated, minified or vendored: left alone"]


def original() -> str:
    return (CORPUS / "duplicate-code/python/good.py").read_text().partition("import os\n\n\n")[2]


def test_a_clone_is_told_once_as_large_as_it_is() -> None:
    copy = original().replace("items", "parcels").replace("limit", "most").replace("seen", "known")
    records, _, quality = findings({"a.py": original(), "b.py": "import os\n\n\n" + copy})
    (clone,) = [it for it in records if it["rule"] == "duplicate-code"]
    assert (clone["file"], clone["line"], clone["end_line"]) == ("b.py", 4, 15)
    assert "12 lines" in clone["message"]
    assert "say the same as `a.py` from line 1 on" in clone["message"]
    assert quality.totals["duplicated_lines"] == 12


def test_names_that_do_not_answer_to_each_other_make_no_clone() -> None:
    other = original().replace("seen", "items")
    assert "duplicate-code" not in [it[0] for it in rules({"a.py": original(), "b.py": other})]


def test_when_some_files_are_named_the_others_are_compared_with_but_not_judged(tmp_path: Path) -> None:
    text = (CORPUS / "duplicate-code/python/good.py").read_text()
    Path("old.py").write_text(text + nested(9, "g"))
    Path("new.py").write_text(text)
    listing = tmp_path / "listing"
    listing.write_text("./new.py\n")
    *records, end = run(Path.cwd(), listing)
    assert [(it["rule"], it["file"]) for it in records] == [("duplicate-code", "new.py")]
    assert end["files"] == 1


def finding(text: str) -> tuple[Finding, ...]:
    """The findings of one file, as the check hands them on."""
    made = [
        Finding(
            it["rule"], Severity(it["severity"]), it["message"], "quality", "quality", it["file"], it["line"],
            subject=it["subject"],
        )
        for it in findings({"a.py": text})[0]
    ]  # fmt: skip
    return tuple(it for it in made if it.severity is not Severity.INFO)


def prints(text: str) -> set[str]:
    return {it.fingerprint for it in with_fingerprints(finding(text))}


def test_another_number_or_place_is_no_new_finding_but_another_function_is() -> None:
    before = prints(nested(6))
    assert len(before) == 2
    assert prints("\n\n\n" + nested(7)) == before
    assert not prints(nested(6, "g")) & before


def test_what_got_worse_across_a_limit_is_new_and_what_got_better_is_not() -> None:
    def report(text: str) -> CheckResult:
        return CheckResult("quality", CheckStatus.FAILED, finding(text))

    def left(now: str, before: str) -> list[tuple[str, Severity]]:
        known = fingerprints(report_of([report(before)], MINUTE))
        told = under_policy(report_of([report(now)], MINUTE), FindingPolicy(new_only=True), known)
        return [(it.rule, it.severity) for it in told.findings]

    worse, bad = nested(9).replace("if a:", "if a and b:"), nested(6)
    assert left(worse, bad) == [("cognitive-complexity", Severity.ERROR)]
    assert left(bad, worse) == []
    assert left(worse, worse) == []


async def test_the_note_sums_up_what_was_measured(bench: Bench) -> None:
    bench.file("a.py", '"""A module."""\n\n\ndef f(a):\n    """Do."""\n    return 1 if a else 2\n')
    report = await bench.service.check(["quality"], bench.run, None, None, MINUTE)
    assert report.results[0].note == (
        "1 function, on average cyclomatic 1.0 and cognitive 1.0, maintainability 100, 0.0 % of lines duplicated, "
        "100 % of public names documented"
    )


@pytest.mark.parametrize("totals", ["[]", '{"functions": "x"}', '{"functions": 1.5}', "null"])
def test_totals_that_are_none_are_no_answer(totals: str) -> None:
    line = f'{{"done": true, "files": 1, "left_out": 0, "others_left_out": 0, "notes": [], "totals": {totals}}}\n'
    with pytest.raises(ToolOutputError):
        QualityCheck().parse(ToolOutput(0, line.encode(), b"", 1, "/workspace"))


HOSTILE: dict[str, bytes] = {
    "parentheses.py": b"x = " + b"(" * 10_000 + b")" * 10_000 + b"\n",
    "brackets.js": b"x = " + b"[" * 2_000 + b"]" * 2_000 + b";\n",
    "functions.js": b"function f() {\n" * 3_000 + b"}\n" * 3_000,
    "elses.c": b"void f() {\n" + b"if (a) {} else\n" * 5_000 + b"{} }\n",
    "sums.py": b"x = 1" + b" + \\\n1" * 3_000 + b"\n",
    "nots.go": b"package a\nfunc f() { x = " + b"!" * 4_000 + b"a }\n",
    "line.py": b"x = [" + b"1," * ((4 << 19) - 10) + b"]\n",
    "zero.py": b"x = 1\0\n",
    "zero.rs": b"fn f() { \0 }\n",
    "utf16.py": "x = 1\n".encode("utf-16"),
    "latin.py": b"# \xe9\nx = '\xff'\n",
    "coding.py": b"# -*- coding: nonsense -*-\nx = 1\n",
    "strings.js": b"\"'`" * 3_000,
    "comments.c": b"/*/*" * 3_000,
    "imports.py": b"import (\n" * 20_000,
    "noqa.py": b"# ruff: noqa: X\n" * 10_000,
    "eslint.js": b"// eslint-disable x y z\n" * 10_000,
    "empty.py": b"",
    "half.java": b"class A { void f() { if (",
}


def test_no_text_makes_it_fall_over(tmp_path: Path) -> None:
    for name, data in HOSTILE.items():
        Path(name).write_bytes(data)
    Path("after.py").write_text(nested(6))
    *records, end = run(Path.cwd())
    assert end["files"] == len(HOSTILE) + 1
    assert ("cognitive-complexity", "after.py") in [(it["rule"], it["file"]) for it in records]
    assert {it["file"] for it in records if it["severity"] == "error"} <= {"elses.c", "functions.js"}
    assert "cannot be parsed: not measured (6 files)" in end["notes"]


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo("pipe.py")
    Path("outside.py").symlink_to("/etc/hostname")
    Path("loop").symlink_to(".")
    Path("dir.py").mkdir()
    Path("a.py").write_text(nested(6))
    records = run(Path.cwd())
    assert {it["file"] for it in records[:-1]} == {"a.py"}
    assert records[-1]["files"] == 1


def steps(data: bytes, language: str) -> tuple[int, int]:
    """Tokens, and how often one was hashed or compared."""
    clones = Clones()
    tokens = cut(data, language, Vocabulary())
    for _ in range(2):
        list(clones.add(b"a", tokens))
    return 2 * len(tokens.kinds), clones.steps


@pytest.mark.parametrize(
    "piece",
    [
        b"x = f(x)\n",
        b"a = b\nb = a\nc = a + b\n",
        b"(\n",
        b"".join(b"v%d = v%d + w%d\n" % (it, it % 7, it % 11) for it in range(40)),
    ],
)
def test_looking_for_clones_takes_steps_in_proportion_to_the_text(piece: bytes) -> None:
    small, large = (steps(piece * (count // len(piece)), "python") for count in (20_000, 160_000))
    assert large[0] > 6 * small[0]
    for tokens, taken in (small, large):
        assert taken <= 300 * tokens  # at most MAX_PLACES comparisons of about WINDOW tokens at each place
    assert large[1] / large[0] <= 1.5 * small[1] / small[0]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_falls_into_tokens_without_comments_and_with_lines(language: str) -> None:
    comment = "#" if language == "python" else "//"
    tokens = cut(f"a = 1 {comment} b\n\nreturn 'x'\n".encode(), language, Vocabulary())
    assert len(tokens.kinds) == len(tokens.names) == len(tokens.lines)
    assert [*tokens.lines][:4] == [1, 1, 1, 3]
