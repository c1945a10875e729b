"""The Python half of the security check over its corpus, and what it says of single flows."""

from __future__ import annotations

import pytest

from tests.unit.engine.validation.python_security_corpus import findings, scores

KNOWN_FALSE = {"open-redirect/netloc/good.py:13 open-redirect"}
"""A host that is compared after the address was taken apart in another way than the rules know."""

SCORES = scores()


@pytest.mark.parametrize("group", sorted(SCORES))
def test_faults_of_the_corpus_are_found_and_their_fixed_twins_are_silent(group: str) -> None:
    score = SCORES[group]
    assert min(score.bad, score.good) >= 6
    assert score.missed == []
    assert set(score.false) <= KNOWN_FALSE


def test_the_corpus_has_every_group() -> None:
    assert {"sql-injection", "command-injection", "path-traversal", "xss", "csrf", "ssrf"} <= set(SCORES)
    assert SCORES["sql-injection"].bad >= 25


FLOW = {
    "app.py": "from flask import Flask, request\nfrom store import find\napp = Flask(__name__)\n\n\n"
    "@app.route('/')\ndef page():\n    return str(find(request.args['name']))\n",
    "store.py": "import sqlite3\n\n\ndef find(name):\n    cursor = sqlite3.connect('x').cursor()\n"
    "    return cursor.execute(f\"select * from t where name = '{name}'\").fetchall()\n",
}


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
