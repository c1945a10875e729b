"""The JavaScript part of the `performance` check: what it finds and lets pass, and that nothing makes it fall over."""

from __future__ import annotations

import pytest

from engine.validation.programs import performance_javascript
from tests.unit.engine.validation.performance_corpus import CORPUS, scores
from tests.unit.engine.validation.security_corpus import table

FETCHED = (
    "async function f(xs) {{\n  const a = [];\n  for (const x of xs) {{\n{}    a.push(await getOne(x)); {}\n  }}\n}}\n"
)


def found(source: str, name: str = "a.js") -> list[tuple[str, int]]:
    return [(it.rule, it.line) for it in performance_javascript.findings(source.encode(), name.encode())]


def test_the_corpus_is_told_apart() -> None:
    made = scores(performance_javascript.findings, "javascript")
    print(table(made))  # noqa: T201
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)
    assert all(it.bad and it.good and it.hits >= 2 for it in made.values())


def test_every_rule_has_a_corpus() -> None:
    rules = {path.name for path in (CORPUS / "javascript").iterdir()}
    bad = {path: path.read_bytes() for path in (CORPUS / "javascript").rglob("bad.*")}
    made = [it for path, data in bad.items() for it in performance_javascript.findings(data, str(path).encode())]
    assert {it.rule for it in made} == rules
    assert {it.severity for it in made} == {"warning", "info"}


def test_a_finding_says_where_it_is() -> None:
    (it,) = performance_javascript.findings(FETCHED.format("", "").encode(), b"a.js")
    assert (it.rule, it.severity, it.line, it.column) == ("await-in-loop", "warning", 4, 12)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "// eslint-disable-line"),
        ("", "// eslint-disable-line await-in-loop"),
        ("", "// eslint-disable-line no-console, no-await-in-loop"),
        ("/* eslint-disable no-await-in-loop */", ""),
    ],
)
def test_comments_silence(before: str, after: str) -> None:
    assert found(FETCHED.format(f"{before}\n" if before else "", after)) == []


def test_the_line_after_a_comment_is_silenced_and_no_other() -> None:
    silenced = "// eslint-disable-next-line no-await-in-loop\n"
    assert found(FETCHED.format(silenced, "") + FETCHED.format("", "")) == [("await-in-loop", 11)]


@pytest.mark.parametrize("comment", ["// eslint-disable-line no-console", "// see no-await-in-loop"])
def test_a_comment_about_something_else_does_not_silence(comment: str) -> None:
    assert found(FETCHED.format("", comment)) == [("await-in-loop", 4)]


@pytest.mark.parametrize(
    "source",
    [
        "(" * 20_000,
        "a(" * 5_000 + ")" * 5_000,
        "x = " + "() => " * 3_000 + "1",
        "for (;;) { " * 2_000 + "}" * 2_000,
        "x = a" + "\n.map(b)" * 10_000,
        "for (const a of b) {\n" * 1_000 + "a.style.x = a.offsetTop" + "}" * 1_000,
        "xs.reduce();xs.reduce(function(){});xs.reduce(()=>{});useEffect();useEffect(a);JSON.parse();new Array;\n",
        "const a = a; const b = a.map(b); for (const x of b) { a.find(); b.includes(x); a = [...a]; }",
        "for (const x of y) {\n" + "z = [...z, x];\n" * 3_000 + "}",
        "\0\xff",
        "",
    ],
)
def test_no_source_makes_it_fall_over_or_run_on(source: str) -> None:
    for name in (b"a.js", b"a.tsx"):
        for it in performance_javascript.findings(source.encode("latin-1"), name):
            assert it.message


def test_what_is_minified_or_too_intricate_is_said() -> None:
    assert found("a();", "a.min.js") == [("not-analysed", 1)]
    intricate = "let z = [];\nfor (const x of y) {\n" + "z = [...z, x];\n" * 3_000 + "}"
    assert found(intricate)[-1][0] == "not-analysed"


def test_source_that_the_parser_never_ends_with_is_passed_over_and_said() -> None:
    (it,) = performance_javascript.findings(b"s:-t e ps://s-[:@@@b ", b"a.tsx")
    assert (it.rule, it.severity) == ("not-analysed", "warning")
