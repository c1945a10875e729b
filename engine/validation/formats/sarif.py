"""A report as SARIF 2.1.0 (OASIS, 27 March 2020): a run for each check, its rules and its results.

Columns count Unicode code points, which the run says (`columnKind`). A file's URI is relative to `%SRCROOT%` and
percent-encoded byte by byte, so that every name has one. A check that gave no answer is a notification of an
unsuccessful invocation, so that its silence is not taken for a pass.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final
from urllib.parse import quote

from engine.validation.finding import Applicability, Edit, Finding, Fix, Severity
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckResult, CheckStatus

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
FINGERPRINT: Final = "sandstone/v1"


def sarif(report: ValidationReport) -> str:
    """The whole log as JSON in ASCII."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(result) for result in report.results]}
    return json.dumps(log, indent=2, ensure_ascii=True)


def _run(result: CheckResult) -> dict[str, Any]:
    rules = list(dict.fromkeys(finding.rule for finding in result.findings))
    first = {rule: next(finding for finding in result.findings if finding.rule == rule) for rule in rules}
    answered = result.status is not CheckStatus.ERROR
    invocation: dict[str, Any] = {"executionSuccessful": answered}
    if result.note:
        invocation["toolExecutionNotifications"] = [
            {"level": "note" if answered else "error", "message": {"text": _text(result.note)}}
        ]
    return {
        "tool": {
            "driver": {
                "name": f"sandstone {result.check}",
                "semanticVersion": "1.0.0",
                "rules": [_rule(first[rule]) for rule in rules],
            }
        },
        "automationDetails": {"id": f"sandstone/{result.check}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the top of the workspace"}}},
        "invocations": [invocation],
        "results": [_result(finding, rules.index(finding.rule)) for finding in result.findings],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    tags = [finding.category, *([_reference(finding.reference)] if finding.reference else [])]
    rule: dict[str, Any] = {
        "id": _text(finding.rule),
        "defaultConfiguration": {"level": LEVELS[finding.severity]},
        "properties": {"tags": list(dict.fromkeys(_text(tag) for tag in tags if tag))},
    }
    if finding.help_url.startswith(("https://", "http://")):
        rule["helpUri"] = quote(finding.help_url, safe="%/:=&?~#+!$,;'@()*[]")
    return rule


def _reference(text: str) -> str:
    """`external/cwe/cwe-89`, as code hosts know them; others as they are."""
    number = text.removeprefix("CWE-")
    return f"external/cwe/cwe-{number}" if number.isdecimal() and number != text else text


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": _text(finding.rule),
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": _text(finding.message) or _text(finding.rule)},
    }
    if finding.fingerprint:
        result["partialFingerprints"] = {FINGERPRINT: finding.fingerprint}
    if finding.file:
        place: dict[str, Any] = {"artifactLocation": _artifact(finding.file)}
        if finding.line:
            place["region"] = _region(finding.line, finding.column, finding.end_line, finding.end_column)
        result["locations"] = [{"physicalLocation": place}]
    fix = finding.fix
    if fix is not None and finding.file and fix.edits and fix.applicability is not Applicability.DISPLAY:
        result["fixes"] = [_fix(finding.file, fix)]
    return result


def _region(line: int, column: int, end_line: int, end_column: int) -> dict[str, int]:
    """What is known of it; an end before its start is left out."""
    region = {"startLine": line}
    if column:
        region["startColumn"] = column
    if end_line > line or (end_line == line and end_column >= max(column, 1)):
        region["endLine"] = end_line
        if end_column:
            region["endColumn"] = end_column
    return region


def _fix(file: str, fix: Fix) -> dict[str, Any]:
    change = {"artifactLocation": _artifact(file), "replacements": [_replacement(edit) for edit in fix.edits]}
    told = {"description": {"text": _text(fix.message)}} if fix.message else {}
    return {**told, "artifactChanges": [change]}


def _replacement(edit: Edit) -> dict[str, Any]:
    region = {
        "startLine": max(edit.line, 1),
        "startColumn": max(edit.column, 1),
        "endLine": max(edit.end_line, edit.line, 1),
        "endColumn": max(edit.end_column, 1),
    }
    return {"deletedRegion": region, "insertedContent": {"text": _text(edit.content)}}


def _artifact(file: str) -> dict[str, str]:
    return {"uri": quote(os.fsencode(file)), "uriBaseId": "SRCROOT"}


def _text(text: str) -> str:
    """Without half surrogate pairs, which are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
