"""The Python part of the `performance` check: what it finds and lets pass, and that nothing makes it fall over."""

from __future__ import annotations

import textwrap

import pytest

from engine.validation.programs import performance_python
from engine.validation.programs.performance_findings import Finding
from tests.unit.engine.validation.performance_corpus import CORPUS, scores
from tests.unit.engine.validation.security_corpus import table

LOOP = "def f(items):\n    out = ()\n    for item in items:\n        out += (item,){}\n    return out\n"


def findings(source: str) -> list[Finding]:
    return performance_python.findings(textwrap.dedent(source).encode(), b"a.py")


def found(source: str) -> list[tuple[str, int]]:
    return [(it.rule, it.line) for it in findings(source)]


def test_the_corpus_is_told_apart() -> None:
    made = scores(performance_python.findings, "python")
    print(table(made))  # noqa: T201
    assert all(it.recall >= 0.95 and it.precision >= 0.95 for it in made.values()), table(made)
    assert all(it.bad and it.good and it.hits >= 2 for it in made.values())
    assert sum(it.hits for it in made.values()) >= 70


def test_every_rule_has_a_corpus() -> None:
    rules = {path.name for path in (CORPUS / "python").iterdir()}
    bad = {path: path.read_bytes() for path in (CORPUS / "python").rglob("bad.py")}
    assert {
        it.rule for path, data in bad.items() for it in performance_python.findings(data, str(path).encode())
    } == rules


def test_only_what_is_quadratic_for_certain_is_an_error() -> None:
    bad = [path.read_bytes() for path in (CORPUS / "python").rglob("bad.py")]
    errors = {it.rule for data in bad for it in performance_python.findings(data, b"a.py") if it.severity == "error"}
    assert errors == {"array-grown-in-loop"}


def test_an_array_whose_beginning_is_not_seen_is_a_warning() -> None:
    source = "import numpy as np\ndef f(a, xs):\n    for x in xs:\n        a = np.append(a, x)\n"
    (it,) = findings(source)
    assert (it.rule, it.severity) == ("array-grown-in-loop", "warning")


def test_a_finding_says_where_it_is_and_what_to_do() -> None:
    (it,) = findings(LOOP.format(""))
    assert (it.rule, it.severity, it.line, it.column) == ("sequence-copied-in-loop", "warning", 4, 9)
    assert (it.end_line, it.end_column) == (4, 23)
    assert "make a list" in it.message


def test_text_that_cpython_extends_in_place_is_no_more_than_info() -> None:
    local, field = findings(
        """
        class A:
            def f(self, items):
                text = ''
                for item in items:
                    text += f'{item}'
                    self.text += f'{item}'
        """
    )
    assert (local.severity, field.severity) == ("info", "warning")


@pytest.mark.parametrize(
    "comment", ["# noqa", "# noqa: sequence-copied-in-loop", "# NOQA: E501, sequence-copied-in-loop"]
)
def test_a_comment_on_the_line_silences(comment: str) -> None:
    assert found(LOOP.format(f"  {comment}")) == []


@pytest.mark.parametrize("comment", ["# noqa: E501", "# nosec", "# no quarrel"])
def test_a_comment_about_something_else_does_not_silence(comment: str) -> None:
    assert found(LOOP.format(f"  {comment}")) == [("sequence-copied-in-loop", 4)]


def test_the_name_of_another_tool_for_the_same_fault_silences() -> None:
    source = "import time\nasync def f():\n    time.sleep(1)  # noqa: {}\n"
    assert found(source.format("ASYNC251")) == []
    assert found(source.format("ASYNC210")) == [("blocking-in-async", 3)]


@pytest.mark.parametrize(
    "source",
    [
        "def f(xs):\n  for x in xs:\n    if x:\n      y = (1,)\n      y += (x,)\n",
        "def f(xs):\n  y = ()\n  for x in xs:\n    y += (x,)\n    if x:\n      y = ()\n",
        "def f(xs):\n  y = ()\n  for x in xs:\n    if x:\n      y += (x,)\n      return y\n",
        "def f(xs):\n  y = ()\n  for x in xs:\n    y += (x,)\n    raise E(y)\n",
        "N = 9\ndef f():\n  y = ()\n  for x in range(N):\n    y += (x,)\n",
        "def f(xs):\n  y = ()\n  for x in xs:\n    def g():\n      y = ()\n      y += (x,)\n",
        "def f(xs):\n  y = ()\n  for x, z in zip(xs, 'abc'):\n    y += (x,)\n",
        "def f():\n  y = ()\n  for x in {'a': 1}.items():\n    y += (x,)\n",
    ],
)
def test_what_does_not_pile_up_is_let_pass(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(xs):\n  y = ()\n  for x in xs:\n    if x:\n      y += (x,)\n      continue\n    return y\n",
        "def f(xs):\n  y = ()\n  for x in xs:\n    for z in (1, 2):\n      y += (z,)\n",
        "def f(xs):\n  y = ()\n  for a in xs:\n    for x in a:\n      y += (x,)\n      break\n",
        "def f(n):\n  y = ()\n  for x in range(n):\n    y = y + (x,)\n",
        "def f(n):\n  y = ()\n  while n:\n    with n as x:\n      y += (x,)\n",
        "async def f(xs):\n  y = ()\n  async for x in xs:\n    y += (x,)\n",
        "y = ()\nfor x in open('a'):\n  y += (x,)\n",
    ],
)
def test_what_piles_up_is_found_however_it_is_wrapped(source: str) -> None:
    assert [rule for rule, _ in found(source)] == ["sequence-copied-in-loop"]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\0",
        "def f(:",
        "x = " + "(" * 150 + ")" * 150,
        "x = a" + ".b()" * 3_000,
        "x = " + "-" * 3_000 + "1",
        "x = " + "f(" * 90 + ")" * 90,
        "".join("  " * depth + "for x in y:\n" for depth in range(90)) + "  " * 90 + "z += 'a'\n",
        "for x in y:\n" + "  z += 'a'\n" * 5_000,
        "def f(y):\n  a0 = []\n"
        + "".join(f"  a{n} = a{n - 1} + a{max(0, n - 2)}\n" for n in range(1, 300))
        + "  for x in y:\n    x in a299\n",
        "a = b\nb = a\nfor x in y:\n  x in a\n  a += 'a'\n",
        "for x in y:\n" + "".join(f"  l{n} = []\n  x in l{n}\n" for n in range(2_000)),
    ],
)
def test_no_source_makes_it_fall_over_or_run_on(source: str) -> None:
    for it in performance_python.findings(source.encode(), b"a.py"):
        assert it.message


def test_what_is_too_intricate_is_said() -> None:
    source = "for x in y:\n" + "  z += 'a'\n  w += z\n" * 5_000
    assert findings(source)[-1].rule == "not-analysed"


def test_what_cannot_be_parsed_is_said() -> None:
    assert [it.rule for it in findings("def f(:\n")] == ["not-analysed"]
