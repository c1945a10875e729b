"""Which calls do harm with what they are given: the tables of sinks, and the cases that a table cannot say."""

from __future__ import annotations

import ast
import re

from engine.validation.programs import taint_rules as rules
from engine.validation.programs import taint_sinks as sinks
from engine.validation.programs.taint_frame import Frame
from engine.validation.programs.taint_modules import dotted
from engine.validation.programs.taint_values import CONSTANT, Value, element, named

SHELLS = frozenset(
    [
        "sh",
        "bash",
        "zsh",
        "ksh",
        "dash",
        "/bin/sh",
        "/bin/bash",
        "/usr/bin/bash",
        "/bin/zsh",
        "cmd",
        "cmd.exe",
        "powershell",
    ]
)
TYPES = ("mimetype", "content_type", "media_type")
PLAIN = re.compile(
    r"(?i)^(?:text/(?:plain|csv|css|javascript|calendar|markdown|event-stream)|application/|image/|audio/)"
)
SAFE_LOADERS = frozenset(["SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"])


def look_for_sinks(
    frame: Frame,
    node: ast.Call,
    ref: str,
    receiver: Value,
    attr: str,
    values: list[Value],
    names: dict[str, Value],
) -> Value | None:
    """Report what the call does wrong. The value it gives, when that is judged with it; else None."""
    sink = sinks.SINKS.get(ref)
    if sink is not None:
        return of_table(frame, node, ref, sink, values, names)
    if ref in sinks.SUBPROCESS:
        subprocess(frame, node, ref, values, names)
    elif ref in ("yaml.load", "yaml.load_all"):
        yaml(frame, node, ref, values, names)
    elif ref == "torch.load" and not true(names.get("weights_only"), node, "weights_only"):
        report(frame, node, rules.PICKLE, "torch.load without weights_only=True", first(values))
    elif ref == "numpy.load" and true(None, node, "allow_pickle"):
        report(frame, node, rules.PICKLE, "numpy.load with allow_pickle=True", first(values))
    if attr:
        return of_method(frame, node, ref, receiver, attr, values, names)
    return None


def of_table(
    frame: Frame, node: ast.Call, ref: str, sink: sinks.Sink, values: list[Value], names: dict[str, Value]
) -> Value | None:
    if sink.group == rules.XSS and not sink.result and is_plain(frame, node, names):
        return None
    if sink.group == rules.XXE and ("parser" in names or len(values) > 1):
        return None
    seen = ref.replace("()", "")
    for place in sink.places:
        if place < len(values):
            report(frame, node, sink.group, seen, values[place], sink.result)
    for word in sink.names:
        if word in names:
            report(frame, node, sink.group, seen, names[word], sink.result)
    return named(f"{ref}()") if sink.result else None


def report(frame: Frame, node: ast.AST, group: str, name: str, value: Value, marked: bool = False) -> None:
    if value.labels:
        frame.analysis.reached(frame, node, group, name, value, marked)


def first(values: list[Value]) -> Value:
    return values[0] if values else CONSTANT


def true(value: Value | None, node: ast.Call, word: str) -> bool:
    """The argument `word` is there and not plainly false."""
    for keyword in node.keywords:
        if keyword.arg == word:
            return not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
    return False


def subprocess(frame: Frame, node: ast.Call, ref: str, values: list[Value], names: dict[str, Value]) -> None:
    """Commands are harmless as a list, unless a shell gets one, or what is run can be chosen."""
    command = values[0] if values else names.get("args")
    if command is None:
        return
    if true(names.get("shell"), node, "shell"):
        text = element(command) if command.ref == "[]" else command
        report(frame, node, rules.COMMAND, f"{ref} with shell=True", text, True)
        return
    parts = list((command.fields or {}).values()) if command.ref == "[]" else values
    if parts and parts[0].literal in SHELLS:
        flags = [it.literal for it in parts[:3]]
        for place, flag in enumerate(flags):
            if flag in ("-c", "-lc", "/c", "/C", "-ec", "-xc", "-ic", "-Command") and place + 1 < len(parts):
                report(frame, node, rules.COMMAND, f"{ref} of a shell", parts[place + 1], True)
    elif parts and any(label.kind == "source" for label in parts[0].labels):
        report(frame, node, rules.COMMAND, ref, parts[0])
    elif command.labels and not command.fields and any(label.kind == "source" for label in command.labels):  # noqa: SIM102
        if command.ref != "[]":
            report(frame, node, rules.COMMAND, ref, command)


