"""The accessibility check in its image variant: the corpus, pages that do not want to be looked at, the image."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(600)]

CORPUS = Path(__file__).parents[1] / "corpus" / "accessibility"
EXPECTED = re.compile(r"expect: ([\w-]+)")


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(bench: CommandBench) -> Iterator[None]:
    yield
    shutil.rmtree(bench.project)
    bench.project.mkdir()


def check(bench: CommandBench, expect: int) -> dict[str, object]:
    told: dict[str, object] = bench.shown("validate", "--checks", "accessibility", "--quiet", expect=expect)
    return told


def test_the_variant_is_built_on_demand_and_known(bench: CommandBench) -> None:
    built = bench.shown("image", "build", "web")
    assert built["state"] == "current"
    assert bench.shown("image", "state", "web")["image"] == built["image"]
    assert "there are" in bench("image", "state", "wep", expect=2).stderr


def test_every_fault_of_the_corpus_is_found_where_it_is_and_its_twin_is_silent(bench: CommandBench) -> None:
    shutil.copytree(CORPUS, bench.project, dirs_exist_ok=True)
    told = check(bench, expect=1)
    found, wanted = defaultdict(set), defaultdict(set)
    for finding in told["findings"]:  # type: ignore[attr-defined]
        if finding["severity"] != "info":
            found[finding["file"]].add((finding["rule"], finding["line"]))
    for page in CORPUS.rglob("*.html"):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            wanted[str(page.relative_to(CORPUS))] |= {(rule, number) for rule in EXPECTED.findall(line)}
    assert {page: rules for page, rules in found.items() if rules} == {page: it for page, it in wanted.items() if it}
    contrast = next(it for it in told["findings"] if it["rule"] == "color-contrast")  # type: ignore[attr-defined]
    assert re.search(r"contrast [\d.]+:1 of #999999 on #ffffff, 4.5:1 is needed", contrast["message"])
    assert contrast["reference"] == "WCAG 1.4.3"


def test_a_page_that_asks_and_calls_out_is_looked_at_all_the_same(bench: CommandBench) -> None:
    (bench.project / "a.html").write_text(
        "<!doctype html><html lang=en><title>t</title><main><h1>t</h1><img src=http://192.0.2.1/a.png alt=a></main>"
        "<script>alert(1); confirm(2); prompt(3); fetch('http://192.0.2.1/'); window.open('about:blank')</script>"
    )
    assert check(bench, expect=0)["findings"] == []


def test_a_page_that_never_rests_is_no_pass(bench: CommandBench) -> None:
    (bench.project / "a.html").write_text("<!doctype html><html lang=en><title>t</title><script>for(;;);</script>")
    (bench.project / "b.html").write_text("<!doctype html><html><title>t</title><main><h1>t</h1></main>")
    told = check(bench, expect=1)
    rules = {finding["file"]: finding["rule"] for finding in told["findings"]}  # type: ignore[attr-defined]
    assert rules == {"a.html": "page-failed", "b.html": "html-has-lang"}
    assert told["checks"][0]["status"] == "error"  # type: ignore[index]


def test_templates_are_told_and_not_judged(bench: CommandBench) -> None:
    (bench.project / "a.html").write_text("{% block x %}<html>{% endblock %}")
    told = check(bench, expect=0)
    assert "HTML templates are not checked (1 file)" in told["checks"][0]["note"]  # type: ignore[index]
