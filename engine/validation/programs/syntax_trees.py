"""Parses files of several languages with tree-sitter and says where the grammar does not fit. Nothing is run.

Needs `tree_sitter` and a package for each grammar: ImportError where one is missing. A grammar recovers from faults,
so a file can have several; the outermost place of each is told, at most MAX_PLACES a file. Two things are not known
without a compiler, and are never called faults: what a macro of C stands for, and what a macro of Rust takes. An HTML
file that is a template for another program is left alone.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from engine.validation.programs.looking import Report

MAX_PLACES = 20
SHOWN_BYTES = 40

TEMPLATE = re.compile(rb"\{%|\{\{|\{#|<%|<\?(?!xml)")
PROLOG = re.compile(rb"\A\s*<\?xml[^>]*\?>")
"""Of XHTML, which the grammar does not know."""

C_MACRO = re.compile(rb"\b(?:\w+_)?[A-Z_][A-Z0-9_]{2,}\b|^[ \t]*#(?!\s*include)|@\w+@", re.MULTILINE)
"""What makes C before it is preprocessed something else than C: directives, and names that look like macros."""

C_NEAR_BYTES = 200
RUST_MACROS = frozenset({"macro_invocation", "macro_definition", "attribute_item", "token_tree"})

INSTRUCTIONS = frozenset(
    b"ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL "
    b"USER VOLUME WORKDIR".split()
)
VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
END_OPTIONAL = frozenset(
    b"html head body p li dt dd option optgroup thead tbody tfoot tr td th colgroup rt rp caption".split()
)

_parsers: dict[str, Any] = {}


def parse(language: str, data: bytes) -> Any:
    """The root of a file's tree.

    Raises:
      ImportError: the parser or the grammar is not installed.
    """
    if language not in _parsers:
        from tree_sitter import Language, Parser

        grammar = importlib.import_module(f"tree_sitter_{language}")
        _parsers[language] = Parser(Language(grammar.language()))
    return _parsers[language].parse(data).root_node


def check_with(language: str) -> Callable[[bytes, bytes, Report], None]:
    """The check of one of LANGUAGES."""

    def check(data: bytes, path: bytes, report: Report) -> None:
        root = parse(language, data if data.endswith(b"\n") else data + b"\n")
        told = [node for node in faults(root) if not _doubtful(language, node, data, report)] if root.has_error else []
        for node in told[:MAX_PLACES]:
            _add(report, path, "syntax-error", _message(node, data), node, data)

    return check


def check_dockerfile(data: bytes, path: bytes, report: Report) -> None:
    """As the others; also a word at the beginning of an instruction that is none."""
    check_with("dockerfile")(data, path, report)
    root = parse("dockerfile", data if data.endswith(b"\n") else data + b"\n")
    for node in root.children:
        word = node.text.split(None, 1)[0].upper() if node.type.endswith("_instruction") else b""
        if word and word not in INSTRUCTIONS:
            _add(report, path, "syntax-error", f"unknown instruction `{_text(node, data)}`", node, data)


def check_html(data: bytes, path: bytes, report: Report) -> None:
    """As the others; also an element that is not closed, and an end tag that closes nothing."""
    if TEMPLATE.search(data):
        report.note("HTML templates are not checked")
        return
    root = parse("html", PROLOG.sub(lambda it: b" " * len(it[0]), data, count=1))
    places = 0
    for node in walk(root):
        if places >= MAX_PLACES:
            return
        if node.is_error or node.is_missing:
            _add(report, path, "syntax-error", _message(node, data), node, data)
        elif node.type == "erroneous_end_tag":
            paragraph = node.text.lower().startswith((b"</p", b"</br"))
            message = f"the end tag `{_text(node, data)}` closes nothing"
            _add(report, path, "stray-end-tag", message, node, data, "warning" if paragraph else "error")
        elif (name := _unclosed(node)) is not None:
            _add(report, path, "unclosed-element", f"the element `{name}` is not closed", node.children[0], data)
        else:
            continue
        places += 1


def faults(root: Any) -> Iterator[Any]:
    """The outermost nodes that the grammar has no place for or that it misses, in order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(reversed(node.children))


def walk(root: Any) -> Iterator[Any]:
    """Every node, parents first, in order; an erroneous one without what is in it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if not node.is_error:
            waiting.extend(reversed(node.children))


def _unclosed(node: Any) -> str | None:
    """The name of an element that has a start tag, needs an end tag and has none."""
    if node.type not in ("element", "script_element", "style_element"):
        return None
    children = node.children
    if not children or children[0].type != "start_tag" or children[-1].type == "end_tag":
        return None
    tag = next((it for it in children[0].children if it.type == "tag_name"), None)
    name = tag.text.lower() if tag is not None else b""
    return name.decode("utf-8", "replace") if name and name not in VOID | END_OPTIONAL else None


def _doubtful(language: str, node: Any, data: bytes, report: Report) -> bool:
    if language == "c":
        top = node
        while top.parent is not None and top.parent.parent is not None:
            top = top.parent
        near = data[max(0, top.start_byte - C_NEAR_BYTES) : top.end_byte + C_NEAR_BYTES]
        if C_MACRO.search(near):
            report.note("parts of C files are not checked: what their macros stand for is not known")
            return True
    return language == "rust" and (_text(node, data).startswith("try!") or bool(RUST_MACROS & {*_kinds(node)}))


def _kinds(node: Any) -> Iterator[str]:
    """What the node and those above it are."""
    while node is not None:
        yield node.type
        node = node.parent


def _message(node: Any, data: bytes) -> str:
    if node.is_missing:
        return f"`{node.type}` is missing" if node.type.strip() else "the end of the line is missing"
    return f"unexpected `{_text(node, data)}`" if node.end_byte > node.start_byte else "unexpected end"


def _text(node: Any, data: bytes) -> str:
    """What stands at the node, on one line."""
    words = data[node.start_byte : min(node.end_byte, node.start_byte + SHOWN_BYTES)].split()
    return b" ".join(words).decode("utf-8", "replace")


def _add(report: Report, path: bytes, rule: str, message: str, node: Any, data: bytes, severity: str = "error") -> None:
    line, column = place(node.start_point, data, node.start_byte)
    report.add(rule, message, path, severity, line=line, column=column)


def place(point: Any, data: bytes, offset: int) -> tuple[int, int]:
    """Line and column from 1, in characters; tree-sitter counts bytes from 0."""
    before = data[offset - point[1] : offset]
    return point[0] + 1, len(before.decode("utf-8", "replace")) + 1
