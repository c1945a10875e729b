"""What the taint engine knows of a value: where its parts come from, and what was done to make them harmless.

*Labels* name origins: a request (`source`), the machine's own user (`weak`), a parameter of the function at hand
(`param`), anything else that is not constant (`unknown`). A value without labels is constant or harmless. Each label
has a *trace*: the groups of weaknesses for which it is safe, and the functions that it came through. Values are never
changed once made; every operation here is pure and bounded.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from typing import Dict, NamedTuple

HOLE = "\0"
"""Stands in a value's text for a part that is not known."""

ALL = "*"
"""As a safe group: harmless for everything."""

NORMAL = "normal-path"
"""As a safe group: a path without `..`, so that a test of its beginning means something."""

BEGINS_WITH_SLASH = "/"
NOT_WITH_TWO = "//"
LOCAL = frozenset((BEGINS_WITH_SLASH, NOT_WITH_TWO))
"""Safe groups that only together make an address one of the same host."""

HOST_MARK = "!"
"""Before the path in `derived`: not the address itself, but its host."""

NUMBER = "#number"
"""As a safe group of a parameter: said to be a number, so harmless unless something else is known to be passed."""

MAX_LABELS = 12
MAX_TEXT = 400
MAX_FIELDS = 64
MAX_VIA = 5

NOTHING: frozenset[str] = frozenset()


class Label(NamedTuple):
    """An origin. text: as people read it. owner, index: the function and the place of a parameter in it."""

    kind: str
    text: str
    file: str = ""
    line: int = 0
    owner: str = ""
    index: int = -1  # type: ignore[assignment]


class Trace(NamedTuple):
    """safe: groups for which the label does no harm. via: names of functions that it came through."""

    safe: frozenset[str] = NOTHING
    via: tuple[str, ...] = ()

    def harmless(self, group: str) -> bool:
        return group in self.safe or ALL in self.safe or (group == "open-redirect" and self.safe >= LOCAL)


Labels = Dict[Label, Trace]


class Value:
    """labels: origins. built: text that was put together from parts that are not constant. text: what is known of
    it, with `HOLE` for the rest; None when nothing is. ref: the dotted name of what it is (`os.system`), with `()`
    for what a call gives. fields: values under constant keys. derived: the path of the variable it was taken from.
    """

    __slots__ = ("built", "derived", "fields", "labels", "ref", "text")

    def __init__(
        self,
        labels: Labels,
        built: bool = False,
        text: str | None = None,
        ref: str = "",
        fields: dict[str, Value] | None = None,
        derived: str = "",
    ) -> None:
        self.labels = labels
        self.built = built
        self.text = text
        self.ref = ref
        self.fields = fields
        self.derived = derived

    @property
    def constant(self) -> bool:
        """No part of it can be chosen by anyone, as far as known."""
        return not self.labels or all(ALL in trace.safe for trace in self.labels.values())

    @property
    def literal(self) -> str | None:
        """Its whole text, when that is known."""
        return self.text if not self.labels and self.text is not None and HOLE not in self.text else None


CONSTANT = Value({})
UNKNOWN_LABEL = Label("unknown", "a value that is not constant")
UNKNOWN = Value({UNKNOWN_LABEL: Trace()})


def named(ref: str) -> Value:
    """Something that is only known by its name: no text of it can be chosen by anyone."""
    return Value({}, ref=ref)


def text_of(text: str) -> Value:
    return Value({}, text=text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + HOLE)


def origin(label: Label, ref: str = "", safe: frozenset[str] = NOTHING) -> Value:
    return Value({label: Trace(safe)}, ref=ref)


def merged(labels: Iterable[Labels]) -> Labels:
    """All labels; where two have the same, it is safe only for what both are safe for."""
    parts = [it for it in labels if it]
    if len(parts) <= 1:
        return parts[0] if parts else {}
    out: Labels = {}
    for part in parts:
        if part is out:
            continue
        for label, trace in part.items():
            known = out.get(label)
            if known is None:
                out[label] = trace
            elif known.safe != trace.safe:
                out[label] = Trace(known.safe & trace.safe, known.via)
    return bounded(out)


