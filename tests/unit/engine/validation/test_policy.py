"""What a policy leaves of a report."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.settings import FailOn, FindingPolicy, Ignored
from engine.validation.finding import RANK, Finding, Severity
from engine.validation.policy import fingerprints, under_policy
from engine.validation.report import ValidationReport, report_of
from engine.validation.validator import CheckResult, CheckStatus, within_bounds


def finding(rule: str, severity: Severity = Severity.ERROR, file: str = "src/a.py", check: str = "type") -> Finding:
    return Finding(rule=rule, severity=severity, message=f"{rule} is wrong", check=check, category="x", file=file)


def report(*findings: Finding, status: CheckStatus = CheckStatus.FAILED, cut: bool = False) -> ValidationReport:
    return report_of([CheckResult("type", status, findings, cut=cut)], timedelta(seconds=1))


def rules(told: ValidationReport) -> list[str]:
    assert [it for result in told.results for it in result.findings] == list(told.findings)
    return [it.rule for it in told.findings]


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        (Ignored(rules=("S101",)), ["E501", "S105"]),
        (Ignored(rules=("S1*",)), ["E501"]),
        (Ignored(rules=("*5*",)), ["S101"]),
        (Ignored(paths=("tests/**",)), ["E501", "S101"]),
        (Ignored(paths=("*.py", "!tests/b.py")), ["S105"]),
        (Ignored(rules=("S1*",), paths=("tests/**",)), ["E501", "S101"]),
        (Ignored(rules=("s101",)), ["E501", "S101", "S105"]),
    ],
)
def test_what_an_entry_names_does_not_count(entry: Ignored, left: list[str]) -> None:
    told = under_policy(
        report(finding("S101"), finding("S105", file="tests/b.py"), finding("E501")), FindingPolicy(ignore=(entry,))
    )
    assert sorted(rules(told)) == left
    count = 3 - len(left)
    assert told.results[0].note == (f"{count} finding{'s' * (count != 1)} ignored by the policy" if count else "")


def test_a_check_of_which_nothing_is_left_passes_and_says_so() -> None:
    told = under_policy(report(finding("S101")), FindingPolicy(ignore=(Ignored(rules=("*",)),)))
    assert (told.ok, told.findings) == (True, ())
    assert told.results[0].note == "1 finding ignored by the policy"


@pytest.mark.parametrize(
    ("fail_on", "severity", "ok"),
    [
        (None, Severity.ERROR, False),
        (None, Severity.WARNING, True),
        (FailOn.WARNING, Severity.WARNING, False),
        (FailOn.WARNING, Severity.INFO, True),
        (FailOn.INFO, Severity.INFO, False),
        (FailOn.ERROR, Severity.WARNING, True),
    ],
)
def test_the_lowest_severity_that_fails_can_be_said(fail_on: FailOn | None, severity: Severity, ok: bool) -> None:
    status = CheckStatus.FAILED if severity is Severity.ERROR else CheckStatus.PASSED
    told = under_policy(report(finding("x", severity), status=status), FindingPolicy(fail_on=fail_on))
    assert (told.ok, rules(told)) == (ok, ["x"])


def test_a_check_may_have_a_severity_of_its_own_and_the_policy_is_over_it() -> None:
    result = CheckResult(
        "lint", CheckStatus.FAILED, (finding("x", Severity.INFO, check="lint"),), fails_on=Severity.INFO
    )
    told = report_of([result], timedelta(0))
    assert not under_policy(told, FindingPolicy()).ok
    assert under_policy(told, FindingPolicy(fail_on=FailOn.ERROR)).ok


def test_what_was_there_before_does_not_count() -> None:
    before = report(finding("old"), finding("gone"))
    after = report(finding("old"), finding("new"))
    told = under_policy(after, FindingPolicy(), fingerprints(before))
    assert rules(told) == ["new"]
    assert told.results[0].note == "1 finding there before"
    assert under_policy(report(finding("old")), FindingPolicy(), fingerprints(before)).ok


def test_the_same_fault_once_more_is_new() -> None:
    told = under_policy(report(finding("old"), finding("old")), FindingPolicy(), fingerprints(report(finding("old"))))
    assert rules(told) == ["old"]


def test_a_check_without_an_answer_fails_whatever_is_said() -> None:
    silent = report(finding("tool-missing"), status=CheckStatus.ERROR)
    everything = FindingPolicy(fail_on=FailOn.ERROR, ignore=(Ignored(rules=("*",)),))
    told = under_policy(silent, everything, fingerprints(report(finding("tool-missing"))))
    assert (told.ok, rules(told)) == (False, ["tool-missing"])
    assert fingerprints(silent) == frozenset()


def test_findings_that_nobody_has_seen_are_not_known() -> None:
    cut = within_bounds(CheckResult("type", CheckStatus.FAILED, tuple(finding(f"r{n}") for n in range(1001))))
    told = report_of([cut], timedelta(0))
    judged = under_policy(told, FindingPolicy(), fingerprints(told))
    assert (judged.ok, judged.findings) == (False, ())
    assert judged.summary == "type failed: 1 more findings are left out; 1000 findings there before"


def test_what_nobody_has_seen_is_not_said_to_be_less_than_the_policy_asks_for() -> None:
    """A check that passes with warnings, of which some were left out: one of those may be what the policy fails on."""
    seen = tuple(finding(f"r{n}", Severity.INFO) for n in range(1001))
    told = report_of([within_bounds(CheckResult("type", CheckStatus.PASSED, seen))], timedelta(0))
    assert under_policy(told, FindingPolicy()).ok
    assert not under_policy(told, FindingPolicy(fail_on=FailOn.WARNING)).ok


severities = st.sampled_from(Severity)
some = st.lists(st.builds(finding, st.sampled_from("abc"), severities, st.sampled_from(["x.py", "t/y.py"])), max_size=8)


@given(some, some, st.none() | st.sampled_from(FailOn), st.lists(st.sampled_from("abc*"), max_size=2))
def test_what_is_left_is_what_was_neither_there_nor_ignored(
    before: list[Finding], after: list[Finding], fail_on: FailOn | None, names: list[str]
) -> None:
    earlier, later = report(*before), report(*after)
    ignore = (Ignored(rules=tuple(dict.fromkeys(names))),) if names else None
    told = under_policy(later, FindingPolicy(fail_on=fail_on, ignore=ignore), fingerprints(earlier))
    known = {it.fingerprint for it in earlier.findings}
    expected = [
        it for it in later.findings if it.fingerprint not in known and it.rule not in names and "*" not in names
    ]
    assert list(told.findings) == expected
    lowest = RANK[Severity(fail_on or "error")]
    assert told.ok is not any(RANK[it.severity] >= lowest for it in expected)