def yaml(frame: Frame, node: ast.Call, ref: str, values: list[Value], names: dict[str, Value]) -> None:
    loader = node.args[1] if len(node.args) > 1 else None
    for keyword in node.keywords:
        if keyword.arg == "Loader":
            loader = keyword.value
    name = dotted(loader).rpartition(".")[2] if loader is not None else ""
    if name in SAFE_LOADERS:
        return
    if loader is not None and frame.evaluate(loader).ref.rpartition(".")[2] in SAFE_LOADERS:
        return
    made = frame.analysis.project.class_of(frame.evaluate(loader).ref) if loader is not None else None
    if made is not None and any(base.rpartition(".")[2] in SAFE_LOADERS for base in made.bases):
        return
    report(frame, node, rules.PICKLE, f"{ref} without SafeLoader", first(values))


def is_plain(frame: Frame, node: ast.Call, names: dict[str, Value]) -> bool:
    """The response says that it is no HTML."""
    kinds = [names[word].literal for word in TYPES if word in names]
    if len(node.args) > 3 and isinstance(node.args[3], ast.Constant):
        kinds.append(str(node.args[3].value))
    if any(kind is None or PLAIN.match(kind) for kind in kinds):
        return True
    return says_plain(frame)


def says_plain(frame: Frame) -> bool:
    """The function at hand sets a type that is not HTML's, in whatever way."""
    if frame.plain is None:
        frame.plain = False
        for node in ast.walk(frame.function.node) if frame.function else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and PLAIN.match(node.value):
                frame.plain = True
    return frame.plain


def of_method(
    frame: Frame,
    node: ast.Call,
    ref: str,
    receiver: Value,
    attr: str,
    values: list[Value],
    names: dict[str, Value],
) -> Value | None:
    """Methods that do harm whatever they belong to."""
    written = dotted(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    shown = f"{written}.{attr}" if written else f".{attr}"
    query = values[0] if values else names.get("query", names.get("sql", names.get("statement", CONSTANT)))
    if attr in sinks.EXECUTING and query.labels:
        if looks_like_database(written, receiver) or is_sql(query):
            report(frame, node, rules.SQL, shown, query)
    elif attr in sinks.FETCHING and query.labels:
        if is_sql(query) or (attr in ("raw", "read_sql_query") and query.built):
            report(frame, node, rules.SQL, shown, query)
    elif attr in sinks.CLAUSES:
        for word in sinks.CLAUSES[attr]:
            value = names.get(word)
            if value is not None and (value.built or any(it.kind == "source" for it in value.labels)):
                report(frame, node, rules.SQL, shown, Value(value.labels, True))
    elif attr == "exec_command":
        report(frame, node, rules.COMMAND, shown, first(values))
    elif attr in sinks.PATH_METHODS and receiver.labels:
        if attr.startswith(("read_", "write_", "unlink")) or "Path" in receiver.ref:
            report(frame, node, rules.PATH, shown, receiver)
    elif attr in sinks.SAVING and values:
        report(frame, node, rules.PATH, shown, values[0])
    elif attr in ("extractall", "extract"):
        extracting(frame, node, ref, receiver, shown)
    elif attr == "write" and frame.view == "tornado" and written == "self":
        report(frame, node, rules.XSS, shown, first(values))
    elif attr == "redirect" and written == "self":
        report(frame, node, rules.REDIRECT, shown, first(values))
    elif attr in ("from_string",) and "jinja" in written.lower() + ref.lower() + str(written.endswith("env")):
        report(frame, node, rules.TEMPLATE, shown, first(values))
    elif attr in ("get", "post", "put", "delete", "request") and "client" in written.lower():
        url = values[1] if attr == "request" and len(values) > 1 else first(values)
        if "http" in (url.text or "") or any(label.kind == "source" for label in url.labels):
            report(frame, node, rules.SSRF, shown, url)
    return None


def is_sql(value: Value) -> bool:
    """Known text of the value looks like SQL."""
    return value.text is not None and bool(sinks.SQL_TEXT.search(value.text))


def looks_like_database(written: str, receiver: Value) -> bool:
    last = written or receiver.ref
    if "()" in receiver.ref and sinks.DATABASE_NAME.search(receiver.ref):
        return True
    return bool(sinks.DATABASE_NAME.search(last))


def extracting(frame: Frame, node: ast.Call, ref: str, receiver: Value, shown: str) -> None:
    """Members of a tar archive may name any place, unless a filter or a choice of members says otherwise."""
    if any(it.arg in ("filter", "members") for it in node.keywords) or "tarfile" not in receiver.ref + ref:
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr == "extract":
        return
    frame.analysis.archive(frame, node, shown, receiver)
