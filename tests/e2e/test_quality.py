"""The quality check as users run it: in the image, over seven languages, and in a plan that counts only what is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

CORPUS = Path(__file__).parents[1] / "corpus" / "quality" / "nesting"


def deep(ways: int) -> str:
    """A function of cognitive complexity 55, and as much more as there are further `ways`."""
    lines = [" " * it + "if a:" for it in range(1, 11)]
    return "\n".join(["def f(a):", *lines, " " * 11 + "a()", *[" if a: a()"] * ways]) + "\n"


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "old.py").write_text(deep(0))
        yield made


def test_every_language_is_measured_in_the_image(bench: CommandBench) -> None:
    samples = sorted(CORPUS.glob("*/bad.*"))
    assert len(samples) == 8
    for sample in samples:
        (bench.project / f"{sample.parent.name}{sample.suffix}").write_text(sample.read_text())
    try:
        told = bench.shown("validate", "--all", "--checks", "quality", "--quiet", expect=1)
    finally:
        for sample in samples:
            (bench.project / f"{sample.parent.name}{sample.suffix}").unlink()
    found = {finding["file"] for finding in told["findings"] if finding["rule"] == "nesting"}
    assert found == {"old.py", *(f"{sample.parent.name}{sample.suffix}" for sample in samples)}
    assert "9 functions, on average" in told["checks"][0]["note"]


@pytest.mark.parametrize(("name", "state"), [("old.py", 0), ("new.py", 1)])
def test_what_was_too_complex_before_may_stay_so_and_what_is_new_may_not(
    bench: CommandBench, name: str, state: int
) -> None:
    text = deep(1).replace("\n", "\\n")
    plan = (
        "version: 1\nchecks: [quality]\nfindings: {new_only: true}\n"
        f"steps:\n  - {{type: command, run: \"printf '{text}' > {name}\"}}\n"
    ).replace("\\n", "\\\\n")
    outcome = bench.run(plan, expect=state)
    grave = [it["rule"] for it in outcome["steps"][0]["findings"] if it["severity"] == "error"]
    assert grave == ["cognitive-complexity"] * state
