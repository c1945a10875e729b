"""Every row of the table of checks, through the suite that all checks share."""

from __future__ import annotations

from engine.plan.rules import AVAILABLE_CHECKS
from engine.validation.lint import LintCheck
from engine.validation.performance import PerformanceCheck
from engine.validation.security import SecurityCheck
from engine.validation.service import CHECKS, KNOWN_CHECKS
from engine.validation.syntax import SyntaxCheck
from engine.validation.type import TypeCheck
from tests.conformance.validator_suite import Sample, ValidatorSuite

GOOD = {"pkg/__init__.py": "", "pkg/a.py": "def double(x: int) -> int:\n    return 2 * x\n"}


class TestSyntax(ValidatorSuite):
    check = SyntaxCheck()
    good = Sample(GOOD | {"data.json": '{"a": [1.5]}', "pyproject.toml": "[tool]\n", "a.ts": "let x: 1 = 1;\n"})
    bad = Sample(
        {
            "a.py": "x = 1\ndef f(:\n",
            "b.py": "if x:\n\ty\n        z\n",
            "c.json": '{\n"a": }',
            "d.toml": "a = \n",
            "e.js": "let = ;",
        },
        frozenset(
            {
                ("syntax-error", "a.py", 2),
                ("tab-error", "b.py", 3),
                ("invalid-json", "c.json", 2),
                ("invalid-toml", "d.toml", 1),
                ("syntax-error", "e.js", 1),
            }
        ),
    )


class TestLint(ValidatorSuite):
    check = LintCheck()
    good = Sample(GOOD)
    bad = Sample(
        {"a.py": "import os\n\n\nprint(undefined)\n", "sub/b.py": "def f(:\n"},
        frozenset({("F401", "a.py", 1), ("F821", "a.py", 4), ("invalid-syntax", "sub/b.py", 1)}),
    )


class TestType(ValidatorSuite):
    check = TypeCheck()
    good = Sample(GOOD)
    bad = Sample(
        {"a.py": "def f(x: int) -> str:\n    return x\n\n\nf('')\n"},
        frozenset({("return-value", "a.py", 2), ("arg-type", "a.py", 5)}),
    )


class TestSecurity(ValidatorSuite):
    check = SecurityCheck()
    nothing = "yarn.lock"
    good = Sample(GOOD | {"a.js": "const x = 1;\n", "page.html": "<p>{{ x }}</p>\n"})
    bad = Sample(
        {
            "a.py": "import os, sys\nfrom flask import request\n\n\ndef f():\n    os.system('ls ' + request.args['x'])\n",  # noqa: E501
            "b.js": "document.body.innerHTML = location.hash;\n",
        },
        frozenset({("command-injection", "a.py", 6), ("xss", "b.js", 1)}),
    )


class TestPerformance(ValidatorSuite):
    check = PerformanceCheck()
    good = Sample(GOOD | {"a.js": "const x = 1;\n"})
    bad = Sample(
        {
            "a.py": "import numpy as np\n\n\ndef f(xs):\n    a = np.array([])\n    for x in xs:\n"
            "        a = np.append(a, x)\n    return a\n",
            "b.py": "import time\n\n\nasync def f():\n    time.sleep(1)\n",
            "c.js": "xs.reduce((all, x) => [...all, x], []);\n",
        },
        frozenset(
            {
                ("array-grown-in-loop", "a.py", 7),
                ("blocking-in-async", "b.py", 5),
                ("sequence-copied-in-loop", "c.js", 1),
            }
        ),
    )


def test_there_is_one_row_for_each_name_that_plans_may_use() -> None:
    assert tuple(CHECKS) == KNOWN_CHECKS == AVAILABLE_CHECKS
    assert all(check.name == name for name, check in CHECKS.items())
