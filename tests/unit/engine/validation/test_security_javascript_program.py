"""The JavaScript part of the `security` check: what it finds and lets pass, and that nothing makes it fall over."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from engine.validation.programs import security_javascript
from engine.validation.programs.security_javascript import check, check_embedded
from tests.unit.engine.validation.security_corpus import CORPUS, findings, scores, table


def found(source: str, name: str = "a.js") -> list[tuple[str, int]]:
    return [(it["rule"], it["line"]) for it in findings(check, source.encode(), name)]


def first(source: str, name: str = "a.js") -> dict[str, Any]:
    return findings(check, source.encode(), name)[0]


def test_the_corpus_is_told_apart() -> None:
    made = scores(check, "javascript")
    print(table(made))  # noqa: T201
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)
    assert all(it.bad >= 6 and it.good >= 6 for it in made.values())
    assert made["sql-injection"].bad >= 15
    assert made["xss"].bad >= 15


def test_whole_applications_are_told_apart() -> None:
    made = scores(check, "javascript_mixed")
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)


def test_every_rule_has_a_corpus() -> None:
    assert {path.name for path in (CORPUS / "javascript").iterdir()} == set(security_javascript.REFERENCES)


def test_a_finding_names_the_source_the_weakness_and_what_to_do() -> None:
    said = first("app.get('/', (req, res) => {\n  const q = req.query.q;\n  res.send('<b>' + q);\n});\n")
    assert (said["rule"], said["line"], said["column"], said["severity"]) == ("xss", 3, 3, "error")
    assert (said["reference"], said["category"]) == ("CWE-79", "security")
    assert "req.query.q (line 2)" in said["message"]


@pytest.mark.parametrize(
    "source",
    [
        "import * as db from 'mysql2'; const c = db.createPool(); f = (r) => { c.query('select ' + r) }; "
        "app.get('/', (q, s) => f(q.query.a));",
        "const {exec: run} = require('child_process'); "
        "module.exports = async ({ query }, res) => run(`ls ${query.d}`);",
        "const cp = require('child_process'); function h(req) { let d; if (x) { d = req.query.d } else { d = 'a' } "
        "cp.exec('ls ' + d) }",
        "const cp = require('child_process'); function h(req) { try { cp.exec(req.body.c) } finally { done() } }",
        "const cp = require('child_process'); function h(req) { for (const d of req.body.all) { cp.exec('ls ' + d) } }",
        "const cp = require('child_process'); function h(req) { req.body.all.forEach((d) => cp.exec('ls ' + d)) }",
        "const cp = require('child_process'); const o = {}; function h(req) { o.d = req.body.d; cp.exec('ls ' + o.d) }",
        "const cp = require('child_process'); function h(req) { const d = [req.query.a, 'b'].join(' '); cp.exec(d) }",
        "const cp = require('child_process'); function h(req) { switch (x) { case 1: cp.exec(req.query.a) } }",
        "const cp = require('child_process'); class A { run(c) { cp.exec(c) } go(req) { this.run(req.query.c) } }",
        "const cp = require('child_process'); const a = { run: (c) => cp.exec(c) }; h = (req) => a.run(req.query.c)",
        "const cp = require('child_process'); function id(x) { return x } h = (req) => cp.exec(id(req.query.c))",
        "const cp = require('child_process'); async function get(req) { return await req.json() } "
        "async function POST(request) { const { c } = await request.json(); cp.exec(c) }",
        "const cp = require('child_process'); "
        "function h(req) { const { a: { b = 1 } = {}, ...rest } = req.body; cp.exec(rest.c) }",
    ],
)
def test_foreign_values_are_followed(source: str) -> None:
    assert {rule for rule, _ in found(source)} & {"command-injection", "sql-injection"}


@pytest.mark.parametrize(
    "source",
    [
        "function h(req) { /^a/.exec(req.query.a); model.exec(); pattern.exec(req.body.b) }",
        "const cp = require('child_process'); function h(req) { cp.exec('ls'); log(req.query.a) }",
        "const cp = require('child_process'); function h(req) { let d = req.query.d; d = 'fixed'; cp.exec(d) }",
        "const cp = require('child_process'); function h(req) { cp.exec('kill ' + parseInt(req.query.pid, 10)) }",
        "const cp = require('child_process'); function run(exec, req) { const f = exec; f('a') }",
        "const o = { a: req.query.a, b: 'fixed' }; require('child_process').exec(o.b)",
        "function h(req) { if (!OK.has(req.query.u)) { throw new Error('no') } fetch(req.query.u) }",
        "function h(req) { const u = OK.includes(req.query.u) ? req.query.u : '/'; fetch(u) }",
        "fetch(process.env.API + '/x'); require('fs').readFileSync(process.env.CONFIG)",
        "el.innerHTML = ''; el.innerHTML = `<b>${1 + 2}</b>`; const A = '<i>'; el.innerHTML = A + A;",
        "el.innerHTML = sanitizeHtml(location.hash); el.textContent = location.hash; x = el.innerHTML",
    ],
)
def test_what_is_constant_checked_or_elsewhere_is_let_pass(source: str) -> None:
    assert found(source) == []


def test_types_do_not_hide_anything() -> None:
    source = "const f = async (req: Request<P>): Promise<void> => { await fetch((req.query as any).url!); };"
    assert found(source, "a.ts") == [("ssrf", 1)]
    assert found("export class C { @Get() go(@Query('u') u: string) { return fetch(u) } }", "a.ts") == [("ssrf", 1)]


@pytest.mark.parametrize(
    "comment",
    [
        "// nosec",
        "// eslint-disable-line",
        "// eslint-disable-line code-injection",
        "// eslint-disable-line security/detect-eval-with-expression",
        "/* eslint-disable-line no-eval -- why */",
    ],
)
def test_a_comment_on_the_line_silences(comment: str) -> None:
    assert found(f"eval(location.hash) {comment}\n") == []


@pytest.mark.parametrize(
    "comment", ["// eslint-disable-line no-console", "// nosecurity", "// eslint-disable-line xss"]
)
def test_a_comment_about_something_else_does_not_silence(comment: str) -> None:
    assert found(f"eval(location.hash) {comment}\n") == [("code-injection", 1)]


def test_the_line_after_a_comment_is_silenced_and_no_other() -> None:
    source = "// eslint-disable-next-line\neval(location.hash)\neval(location.hash)\n"
    assert found(source) == [("code-injection", 3)]


@pytest.mark.parametrize(
    "source",
    [
        "(" * 20_000,
        "a(" * 5_000 + ")" * 5_000,
        "[" * 5_000 + "]" * 5_000,
        "x = " + "() => " * 3_000 + "1",
        "if (a) { " * 3_000 + "}" * 3_000,
        "x = a" + "\n+ b" * 20_000,
        "x = a" + "\n.b()" * 10_000,
        "x = a ? b :\n" * 4_000 + "c",
        "f(function () {\n" * 2_000 + "})" * 2_000,
        "`${" * 2_000,
        "\0\xff",
        "",
        "x = " + "!" * 4_000 + "a",
        "if (a) {} else\n" * 3_000,
        "const {a: " * 1_000 + "b" + "}" * 1_000 + " = req.body",
    ],
)
def test_no_source_makes_it_fall_over_or_run_on(source: str) -> None:
    for name in ("a.js", "a.tsx"):
        assert {it["severity"] for it in findings(check, source.encode("latin-1"), name)} <= {"info"}


@pytest.mark.parametrize(
    "unit",
    [
        "function f@(req, a) { if (a) { const b = req.query.b + a; db.query('select ' + b) } return f@(req, a) }\n",
        "const v@ = OK.has(req.query.a@) && req.query.a@; if (v@ === 'a') { w@ = v@ } else { w@ = 1 }\n",
        "for (const k in req.body) { t[k] = req.body[k] } res.send('<b>' + req.query.a@);\n",
        "s += '<li>' + req.query.a@; list.push(s); o.a@ = s;\n",
        "res.setHeader('Access-Control-Allow-Origin', '*'); const token@ = Math.random();\n",
        "function g@(a) { g@(a); h(a); db.query('select ' + a) }\n",
    ],
)
def test_the_work_grows_with_the_length(unit: str) -> None:
    def calls(count: int) -> int:
        """How many functions are called for a source of so many units."""
        source = "".join(unit.replace("@", str(number)) for number in range(count)).encode()
        made = 0

        def counting(frame: FrameType, event: str, argument: object) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(counting)
        try:
            check(source, b"a.js", Silent())
        finally:
            sys.setprofile(None)
        return made

    assert calls(1_000) < 12 * calls(100)


def test_what_is_minified_or_too_large_is_passed_over_and_said() -> None:
    for source, name in ((b"eval(x);" * 1_000, "a.js"), (b"eval(x)\n", "a.min.js"), (b"eval(x)\n" * 200_000, "a.js")):
        assert [it["rule"] for it in findings(check, source, name)] == ["not-analysed"]


def test_which_files_are_taken() -> None:
    names = ("a.js", "a.mjs", "a.cjs", "a.jsx", "a.ts", "a.tsx", "A.JS")
    assert all(security_javascript.checker(name.encode()) for name in names)
    assert not any(security_javascript.checker(name) for name in (b"a.json", b"a.py", b"js", b"a.js.map"))


@pytest.mark.parametrize("name", ["a.vue", "a.html", "a.svelte"])
def test_scripts_in_pages_are_looked_at_where_they_are(name: str) -> None:
    page = b"<p>\n</p>\n<script>\n  const a = 1;\n  eval(location.hash);\n</script>\n"
    page += b"<script type='text/x'>eval(a)</script>\n"
    (it,) = findings(check_embedded, page, name)
    assert (it["rule"], it["line"], it["column"]) == ("code-injection", 5, 3)


def test_scripts_that_a_template_fills_in_are_left_out() -> None:
    assert findings(check_embedded, b"<script>eval({{ a }})</script><script>" * 2_000, "a.html") == []
    assert findings(check_embedded, b"<script>\n" * 100_000, "a.html") == []


def test_long_chains_of_calls_are_followed_to_their_end() -> None:
    assert found("q" + ".where('a', 1)" * 60 + ".whereRaw('a = ' + location.hash)\n") == [("sql-injection", 1)]


def test_source_that_the_parser_never_ends_with_is_passed_over_and_said() -> None:
    (it,) = findings(check, b"s:-t e ps://s-[:@@@b ", "a.tsx")
    assert (it["rule"], it["severity"]) == ("not-analysed", "warning")


class Silent(security_javascript.Report):
    """Prints nothing."""

    def add(self, rule: str, message: str, path: bytes, severity: str = "error", **more: Any) -> None:
        self.listed[severity == "error"] += 1
