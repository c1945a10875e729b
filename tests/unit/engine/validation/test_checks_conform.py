"""Every row of the table of checks, through the suite that all checks share."""

from __future__ import annotations

import pytest

from engine.plan.rules import AVAILABLE_CHECKS
from engine.validation.building import CompileCheck
from engine.validation.lint import LintCheck
from engine.validation.performance import PerformanceCheck
from engine.validation.project_tests import ProjectTestsCheck
from engine.validation.quality import QualityCheck
from engine.validation.security import SecurityCheck
from engine.validation.service import CHECKS, KNOWN_CHECKS
from engine.validation.syntax import SyntaxCheck
from engine.validation.type import TypeCheck
from tests.conformance.validator_suite import Sample, ValidatorSuite
from tests.unit.engine.validation.local_sandbox import Bench

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


class TestCompile(ValidatorSuite):
    check = CompileCheck()
    good = Sample(GOOD)
    bad = Sample(
        {
            "own/__init__.py": "",
            "own/a.py": "from own import b\n\nONE = b.ONE\n",
            "own/b.py": "from own.a import ONE\n",
        },
        frozenset({("import-failed", "own/b.py", 1)}),
    )


class TestProjectTests(ValidatorSuite):
    check = ProjectTestsCheck()
    good = Sample(GOOD | {"test_fine.py": "def test_sum():\n    assert 1 + 1 == 2\n"})
    bad = Sample(
        {"calc.py": "ONE = 2\n", "test_calc.py": "import calc\n\n\ndef test_one():\n    assert calc.ONE == 1\n"},
        frozenset({("test-failed", "test_calc.py", 5)}),
    )

    @pytest.fixture
    def tools(self, bench: Bench) -> Bench:
        """The Python of these tests stands for that of the image, as it has pytest."""
        bench.run.path = f"{bench.tools}:{bench.run.path}"
        return bench


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


class TestQuality(ValidatorSuite):
    check = QualityCheck()
    good = Sample(
        {
            "pkg/a.py": '"""A module."""\n\n\ndef double(x: int) -> int:\n    """Twice."""\n    return 2 * x\n',
            "a.js": "const f = (x) => (x ? 1 : 2);\n",
            "a.go": "package a\n",
        }
    )
    bad = Sample(
        {
            "a.py": "def f(x):\n" + "".join(" " * it + "if x:\n" for it in range(4, 14)) + " " * 14 + "x()\n",
            "b.js": f"\nfunction f(a, b, c, d, e, f, g, h) {{\n{'if (a) {' * 10}{'}' * 10}\n}}\n",
        },
        frozenset(
            {
                ("cognitive-complexity", "a.py", 1),
                ("nesting", "a.py", 1),
                ("cognitive-complexity", "b.js", 2),
                ("too-many-parameters", "b.js", 2),
            }
        ),
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
