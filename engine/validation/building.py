"""The `compile` check: what can be built is built, and the project's Python modules are imported.

An import finds what no reading of a file does: cycles, names that another module does not have, code at the top that
fails. Builders write beside the sources, so they get a view that they can change, and what they leave is thrown away.
`programs/building.py` runs them; a builder's exit code decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import Finding, Severity, bounded
from engine.validation.program import ended, invocation, read_records
from engine.validation.programs.running import MAX_TAIL_BYTES
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

_SCRIPT: Final = f"where=$PATH:$tools python=$(tool python3) || exit 127\n{invocation('building')}"
_BUILDERS: Final = frozenset({"python", "go", "cargo", "mvn", "javac", "npm", "make", "cc"})

_PLACE: Final = re.compile(
    r"^(?:\./)?(?P<file>[^\s:][^:\n]{0,400}):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?: "
    r"(?:(?P<kind>error|fatal error|warning|note): )?(?P<text>.+)$",
    re.MULTILINE,
)
"""How go, javac, gcc and clang name a fault."""

_RUST: Final = re.compile(
    r"^error(?:\[(?P<code>E\d+)\])?: (?P<text>.+)\n\s+--> (?P<file>[^:\n]+):(?P<line>\d{1,9}):(?P<column>\d{1,9})$",
    re.MULTILINE,
)


class CompileCheck:
    """Builds; see `engine.validation.validator.Check`."""

    name: Final = "compile"
    python_only: Final = False
    runs_project_code: Final = True
    writes: Final = True
    variant: Final = ""
    programs: Final = ("building", "looking", "running")

    def time_limit_seconds(self) -> int:
        return 1800

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        records = read_records(output)
        builds = [record for record in records[:-1] if "builder" in record]
        if not builds:
            return CheckResult(self.name, CheckStatus.PASSED, note=f"{NOTHING_TO_CHECK}: nothing to build", files=0)
        python = [build for build in builds if build.get("builder") == "python"]
        own = {answer.text(build, "package") for build in python}
        findings: dict[tuple[str, str, int, str], Finding] = {}
        lacking: set[str] = set()
        count = 0
        for build in builds:
            builder = answer.text(build, "builder")
            if builder not in _BUILDERS:
                raise ToolOutputError("its output has an unknown builder")
            if build.get("exit") is None:
                found = [self._finding("tool-missing", f"the image has no {builder}, which the project is built with")]
            elif builder == "python":
                count += answer.whole(build, "count")
                found = [*self._imports(build, own, lacking), *self._ended(build)]
            else:
                found = [*self._built(builder, build)]
            for finding in found:
                findings.setdefault((finding.rule, finding.file, finding.line, finding.message), finding)
        missing = any(finding.rule == "tool-missing" for finding in findings.values())
        status = CheckStatus.ERROR if missing else CheckStatus.FAILED if findings else CheckStatus.PASSED
        cut = any(answer.whole(build, "failed") > len(answer.sequence(build["imports"])) for build in python)
        note = _note(builds, count, lacking, answer.sequence(records[-1].get("notes")))
        return CheckResult(self.name, status, tuple(findings.values()), note, len(builds), cut=cut)

    def _imports(self, build: Mapping[str, Any], own: set[str], lacking: set[str]) -> Iterator[Finding]:
        """Modules that could not be imported. lacking: gets the packages that the image does not have."""
        for record in map(answer.mapping, answer.sequence(build.get("imports"))):
            kind, missing = answer.text(record, "kind"), answer.text(record, "missing").partition(".")[0]
            if kind == "SystemExit":
                continue
            if missing and missing not in own:
                lacking.add(missing[:60])
                continue
            text = answer.text(record, "text").partition("\n")[0]
            file = answer.path(record, "file") if record.get("file") else ""
            what = f"{kind}: {text}" if text else kind
            where = "" if file else f"{answer.text(record, 'module')}: "
            yield self._finding("import-failed", where + what, file, answer.position(record, "line"))

    def _ended(self, build: Mapping[str, Any]) -> Iterator[Finding]:
        """That importing a package came to no end of its own."""
        if build.get("whole") is not True or answer.whole(build, "exit") != 0:
            what = f"importing {answer.text(build, 'package')}"
            yield self._finding("build-failed", ended(what, answer.whole(build, "exit"), _tail(build)))

    def _built(self, builder: str, build: Mapping[str, Any]) -> Iterator[Finding]:
        """What a builder says that has failed."""
        code, tail = answer.whole(build, "exit"), _tail(build)
        if code == 0:
            return
        places = [
            self._finding("build-error", match["text"], match["file"], int(match["line"]), int(match["column"] or 0))
            for pattern in (_PLACE, _RUST)
            for match in pattern.finditer(tail)
            if match.groupdict().get("kind") not in ("warning", "note") and not match["file"].startswith(("/", "../"))
        ]
        yield from places
        if not places:
            yield self._finding("build-failed", ended(builder, code, tail))

    def _finding(self, rule: str, message: str, file: str = "", line: int = 0, column: int = 0) -> Finding:
        category = "tool" if rule == "tool-missing" else "compile"
        return Finding(
            rule=rule,
            severity=Severity.ERROR,
            message=bounded(message),
            check=self.name,
            category=category,
            file=file,
            line=line if file else 0,
            column=column if file else 0,
        )


def _note(builds: Sequence[Mapping[str, Any]], count: int, lacking: set[str], told: Sequence[object]) -> str:
    notes = [str(note)[:200] for note in told]
    if count:
        notes.append(f"{count} Python modules imported")
    others = sorted({str(build["builder"]) for build in builds} - {"python"})
    if others:
        notes.append(f"built by {', '.join(others)}")
    if lacking:
        named = ", ".join(sorted(lacking)[:10])
        notes.append(f"modules that need packages which the image does not have are not judged: {named}")
    return "; ".join(notes)


def _tail(build: Mapping[str, Any]) -> str:
    return answer.text(build, "tail", limit=MAX_TAIL_BYTES)
