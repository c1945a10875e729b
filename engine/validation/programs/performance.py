"""Finds slow patterns; runs inside the sandbox as `python3 -I PROGRAMS performance SKIPPED [LISTING]`.

Files are only read. Findings are printed at the end, the gravest first, so that what is left out is what matters
least.
"""

from __future__ import annotations

from functools import partial

from engine.validation.programs import performance_javascript, performance_python, python_source
from engine.validation.programs.looking import Report, arguments_of, at_hand, done, read, selected
from engine.validation.programs.performance_findings import GRAVITY, Finding

PARTS = (performance_python, performance_javascript)
"""One row a language: `findings(data, path)` for files whose names end with one of `SUFFIXES`."""

MAX_KEPT = 20_000
"""Findings that are held until the end; when there are more, what is there is printed at once."""


def main(arguments: list[str]) -> None:
    python_source.with_room(partial(look, *arguments_of(arguments)))


def look(skipped: frozenset[bytes], listing: str | None) -> None:
    report = Report()
    kept: list[tuple[bytes, Finding]] = []
    missing: dict[str, bytes] = {}
    files = 0
    for path in selected(listing, skipped, report):
        part = next((it for it in PARTS if path.lower().endswith(it.SUFFIXES)), None)
        data = None
        if part is not None:
            at_hand(path)
            data = read(path, report)
        if part is None or data is None:
            continue
        files += 1
        try:
            kept.extend((path, it) for it in part.findings(data, path))
        except ImportError as error:
            missing.setdefault(error.name or str(error), path)
        if len(kept) > MAX_KEPT:
            tell(kept, report)
    for module, path in sorted(missing.items()):
        report.add("tool-missing", f"the image cannot look at files like this one: {module} is missing", path)
    tell(kept, report)
    done(report, files, [])


def tell(kept: list[tuple[bytes, Finding]], report: Report) -> None:
    """Print the findings, and forget them."""
    for path, it in sorted(kept, key=lambda one: (GRAVITY[one[1].severity], one[0], one[1].line, one[1].column)):
        place = {"line": it.line, "column": it.column, "end_line": it.end_line, "end_column": it.end_column}
        known = {key: value for key, value in place.items() if value}
        report.add(it.rule, it.message, path, it.severity, reference=it.reference or None, **known)
    kept.clear()
