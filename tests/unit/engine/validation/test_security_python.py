"""The Python half of the security check over its corpus, and what it says of single flows."""

from __future__ import annotations

import ast

import pytest

from engine.validation.programs.taint import Analysis
from engine.validation.programs.taint_modules import Module, Project
from tests.unit.engine.validation.python_security_corpus import findings, scores

SCORES = scores()


@pytest.mark.parametrize("group", sorted(SCORES))
def test_faults_of_the_corpus_are_found_and_their_fixed_twins_are_silent(group: str) -> None:
    score = SCORES[group]
    assert min(score.bad, score.good) >= 6
    assert score.missed == []
    assert score.false == []


def test_the_corpus_has_every_group() -> None:
    assert {"sql-injection", "command-injection", "path-traversal", "xss", "csrf", "ssrf"} <= set(SCORES)
    assert SCORES["sql-injection"].bad >= 25


FLOW = {
    "app.py": "from flask import Flask, request\nfrom store import find\napp = Flask(__name__)\n\n\n"
    "@app.route('/')\ndef page():\n    return str(find(request.args['name']))\n",
    "store.py": "import sqlite3\n\n\ndef find(name):\n    cursor = sqlite3.connect('x').cursor()\n"
    "    return cursor.execute(f\"select * from t where name = '{name}'\").fetchall()\n",
}


HANDLER = "from flask import request\nimport os, sys\n\n\ndef view(name):\n    os.system('ls ' + {})\n"


@pytest.mark.parametrize(
    ("origin", "severity"), [("request.args['d']", "error"), ("sys.argv[1]", "warning"), ("name", "warning")]
)
def test_only_what_a_request_says_is_an_error(origin: str, severity: str) -> None:
    (finding,) = findings({"a.py": HANDLER.format(origin)})
    assert (finding["rule"], finding["severity"]) == ("command-injection", severity)


def test_a_function_in_a_function_does_not_keep_the_analysis_from_ending() -> None:
    module = ast.parse("def outer(x):\n    def inner(y):\n        return y + x\n    return inner(x)\n\n\nouter(1)\n")
    project = Project()
    project.add(Module(b"a.py", "a.py", module))
    analysis = Analysis(project)
    assert (analysis.run(), analysis.cut) == ([], set())


def test_many_stores_below_one_name_take_time_that_grows_with_their_number() -> None:
    def steps(count: int) -> int:
        body = "".join(f"    a['k{number}'] = request.args['x{number}']\n" for number in range(count))
        project = Project()
        project.add(Module(b"a.py", "a.py", ast.parse(f"def view(request, a):\n{body}    return a\n")))
        analysis = Analysis(project)
        analysis.run()
        return analysis.steps

    assert steps(400) <= 2 * steps(200) + 50


def test_a_value_is_followed_through_a_helper_in_another_file() -> None:
    (finding,) = [it for it in findings(FLOW) if it["severity"] == "error"]
    assert (finding["rule"], finding["reference"], finding["file"]) == ("sql-injection", "CWE-89", "store.py")
    assert "request.args" in finding["message"]


@pytest.mark.parametrize("comment", ["# nosec", "# nosec B608", "# noqa: S608"])
def test_comments_that_silence_a_rule_are_honoured(comment: str) -> None:
    line = FLOW["store.py"].splitlines()[5]
    silenced = {**FLOW, "store.py": FLOW["store.py"].replace(line, f"{line}  {comment}")}
    assert [it for it in findings(silenced) if it["rule"] == "sql-injection"] == []


@pytest.mark.parametrize(
    "text",
    ["x = " + "(" * 150 + "1" + ")" * 150, "x = 1" + " + 1" * 20_000, "def f(:\n", "\0", "if a:\n" * 90 + "x",
     "\n".join(f"def f{n}(a): return f{n + 1}(a)" for n in range(2_000))],
)  # fmt: skip
def test_no_source_makes_it_fall_over(text: str) -> None:
    assert all(it["severity"] in ("info", "warning", "error") for it in findings({"a.py": text}))
