"""The security check as users run it: in the image, over Python, JavaScript, templates and secrets, and in a plan."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

VIEW = """\
import sqlite3
from flask import Flask, request

app = Flask(__name__)


@app.route("/")
def page():
    name = request.args["name"]
    return str(sqlite3.connect("x").execute(%s).fetchall())
"""
SAFE = '"select * from t where name = ?", (name,)'
UNSAFE = "\"select * from t where name = '%s'\" % name"


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "app.py").write_text(VIEW % SAFE)
        yield made


def test_a_fault_of_every_kind_of_file_is_found_in_the_image(bench: CommandBench) -> None:
    kinds = {
        "bad.py": VIEW % UNSAFE,
        "a.ts": "document.body.innerHTML = location.hash;\n",
        "templates/page.html": "<p>{{ name|safe }}</p>\n",
        "settings.ini": "password = " + "k8Jq" + "Zt7PwX2m\n",
    }
    for name, text in kinds.items():
        (bench.project / name).parent.mkdir(exist_ok=True)
        (bench.project / name).write_text(text)
    try:
        told = bench.shown("validate", "--all", "--checks", "security", "--quiet", expect=1)
    finally:
        for name in kinds:
            (bench.project / name).unlink()
    found = {(finding["file"], finding["rule"]) for finding in told["findings"]}
    assert found == {
        ("bad.py", "sql-injection"), ("a.ts", "xss"), ("templates/page.html", "xss"),
        ("settings.ini", "hardcoded-secret"),
    }  # fmt: skip
    assert not any("Zt7PwX2m" in str(finding) for finding in told["findings"])


def test_a_step_that_makes_a_view_unsafe_is_rolled_back(bench: CommandBench) -> None:
    edit = (VIEW % UNSAFE).replace('"', '\\"').replace("\n", "\\n")
    plan = f'version: 1\nchecks: [security]\nsteps:\n  - {{type: file_edit, path: app.py, content: "{edit}"}}\n'
    outcome = bench.run(plan, expect=1)
    (finding,) = outcome["steps"][0]["findings"]
    assert (finding["rule"], finding["reference"], finding["line"]) == ("sql-injection", "CWE-89", 10)
    assert outcome["head"] == "c0"
    assert bench("diff", outcome["execution_id"]).stdout == ""
