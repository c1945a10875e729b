"""Compiles Python: parsing and the checks after it (`return` outside a function, ...). Nothing is run or imported."""

from __future__ import annotations

import warnings

from engine.validation.programs.looking import Report, shown


def check(data: bytes, path: bytes, report: Report) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            compile(data, shown(path).encode("ascii", "backslashreplace").decode(), "exec", 0, True)
        except SyntaxError as error:
            end = (getattr(error, "end_lineno", None), getattr(error, "end_offset", None))
            report.add(
                {"IndentationError": "indentation-error", "TabError": "tab-error"}.get(
                    type(error).__name__, "syntax-error"
                ),
                error.msg or "invalid syntax",
                path,
                line=error.lineno,
                column=error.offset,
                end_line=end[0],
                end_column=end[1],
            )
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            report.add("syntax-error", f"cannot be compiled: {str(error) or type(error).__name__}", path)
    for warning in caught:
        if issubclass(warning.category, (SyntaxWarning, DeprecationWarning)):
            report.add("syntax-warning", str(warning.message), path, "warning", line=warning.lineno)
