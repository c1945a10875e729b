"""Parses JavaScript, TypeScript and JSX with `oxlint`, all its rules off: what is left are faults of the syntax.

ImportError where there is no oxlint. The project's own configuration of it is not read.
"""

from __future__ import annotations

import os
import re
from typing import Any

from engine.validation.programs import oxlint
from engine.validation.programs.looking import Report

TEMPLATE = re.compile(rb"\{%|\{\{#|<%")
FLOW = re.compile(rb"\A\s*(?:/\*[\s\S]{0,2000}?@flow|//\s*@flow)")


class JavaScript:
    """Gathers files, and looks at all of them at the end."""

    def __init__(self) -> None:
        self._paths: list[bytes] = []
        self._templates: set[bytes] = set()

    def check(self, data: bytes, path: bytes, report: Report) -> None:
        if oxlint.program() is None:
            raise ImportError("oxlint")
        if not oxlint.known(data, path, report):
            return
        if FLOW.match(data):
            report.note("JavaScript with Flow types is not checked")
            return
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            report.add("syntax-error", f"not UTF-8 text: {error.reason}", path)
            return
        self._paths.append(path)
        if TEMPLATE.search(data):
            self._templates.add(path)

    def finish(self, report: Report) -> None:
        """Look at what was gathered."""
        if not self._paths:
            return
        config = os.path.join(os.environ.get("TMPDIR", "/tmp"), "oxlint.json")
        with open(config, "w", encoding="ascii") as stream:
            stream.write("{}")

        def told(record: dict[str, Any]) -> None:
            path, line, column = oxlint.place(record)
            if path in self._templates:
                report.note("JavaScript templates are not checked")
                return
            severity = "error" if record.get("severity") == "error" else "warning"
            report.add("syntax-error", oxlint.message(record), path, severity, line=line, column=column)

        def crashed(path: bytes) -> None:
            report.add("syntax-error", "the parser crashed on it, or did not come to an end", path)

        flags = ["-c", config, "--disable-nested-config", "--no-ignore", "-A", "all"]
        oxlint.run(flags, self._paths, told, crashed, complete=True)
