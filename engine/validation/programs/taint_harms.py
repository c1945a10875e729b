"""From a label that reaches a sink to what is said about it: whether it matters, how much, and in which words. Pure."""

from __future__ import annotations

from typing import NamedTuple

from engine.validation.programs import taint_rules as rules
from engine.validation.programs.taint_modules import Hit
from engine.validation.programs.taint_sinks import FIXED_HOST, FIXED_TARGET
from engine.validation.programs.taint_values import HOLE, NUMBER, Label, Trace, Value

ADVICE = {
    rules.SQL: "pass values as parameters of the query, and names only from a list of those allowed",
    rules.COMMAND: "pass a list of arguments without a shell, or quote with shlex.quote",
    rules.CODE: "do not run text as code; use ast.literal_eval or a table of functions",
    rules.TEMPLATE: "keep templates fixed and pass values as their variables",
    rules.PATH: "resolve the path and test that it is below its directory, or take only its name (secure_filename)",
    rules.SSRF: "compare the host with a list of those allowed",
    rules.REDIRECT: "redirect only to paths of this site or to hosts from a list",
    rules.XSS: "escape it, or render it by a template that escapes",
    rules.PICKLE: "use a format that cannot run code, such as JSON",
    rules.XXE: "parse with defusedxml",
}

WHENEVER_UNKNOWN = frozenset((rules.PICKLE,))
"""Groups in which everything that is not constant is doubtful."""


class Harm(NamedTuple):
    """A finding. owner, index: the parameter that it is doubtful for, when it is about one."""

    rule: str
    file: str
    line: int
    column: int
    end_line: int
    severity: str
    message: str
    reference: str
    owner: str = ""
    index: int = -1  # type: ignore[assignment]


def harm_of(hit: Hit, label: Label, trace: Trace, value: Value, new: bool, severity: str = "") -> Harm | None:
    """What is to be reported of `label` at a sink; None when nothing is."""
    if exempt(hit.group, value.text):
        return None
    grade = severity or graded(hit, label, trace, value, new)
    if not grade:
        return None
    about = label.kind == "param"
    return Harm(
        hit.group,
        hit.file,
        hit.line,
        hit.column,
        hit.end_line,
        grade,
        message(hit, label, trace),
        rules.REFERENCES[hit.group],
        label.owner if about else "",
        label.index if about else -1,
    )


def exempt(group: str, text: str | None) -> bool:
    """What is foreign comes after a part that keeps it harmless."""
    if text is None:
        return False
    if group == rules.SSRF:
        return bool(FIXED_HOST.match(text))
    return group == rules.REDIRECT and bool(FIXED_TARGET.match(text))


def graded(hit: Hit, label: Label, trace: Trace, value: Value, new: bool) -> str:
    """The severity; "" when it is fine."""
    if label.kind == "source":
        return "warning" if hit.group == rules.XXE else "error"
    if label.kind == "weak":  # noqa: SIM102
        if hit.group == rules.COMMAND or (hit.group == rules.PATH and value.built and below_fixed(value.text)):
            return "warning"
    if not new or NUMBER in trace.safe:
        return ""
    return "warning" if doubtful(hit) else ""


def below_fixed(text: str | None) -> bool:
    """A path whose directory is fixed, so that what comes after it is not meant to lead anywhere else."""
    return "/" in (text or "").partition(HOLE)[0]


def doubtful(hit: Hit) -> bool:
    """A value of unknown origin is worth a warning here."""
    if hit.group == rules.SQL:
        return hit.built
    if hit.group == rules.COMMAND:
        return hit.built
    if hit.group == rules.XSS:
        return hit.built and hit.marked
    if hit.group == rules.CODE:
        return hit.name in ("eval", "exec")
    return hit.group in WHENEVER_UNKNOWN


def message(hit: Hit, label: Label, trace: Trace) -> str:
    """source -> through -> sink, and what to do."""
    names = [*trace.via, *(name for name in hit.via if name not in trace.via)]
    through = f" through {', '.join(f'{name}()' for name in names[:5])}" if names else ""
    what = {
        "source": "",
        "weak": "",
        "param": "parameter ",
        "unknown": "",
        "archive": "",
    }[label.kind]
    where = ""
    if label.line:
        other = f" of {label.file}" if label.file != hit.file else ""
        where = f" (line {label.line}{other})"
    built = " as part of a text" if hit.built else ""
    return f"{what}{label.text}{where} reaches {hit.name}{through}{built}: {ADVICE[hit.group]}"


def worse(first: Harm, second: Harm) -> Harm:
    """The one to report of two at the same place."""
    rank = {"error": 0, "warning": 1, "info": 2}
    return min(first, second, key=lambda it: (rank[it.severity], bool(it.owner), it.message))
