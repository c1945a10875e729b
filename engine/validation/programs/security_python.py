"""Finds security faults in Python: foreign values by `taint`, fixed mistakes by `python_patterns`. Of `security`.

Files are collected first, because values cross from one to the other, and judged together. Comments `# nosec` and
`# noqa` silence a line, with the names and numbers of bandit and ruff for the same faults.
"""

from __future__ import annotations

from engine.validation.programs.looking import Report, shown
from engine.validation.programs.python_patterns import patterns
from engine.validation.programs.python_source import parsed, silenced_lines
from engine.validation.programs.taint import Analysis
from engine.validation.programs.taint_harms import Harm
from engine.validation.programs.taint_modules import Module, Project
from engine.validation.programs.taint_rules import NUMBERS

MAX_SOURCE = 48 << 20
"""Text of a project that is kept at once; what is beyond is not looked at, with a note."""


class PythonFiles:
    """The Python files of a run. `add` each, then `judge`."""

    def __init__(self) -> None:
        self.project = Project()
        self.silenced: dict[str, dict[int, frozenset[str]]] = {}
        self.paths: dict[str, bytes] = {}
        self.asked: set[str] = set()
        self.size = 0
        self.left_out = 0

    def add(self, data: bytes, path: bytes, report: Report, asked: bool = True) -> None:
        """Take a file in. asked: findings in it are wanted; else it is only there for what others import of it."""
        self.size += len(data)
        if self.size > MAX_SOURCE:
            self.left_out += 1
            return
        name = shown(path)
        tree = parsed(data)
        if tree is None:
            if asked:
                report.add("not-analysed", "not checked: it cannot be parsed", path, "info", category="security")
            return
        self.project.add(Module(path, name, tree))
        self.paths[name] = path
        if asked:
            self.asked.add(name)
        if b"nosec" in data or b"noqa" in data or b"NOSEC" in data or b"NOQA" in data:
            self.silenced[name] = silenced_lines(data)

    def judge(self, report: Report) -> list[str]:
        """Report everything that is wrong; the notes for people."""
        analysis = Analysis(self.project)
        found = analysis.run()
        for module in self.project.modules.values():
            if module.shown in self.asked:
                try:
                    found.extend(patterns(module, analysis))
                except RecursionError:
                    analysis.cut.add(module.shown)
        for harm in sorted(found, key=lambda it: (it.severity != "error", it.file, it.line, it.column, it.rule)):
            if harm.file in self.asked and not self.is_silenced(harm):
                report.add(
                    harm.rule,
                    harm.message,
                    self.paths[harm.file],
                    harm.severity,
                    line=harm.line,
                    column=harm.column,
                    category="security",
                    reference=harm.reference,
                )
        notes = []
        if analysis.cut:
            notes.append(f"only partly checked, too intricate: {', '.join(sorted(analysis.cut)[:3])}")
        if self.left_out:
            notes.append(f"{self.left_out} Python files are not checked: more than {MAX_SOURCE >> 20} MiB")
        return notes

    def is_silenced(self, harm: Harm) -> bool:
        lines = self.silenced.get(harm.file)
        if not lines:
            return False
        accepted = {harm.rule, "*"} | {f"{letter}{it}" for it in NUMBERS.get(harm.rule, ()) for letter in "BS"}
        return any(lines.get(line, frozenset()) & accepted for line in range(harm.line, harm.end_line + 1))