def bounded(labels: Labels) -> Labels:
    """At most `MAX_LABELS` of them: requests first, then parameters."""
    if len(labels) <= MAX_LABELS:
        return labels
    rank = {"source": 0, "param": 1, "weak": 2, "unknown": 3}
    kept = sorted(labels, key=lambda it: (bool(labels[it].safe), rank[it.kind], it))[:MAX_LABELS]
    return {label: labels[label] for label in kept}


def join(first: Value, second: Value) -> Value:
    """What is known when it is the one or the other."""
    if first is second:
        return first
    if first is CONSTANT and not second.labels and not second.ref:
        return second if second.text is None else Value({}, second.built, None, "", second.fields)
    text = first.text
    if text != second.text:
        begin = os.path.commonprefix([first.text or HOLE, second.text or HOLE]).partition(HOLE)[0]  # noqa: RUF071 - of texts
        longer = max(first.text or "", second.text or "", key=len)
        text = begin + HOLE + (longer[len(begin) :] if first.built or second.built else "")
    fields = first.fields if second.fields is None else second.fields
    if first.fields and second.fields:
        both = {**first.fields, **second.fields}
        fields = {key: join(first.fields.get(key, value), second.fields.get(key, value)) for key, value in both.items()}
    return Value(
        merged((first.labels, second.labels)),
        first.built or second.built,
        text,
        first.ref or second.ref,
        fields,
        first.derived if first.derived == second.derived else "",
    )


def concat(parts: Iterable[Value]) -> Value:
    """Text put together from `parts`."""
    parts = list(parts)
    labels = merged(part.labels for part in parts)
    pieces = []
    size = 0
    for part in parts:
        piece = HOLE if part.text is None else part.text
        pieces.append(piece)
        size += len(piece)
        if size > MAX_TEXT:
            pieces.append(HOLE)
            break
    text = "".join(pieces)
    return Value(labels, bool(labels), text if len(text) <= 2 * MAX_TEXT else text[: 2 * MAX_TEXT] + HOLE)


def collection(parts: Iterable[Value], fields: dict[str, Value] | None = None, ref: str = "[]") -> Value:
    """A list, tuple, set or dictionary of `parts`."""
    parts = list(parts)
    built = any(part.built for part in parts)
    kept = fields if fields and len(fields) <= MAX_FIELDS else None
    return Value(merged(part.labels for part in parts), built, None, ref, kept)


def element(value: Value) -> Value:
    """One of what is in `value`, no matter which."""
    if value.fields:
        parts = list(value.fields.values())
        one = parts[0]
        for part in parts[1:]:
            one = join(one, part)
        return Value(merged((one.labels, value.labels)), one.built, one.text, one.ref, one.fields)
    return Value(value.labels, value.built) if value.labels else CONSTANT


def derive(value: Value, ref: str = "", text: str | None = None, built: bool | None = None) -> Value:
    """Something that has the origins of `value`."""
    if not value.labels and not ref and text is None and not value.derived:
        return CONSTANT
    return Value(value.labels, value.built if built is None else built, text, ref, None, value.derived)


def safe_for(value: Value, groups: frozenset[str], same: bool = False) -> Value:
    """`value` after it was made harmless for `groups`; same: by a test, not by making another of it."""
    if not value.labels or not groups:
        return value
    if ALL in groups and not same:
        return Value({}, False, value.text, value.ref, None, value.derived)
    labels = {label: Trace(trace.safe | groups, trace.via) for label, trace in value.labels.items()}
    return Value(labels, value.built, value.text, value.ref, value.fields, value.derived)


def through(labels: Labels, name: str, safe: frozenset[str] = NOTHING) -> Labels:
    """The labels after they came through the function `name`, which makes them safe for `safe` too."""
    return {
        label: Trace(trace.safe | safe, trace.via if name in trace.via else (*trace.via, name)[-MAX_VIA:])
        for label, trace in labels.items()
    }
