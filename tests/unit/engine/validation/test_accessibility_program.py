"""What surrounds axe-core: places, criteria, and a browser that does not do what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.validation.accessibility import AccessibilityCheck
from engine.validation.driver import batches
from engine.validation.lint import LintCheck
from engine.validation.programs.accessibility import criterion, place
from engine.validation.programs.browser import Browser, BrowserError
from engine.validation.type import TypeCheck
from engine.validation.validator import CheckStatus, ToolOutput, judge

ANSWERS = """\
#!/usr/bin/env python3
import json, os
buffer = b""
while True:
    data = os.read(3, 65536)
    if not data:
        break
    buffer += data
    *messages, buffer = buffer.split(b"\\0")
    for message in map(json.loads, messages):
        %s
"""
DONE = b'{"done": true, "files": 1, "left_out": 0, "others_left_out": 0, "notes": [], "opened": 1}\n'


def browser(directory: Path, answer: str) -> str:
    program = directory / "browser"
    program.write_text(ANSWERS % answer)
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("tags", "told"),
    [(["cat.color", "wcag2aa", "wcag143"], "WCAG 1.4.3"), (["wcag21aa", "wcag1412"], "WCAG 1.4.12"), (["wcag2a"], "")],
)
def test_the_criterion_is_read_from_the_tags(tags: list[str], told: str) -> None:
    assert criterion(tags) == told


@pytest.mark.parametrize(
    ("html", "where"),
    [
        ('<img src="a.png">', (2, 4)),
        ("<p>text</p>", (2, 1)),
        ('<html lang="">', (1, 1)),
        ("<b>made by a script</b>", (None, None)),
        ("<i></i>", (None, None)),
        ("no element", (None, None)),
    ],
)
def test_an_element_is_found_in_its_file(html: str, where: tuple[int | None, int | None]) -> None:
    data = '<HTML>\n<p>ä<img src="a.png"></p><i class="a"></i><i class="b"></i>\n'.encode()
    if html.startswith("<img"):
        where = (2, 5)
    assert place(html, data) == where


def test_a_browser_that_dies_is_told(tmp_path: Path) -> None:
    with Browser(browser(tmp_path, "os._exit(1)"), str(tmp_path)) as made, pytest.raises(BrowserError, match="is gone"):
        made.open_page(20)


def test_a_browser_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with Browser(browser(tmp_path, "pass"), str(tmp_path)) as made, pytest.raises(TimeoutError):
        made.open_page(0.2)


def test_a_command_that_is_refused_is_told_with_its_reason(tmp_path: Path) -> None:
    refusing = 'os.write(4, json.dumps({"id": message["id"], "error": {"message": "no such thing"}}).encode() + b"\\0")'
    with (
        Browser(browser(tmp_path, refusing), str(tmp_path)) as made,
        pytest.raises(BrowserError, match="no such thing"),
    ):
        made.open_page(20)


def test_a_flood_is_cut_off(tmp_path: Path) -> None:
    flood = "exec(\"while True: os.write(4, b'x' * 1000000)\")"
    with Browser(browser(tmp_path, flood), str(tmp_path)) as made, pytest.raises(BrowserError, match="too much"):
        made.open_page(60)


def test_it_runs_in_an_image_of_its_own() -> None:
    shares = batches([LintCheck(), TypeCheck(), AccessibilityCheck()])
    assert [[check.name for check in share] for share in shares] == [["lint", "type"], ["accessibility"]]


@pytest.mark.parametrize("rule", ["tool-missing", "page-failed"])
def test_a_page_that_was_not_looked_at_is_no_pass(rule: str) -> None:
    finding = b'{"rule": "%s", "severity": "error", "message": "m", "file": "a.html"}\n' % rule.encode()
    result = judge(AccessibilityCheck(), ToolOutput(0, finding + DONE, b"", 0, "/workspace"))
    assert result.status is CheckStatus.ERROR
    assert judge(AccessibilityCheck(), ToolOutput(0, DONE, b"", 0, "/workspace")).status is CheckStatus.PASSED
