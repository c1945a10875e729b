"""Findings: the shape they travel in, their order and their fingerprints."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.validation.finding import (
    Applicability,
    Edit,
    Finding,
    Fix,
    Severity,
    bounded,
    in_order,
    with_fingerprints,
)

UNUSED = Finding(
    rule="F401",
    severity=Severity.WARNING,
    message="`os` imported but unused",
    check="lint",
    category="lint",
    file="pkg/a.py",
    line=3,
    column=8,
    end_line=3,
    end_column=10,
    help_url="https://example.org/F401",
    fix=Fix((Edit(3, 1, 4, 1, ""),), Applicability.SAFE, "Remove unused import"),
)

texts = st.text(max_size=20)
numbers = st.integers(min_value=0, max_value=10**6)
fixes = st.builds(
    Fix,
    st.lists(st.builds(Edit, numbers, numbers, numbers, numbers, texts), max_size=3).map(tuple),
    st.sampled_from(Applicability),
    texts,
)
findings = st.builds(
    Finding, texts, st.sampled_from(Severity), texts, texts, texts, texts, numbers, numbers, numbers, numbers, texts,
    st.none() | fixes, texts,
)  # fmt: skip


@given(findings)
def test_a_finding_survives_the_way_through_json(finding: Finding) -> None:
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


def test_a_name_that_is_not_utf8_survives_the_way_through_json() -> None:
    finding = replace(UNUSED, file=b"a\xff.py".decode("utf-8", "surrogateescape"))
    back = Finding.from_json(json.loads(json.dumps(finding.to_json())))
    assert os.fsencode(back.file) == b"a\xff.py"


@pytest.mark.parametrize("fault", [{"severity": "fatal"}, {"surplus": 1}, {"fix": {"edits": []}}])
def test_what_to_json_did_not_write_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Finding.from_json(UNUSED.to_json() | fault)


def test_the_fingerprint_stays_when_lines_move() -> None:
    moved = replace(UNUSED, line=90, end_line=90, message="`os` imported but unused")
    assert with_fingerprints([UNUSED])[0].fingerprint == with_fingerprints([moved])[0].fingerprint


def test_the_fingerprint_stays_when_the_message_names_another_line() -> None:
    before = replace(UNUSED, message="redefinition of unused `f` from line 3")
    after = replace(UNUSED, message="redefinition of unused `f` from line 17")
    assert with_fingerprints([before])[0].fingerprint == with_fingerprints([after])[0].fingerprint


@pytest.mark.parametrize("change", [{"rule": "F402"}, {"file": "b.py"}, {"message": "other"}, {"check": "type"}])
def test_another_fault_has_another_fingerprint(change: dict[str, str]) -> None:
    other = replace(UNUSED, **change)  # type: ignore[arg-type]
    assert with_fingerprints([UNUSED])[0].fingerprint != with_fingerprints([other])[0].fingerprint


@given(st.lists(findings, max_size=8))
def test_no_two_findings_of_a_report_share_a_fingerprint(many: list[Finding]) -> None:
    marked = with_fingerprints([*many, *many])
    assert len({finding.fingerprint for finding in marked}) == len(marked)


@given(st.lists(findings, max_size=8), st.randoms())
def test_the_order_does_not_depend_on_the_order_given(many: list[Finding], random: object) -> None:
    mixed = list(many)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    places = [(finding.file, finding.line, finding.column) for finding in in_order(mixed)]
    assert places == sorted(places)


def test_half_surrogate_pairs_and_long_text_do_not_get_into_messages() -> None:
    assert bounded("a\ud800b") == "a\ufffdb"
    assert bounded("x" * 50, 10) == "x" * 9 + "…"
    assert bounded("x" * 10, 10) == "x" * 10


def test_the_place_says_no_more_than_is_known() -> None:
    assert UNUSED.place == "pkg/a.py:3:8"
    assert replace(UNUSED, column=0).place == "pkg/a.py:3"
    assert replace(UNUSED, file="").place == ""
