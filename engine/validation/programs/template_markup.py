"""Reads templates as HTML with holes: which parts the template engine fills in, and which tags stand around them.

Standard library only. Everything here is one pass over the text with searches that only go forward, so that the time
taken grows with the length of the text and not with what is in it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

VALUE = "\ue000"
"""Stands, once for each character, for what the template engine puts into the page."""

CONTROL = "\ue001"
"""Stands for conditions, loops and other tags that print nothing of their own accord."""

BLANK = " "

DIALECTS: dict[bytes, str] = {
    b".html": "jinja",
    b".htm": "jinja",
    b".jinja": "jinja",
    b".jinja2": "jinja",
    b".j2": "jinja",
    b".djhtml": "jinja",
    b".twig": "jinja",
    b".ejs": "ejs",
    b".erb": "erb",
    b".hbs": "handlebars",
    b".handlebars": "handlebars",
    b".mustache": "handlebars",
    b".vue": "vue",
    b".svelte": "svelte",
}
"""The language of each file suffix; `.html` may hold Jinja, Django, Handlebars or nothing at all."""

OPENERS = {
    "jinja": re.compile(r"<!--|\{\{\{|\{\{|\{%|\{#"),
    "handlebars": re.compile(r"<!--|\{\{!--|\{\{!|\{\{\{|\{\{"),
    "ejs": re.compile(r"<!--|<%"),
    "erb": re.compile(r"<!--|<%"),
    "vue": re.compile(r"<!--"),
    "svelte": re.compile(r"<!--|\{@html\b"),
}

CLOSERS = {
    "<!--": "-->",
    "{{{": "}}}",
    "{{": "}}",
    "{%": "%}",
    "{#": "#}",
    "{{!--": "--}}",
    "{{!": "}}",
    "<%": "%>",
    "{@html": "}",
}

LITERAL_BLOCK = re.compile(r"\{%-?\s*(raw|verbatim|comment)\b")

TAG_NAME = re.compile(r"<([A-Za-z][\w:.-]*)")

PLAIN = re.compile(r"[^'\">]*")

ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>\"']+))?")

RAW_TEXT = {"script": re.compile(r"</script", re.I), "style": re.compile(r"</style", re.I)}


class Hole(NamedTuple):
    """One `{{ }}`, `{% %}`, `<% %>` or `{@html }`: where it is, how it opens and what is inside."""

    start: int
    end: int
    opener: str
    text: str


class Attribute(NamedTuple):
    """An attribute of a tag; `quoted` tells whether the value stands in quotes."""

    name: str
    value: str
    quoted: bool
    start: int


class Tag(NamedTuple):
    """An opening tag; `body` is where the raw text of a script or style lies, else an empty range."""

    name: str
    attributes: list[Attribute]
    start: int
    end: int
    body: tuple[int, int]

    def attribute(self, name: str) -> str | None:
        """The value, "" for an attribute without one, None when there is no such attribute."""
        return next((it.value for it in self.attributes if it.name.lower() == name), None)


class Markup:
    """A template's text, the text with its holes covered, the holes and the tags.

    `covered` has the length of `text`: each character of a hole is VALUE or CONTROL, and comments are blank.
    """

    def __init__(self, text: str, dialect: str) -> None:
        self.text = text
        self.dialect = dialect
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.holes: list[Hole] = []
        self.covered = self._cover()
        self.starts = [hole.start for hole in self.holes]
        self.tags = _tags(self.covered)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        line = bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1

    def line_text(self, line: int) -> str:
        end = self.lines[line] if line < len(self.lines) else len(self.text)
        return self.text[self.lines[line - 1] : end]

    def holes_within(self, start: int, end: int) -> list[Hole]:
        """The holes that begin in the range and print a value."""
        first = bisect_right(self.starts, start - 1)
        last = bisect_right(self.starts, end - 1)
        return [hole for hole in self.holes[first:last] if prints(hole)]

    def without_comments(self, start: int, end: int) -> str:
        """The text of the range, holes after the rest, comments left out."""
        first, last = bisect_right(self.starts, start - 1), bisect_right(self.starts, end - 1)
        return " ".join([self.covered[start:end], *(hole.text for hole in self.holes[first:last])])

    def _cover(self) -> str:
        text, opener = self.text, OPENERS[self.dialect]
        done: list[str] = []
        position = 0
        while True:
            match = opener.search(text, position)
            if match is None:
                break
            mark = match[0]
            end = text.find(CLOSERS[mark], match.end())
            if end < 0:
                break
            end += len(CLOSERS[mark])
            done.append(text[position : match.start()])
            literal = LITERAL_BLOCK.match(text, match.start()) if mark == "{%" else None
            if literal:
                end = _end_of_literal(text, literal[1], end)
            if literal or mark in ("<!--", "{#", "{{!--", "{{!"):
                done.append(_same_length(text[match.start() : end], BLANK))
            else:
                hole = Hole(match.start(), end, mark, text[match.end() : end - len(CLOSERS[mark])])
                self.holes.append(hole)
                done.append(_same_length(text[match.start() : end], VALUE if prints(hole) else CONTROL))
            position = end
        done.append(text[position:])
        return "".join(done)


def prints(hole: Hole) -> bool:
    """The hole puts a value into the page, rather than steering what is printed."""
    if hole.opener == "{%":
        return False
    if hole.opener == "<%":
        return hole.text.startswith(("=", "-", "==")) and not hole.text.startswith("-%")
    return not hole.text.lstrip("~ ").startswith(("#", "/", "else", "!", ">", "^"))


def _same_length(piece: str, cover: str) -> str:
    return cover * len(piece)


def _end_of_literal(text: str, name: str, start: int) -> int:
    closing = re.compile(r"\{%-?\s*end" + name + r"\b[^%]*%\}").search(text, start)
    return closing.end() if closing else len(text)


def _tags(text: str) -> list[Tag]:
    tags: list[Tag] = []
    unclosed: dict[str, int] = {}
    position = 0
    while True:
        match = TAG_NAME.search(text, position)
        if match is None:
            return tags
        end = _end_of_tag(text, match.end(), unclosed)
        if end < 0:
            return tags
        name = match[1].lower()
        body = (end, end)
        if name in RAW_TEXT:
            closing = RAW_TEXT[name].search(text, end)
            body = (end, closing.start() if closing else len(text))
        tags.append(Tag(name, _attributes(text, match.end(), end - 1), match.start(), end, body))
        position = body[1]


def _end_of_tag(text: str, position: int, unclosed: dict[str, int]) -> int:
    """The offset after the tag's `>`, -1 when there is none; quotes that are never closed are plain characters.

    unclosed: for each kind of quote, from where on there is known to be none.
    """
    while True:
        plain = PLAIN.match(text, position)
        position = plain.end() if plain else position
        if position >= len(text):
            return -1
        mark = text[position]
        if mark == ">":
            return position + 1
        closing = -1 if position >= unclosed.get(mark, len(text)) else text.find(mark, position + 1)
        if closing < 0:
            unclosed[mark] = min(position, unclosed.get(mark, len(text)))
        position = max(closing, position) + 1


def _attributes(text: str, start: int, end: int) -> list[Attribute]:
    found = []
    for match in ATTRIBUTE.finditer(text, start, end):
        value = match[2] or ""
        quoted = value[:1] in ("'", '"')
        found.append(Attribute(match[1], value[1:-1] if quoted else value, quoted, match.start()))
    return found
