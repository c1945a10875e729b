"""JUnit reports, from tests that cannot be trusted."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.validation.junit import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_FAILED_CASES,
    MAX_MESSAGE_CHARS,
    MAX_REPORT_BYTES,
    JUnitError,
    read_report,
)

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="4" time="0.068" timestamp="2026-01-01T00:00:00+00:00" hostname="x">
<testcase classname="test_a" name="test_ok" time="0.001" />
<testcase classname="test_a.TestB" name="test_bad[1]" file="test_a.py" line="6" time="0.002"><failure
message="assert 1 == 2">def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="test_a" name="test_later" time="0.000"><skipped
type="pytest.skip" message="no">x</skipped></testcase>
<testcase classname="test_a" name="test_boom" time="0.003"><system-out>noise</system-out><error
message="failed on setup">fixture 'x' not found</error></testcase></testsuite></testsuites>"""


def cases(body: str) -> bytes:
    return f"<testsuite>{body}</testsuite>".encode()


def test_a_report_of_pytest_is_read() -> None:
    report = read_report(PYTEST)
    failed = report.pop("failed")
    assert report == {
        "tests": 4, "passed": 1, "failures": 1, "errors": 1, "skipped": 1, "duration_ms": 6, "left_out": 0,
    }  # fmt: skip
    assert failed[0] == {
        "name": "test_bad[1]",
        "classname": "test_a.TestB",
        "file": "test_a.py",
        "line": 6,
        "outcome": "failure",
        "message": "assert 1 == 2\ndef test_bad():\n>       assert 1 == 2\nE       assert 1 == 2",
    }
    assert (failed[1]["outcome"], failed[1]["message"]) == ("error", "failed on setup\nfixture 'x' not found")
    assert json.loads(json.dumps(failed)) == failed


def test_the_worst_outcome_of_a_case_counts_once() -> None:
    report = read_report(cases('<testcase name="a"><skipped/><error message="e"/><failure message="f"/></testcase>'))
    assert (report["tests"], report["errors"], report["failures"], report["skipped"]) == (1, 1, 0, 0)
    assert report["failed"][0]["message"] == "e"


def test_what_suites_declare_is_not_believed() -> None:
    report = read_report(b'<testsuite tests="9" failures="0"><testcase name="a"><failure/></testcase></testsuite>')
    assert (report["tests"], report["failures"]) == (1, 1)


def test_cases_inside_cases_and_outcomes_outside_of_them_count_for_nothing() -> None:
    inner = '<testcase name="b"><failure/></testcase>'
    report = read_report(cases(f'<failure/><properties><failure/></properties><testcase name="a">{inner}</testcase>'))
    assert report["tests"] == 1


@pytest.mark.parametrize("time", ["nan", "inf", "-5", "1e400", "x", "", "9" * 500])
def test_times_that_are_none_count_for_nothing(time: str) -> None:
    assert read_report(cases(f'<testcase name="a" time="{time}"/>'))["duration_ms"] == 0


@pytest.mark.parametrize("line", ["-1", "x", "\u0663", "1" * 20, "1.5"])
def test_lines_that_are_none_are_zero(line: str) -> None:
    report = read_report(cases(f'<testcase name="a" line="{line}"><failure/></testcase>'))
    assert report["failed"][0]["line"] == 0


ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
EXTERNAL = b"""<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="a">
<failure>&x;</failure></testcase></testsuite>"""


@pytest.mark.parametrize("data", [ENTITIES, EXTERNAL, b'<!DOCTYPE testsuite SYSTEM "x.dtd"><testsuite/>'])
def test_document_types_and_entities_are_refused(data: bytes) -> None:
    with pytest.raises(JUnitError, match="document type"):
        read_report(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<testsuite>",
        b"<testsuite><testcase></testsuite>",
        b"<testsuite/><testsuite/>",
        b"<testsuite>&undefined;</testsuite>",
        b"<html></html>",
        b"<testcase name='a'/>",
        b"<?xml version='1.0' encoding='nonsense'?><testsuite/>",
        b"<?xml version='1.0' encoding='utf-7'?><testsuite/>",
        b"<?xml version='1.0' encoding='hex'?><testsuite/>",
        b"<testsuite>\x00</testsuite>",
        b"<testsuite>\xff</testsuite>",
        b"<testsuite>" * (MAX_DEPTH + 1) + b"</testsuite>" * (MAX_DEPTH + 1),
        b"<testsuite>" + b"<a/>" * (MAX_ELEMENTS + 1) + b"</testsuite>",
        b" " * (MAX_REPORT_BYTES + 1),
    ],
)
def test_what_is_no_report_or_breaks_a_bound_is_refused(data: bytes) -> None:
    with pytest.raises(JUnitError):
        read_report(data)


def test_what_is_kept_is_bounded() -> None:
    case = f'<testcase name="{"n" * 5000}"><failure message="{"m" * 5000}">{"tttt<b/>" * 900}</failure></testcase>'
    report = read_report(cases(case * (MAX_FAILED_CASES + 3)))
    assert (len(report["failed"]), report["left_out"], report["failures"]) == (
        MAX_FAILED_CASES,
        3,
        MAX_FAILED_CASES + 3,
    )
    assert len(report["failed"][0]["message"]) == MAX_MESSAGE_CHARS
    assert len(json.dumps(report)) < 2_000_000


@given(st.binary(max_size=200), st.integers(0, len(PYTEST)))
def test_any_bytes_give_a_report_or_the_one_error(noise: bytes, cut: int) -> None:
    for data in (noise, PYTEST[:cut], PYTEST[:cut] + noise + PYTEST[cut:]):
        with suppress(JUnitError):
            assert read_report(data)["tests"] >= 0
