"""Reading of JUnit XML reports that untrusted tests wrote. Pure; every fault is a `JUnitError`.

Nothing is resolved or expanded: a document type, which is where entities come from, is refused. Size, depth and
number of elements are bounded, and so is what is kept. Totals are counted from the cases themselves; what the
suites declare in their attributes is not believed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Never
from xml.parsers import expat

from engine.errors import EngineError

MAX_REPORT_BYTES: Final = 16 << 20
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 500_000
MAX_FAILED_CASES: Final = 500
"""Failed cases that are described; `left_out` counts the others."""

MAX_NAME_CHARS: Final = 300
MAX_MESSAGE_CHARS: Final = 2000

_ROOTS: Final = frozenset({"testsuites", "testsuite"})
_RANK: Final = {"passed": 0, "skipped": 1, "failure": 2, "error": 3}
_OUTCOMES: Final = {"skipped": "skipped", "failure": "failure", "error": "error"}


class JUnitError(EngineError):
    """The report cannot be read; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_report(data: bytes) -> dict[str, Any]:
    """Totals and failed cases, as JSON values.

    `{"tests", "passed", "failures", "errors", "skipped", "duration_ms", "failed": [{"name", "classname", "file",
    "line", "outcome", "message"}], "left_out"}`. `outcome` is `failure` or `error`; `file` is "" and `line` 0
    when the report does not say. `message` holds the attribute and the text of the failure.

    Raises:
      JUnitError: too large, too deep, not well-formed XML, not a JUnit report, or with a document type.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise JUnitError(f"it has more than {MAX_REPORT_BYTES} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    parser.ExternalEntityRefHandler = _refuse_doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise JUnitError(f"it is not well-formed XML: {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not have, or cannot use for XML
        raise JUnitError(f"its encoding cannot be read: {error}") from error
    return reader.totals()


class _Reader:
    """Takes expat's events; keeps the case at hand and what is reported of those before it."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._elements = 0
        self._counts: Counter[str] = Counter()
        self._failed: list[dict[str, Any]] = []
        self._seconds = 0.0
        self._case: dict[str, Any] | None = None
        self._message: list[str] | None = None
        self._room = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise JUnitError(f"it has more than {MAX_ELEMENTS} elements")
        if len(self._path) >= MAX_DEPTH:
            raise JUnitError(f"it is nested more than {MAX_DEPTH} deep")
        if not self._path and name not in _ROOTS:
            raise JUnitError(f"it is not a JUnit report: its root is {name[:60]!r}")
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if name == "testcase" and self._case is None:
            self._case = _new_case(attributes)
            self._seconds += _seconds(attributes.get("time", ""))
        elif parent == "testcase" and name in _OUTCOMES and self._case is not None:
            self._outcome(self._case, _OUTCOMES[name], attributes)

    def _outcome(self, case: dict[str, Any], outcome: str, attributes: dict[str, str]) -> None:
        """The worst outcome of a case is the case's; its message goes with it."""
        if _RANK[outcome] > _RANK[case["outcome"]]:
            case["outcome"] = outcome
            case["message"] = attributes.get("message", "")[:MAX_MESSAGE_CHARS]
            self._message = []
            self._room = MAX_MESSAGE_CHARS

    def text(self, data: str) -> None:
        if self._message is not None and self._room > 0:
            self._message.append(data[: self._room])
            self._room -= len(data)

    def end(self, name: str) -> None:
        self._path.pop()
        case = self._case
        if case is None:
            return
        if name in _OUTCOMES and self._message is not None:
            case["message"] = "\n".join(filter(None, (case["message"], "".join(self._message).strip())))
            self._message = None
        elif name == "testcase" and "testcase" not in self._path:
            self._finish(case)
            self._case = None

    def _finish(self, case: dict[str, Any]) -> None:
        self._counts[case["outcome"]] += 1
        if case["outcome"] in ("failure", "error") and len(self._failed) < MAX_FAILED_CASES:
            self._failed.append(case | {"message": case["message"][:MAX_MESSAGE_CHARS]})

    def totals(self) -> dict[str, Any]:
        counts = self._counts
        return {
            "tests": counts.total(),
            "passed": counts["passed"],
            "failures": counts["failure"],
            "errors": counts["error"],
            "skipped": counts["skipped"],
            "duration_ms": round(self._seconds * 1000),
            "failed": self._failed,
            "left_out": counts["failure"] + counts["error"] - len(self._failed),
        }


def _new_case(attributes: dict[str, str]) -> dict[str, Any]:
    line = attributes.get("line", "")
    return {
        "name": attributes.get("name", "")[:MAX_NAME_CHARS],
        "classname": attributes.get("classname", "")[:MAX_NAME_CHARS],
        "file": attributes.get("file", "")[:MAX_NAME_CHARS],
        "line": int(line) if line.isascii() and line.isdigit() and len(line) < 10 else 0,
        "outcome": "passed",
        "message": "",
    }


def _seconds(text: str) -> float:
    """A case's time; 0 for what is no sensible number."""
    try:
        value = float(text[:40].replace(",", ""))
    except ValueError:
        return 0.0
    return value if 0.0 <= value < 1e7 else 0.0


def _refuse_doctype(*_: object) -> Never:
    raise JUnitError("it has a document type or entities, which are refused")
