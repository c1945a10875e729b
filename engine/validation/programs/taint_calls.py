"""What calls give, and the harm they do: functions of the project by their summaries, libraries by the tables."""

from __future__ import annotations

import ast

from engine.validation.programs import taint_functions
from engine.validation.programs import taint_rules as rules
from engine.validation.programs.taint_checks import look_for_sinks
from engine.validation.programs.taint_expressions import field, source
from engine.validation.programs.taint_frame import Frame, path_of
from engine.validation.programs.taint_modules import Class, Function
from engine.validation.programs.taint_values import (
    CONSTANT,
    HOLE,
    NOTHING,
    UNKNOWN,
    Labels,
    Trace,
    Value,
    collection,
    concat,
    derive,
    element,
    join,
    merged,
    named,
    safe_for,
    through,
)

TO_TEXT = frozenset(
    [
        "strip",
        "lstrip",
        "rstrip",
        "lower",
        "upper",
        "title",
        "capitalize",
        "casefold",
        "encode",
        "decode",
        "expandtabs",
        "swapcase",
    ]
)
ADDING = frozenset(["append", "add", "extend", "insert", "appendleft", "update", "push", "extendleft", "writelines"])
UNCHANGED = frozenset(
    [
        "cursor",
        "begin",
        "connect",
        "acquire",
        "session",
        "get_bind",
        "connection",
        "__enter__",
        "__aenter__",
        "transaction",
    ]
)


def call(frame: Frame, node: ast.Call) -> Value:
    """The value of a call, after everything that it does wrong was reported."""
    function = node.func
    receiver = CONSTANT
    attr = ""
    if isinstance(function, ast.Attribute):
        path = path_of(function)
        known = frame.env.get(path) if path else None
        receiver = frame.evaluate(function.value)
        attr = function.attr
        target = known if known is not None else field(frame, receiver, attr, function)
    else:
        target = frame.evaluate(function)
    values: list[Value] = []
    for part in node.args:
        value = frame.evaluate(part)
        values.append(element(value) if isinstance(part, ast.Starred) else value)
    names: dict[str, Value] = {}
    for keyword in node.keywords:
        value = frame.evaluate(keyword.value)
        if keyword.arg:
            names[keyword.arg] = value
        else:
            names.update(value.fields or ({"**": value} if value.labels else {}))
    return called(frame, node, target, receiver, attr, values, names)


def called(
    frame: Frame,
    node: ast.Call,
    target: Value,
    receiver: Value,
    attr: str,
    values: list[Value],
    names: dict[str, Value],
) -> Value:
    """As `call`, with everything evaluated."""
    ref = target.ref
    functions = frame.analysis.functions(frame, ref, receiver, attr)
    passed_on(frame, node, ref, attr, values, names)
    if functions:
        results = [apply(frame, node, function, receiver, bound, values, names) for function, bound in functions]
        out = results[0]
        for other in results[1:]:
            out = join(out, other)
        return out
    made = frame.analysis.project.class_of(ref) if ":" in ref else None
    if made is not None:
        return constructed(frame, node, made, values, names)
    judged = look_for_sinks(frame, node, ref, receiver, attr, values, names)
    if judged is not None:
        return judged
    return of_library(frame, node, target, receiver, attr, values, names)


def of_library(
    frame: Frame,
    node: ast.Call,
    target: Value,
    receiver: Value,
    attr: str,
    values: list[Value],
    names: dict[str, Value],
) -> Value:
    ref = target.ref
    full = f"{ref}()"
    everything = [*values, *names.values()]
    if ref.startswith("@request.") and not receiver.labels and target.labels:
        return Value(target.labels, False, None, full)
    if full in rules.SOURCES or attr in rules.SOURCE_METHODS:
        return source(frame, node, rules.SOURCES.get(full, "source"), full)
    if ref in rules.SANITIZERS and not receiver.labels:
        made = derive(Value(merged(it.labels for it in everything), any(it.built for it in everything)), full)
        return safe_for(made, rules.SANITIZERS[ref])
    if ref in taint_functions.PROPAGATORS and not receiver.labels:
        return propagated(node, ref, values, everything)
    if ref in ("open", "io.open", "codecs.open") or full in rules.REQUESTS:
        return UNKNOWN if ref.endswith("open") else named(full)
    if attr:
        return method(frame, node, target, receiver, attr, values, names)
    return Value(UNKNOWN.labels, False, None, full if ref else "")


def propagated(node: ast.Call, ref: str, values: list[Value], everything: list[Value]) -> Value:
    labels = merged(it.labels for it in everything)
    built = any(it.built for it in everything)
    text = None
    if ref in ("os.path.join", "pathlib.Path", "posixpath.join"):
        joined = concat(values)
        built, text = built or (len(values) > 1 and bool(labels)), joined.text
    elif ref in ("str", "textwrap.dedent", "typing.cast", "next", "urllib.request.Request") and values:
        text = values[-1 if ref == "typing.cast" else 0].text
    elif ref == "urllib.parse.urljoin" and len(values) > 1 and values[1].literal is not None:
        text = values[0].text
    derived = ""
    if ref in taint_functions.DERIVING and node.args:
        derived = values[0].derived or path_of(node.args[0])
        joined_with = node.args[0]
        if isinstance(joined_with, ast.Call) and len(joined_with.args) > 1:
            derived = derived or path_of(joined_with.args[1])
    elif ref == "urllib.parse.urljoin" and len(node.args) > 1:
        derived = path_of(node.args[1])
    kept = f"{ref}()" if ref.startswith(("pathlib", "urllib.request", "string.T")) else ""
    fields = values[0].fields if ref in ("dict", "list", "tuple", "sorted", "reversed", "iter") and values else None
    kept = kept or ("[]" if ref in ("list", "tuple", "set", "sorted", "zip", "enumerate") else "")
    if ref == "enumerate" and values:
        pair = Value(labels, built, None, "[]", {"0": CONSTANT, "1": element(values[0])})
        return Value(labels, built, None, "[]", {"0": pair})
    if ref == "zip":
        pair = Value(labels, built, None, "[]", {str(place): element(it) for place, it in enumerate(values)})
        return Value(labels, built, None, "[]", {"0": pair})
    made = Value(labels, built, text, kept, fields, derived)
    return safe_for(made, rules.SANITIZERS.get(ref, NOTHING))


def method(
    frame: Frame,
    node: ast.Call,
    target: Value,
    receiver: Value,
    attr: str,
    values: list[Value],
    names: dict[str, Value],
) -> Value:
    """A method of something of a library, of a text or of a container."""
    everything = [*values, *names.values()]
    markup = "Markup()" in receiver.ref
    if "sql.SQL()" in receiver.ref:
        return named(receiver.ref)
    if attr == "format" or attr == "format_map":
        made = formatted(receiver, values, names)
        return safe_for(made, rules.MARKUP) if markup else made
    if attr == "join" and values:
        made = concat([receiver, element(values[0])])
        built = made.built and bool(values[0].labels)
        return Value(made.labels, built, HOLE if values[0].labels or not receiver.text else None)
    if attr in ADDING:
        added(frame, node, receiver, everything)
        return CONSTANT
    if attr in ("replace", "substitute", "safe_substitute"):
        made = concat([receiver, *everything])
        return Value(made.labels, made.built, receiver.text)
    if attr in rules.SANITIZING_METHODS and ":" not in target.ref:
        groups = rules.SANITIZING_METHODS[attr]
        ref = receiver.ref if attr == "resolve" else ""
        base = merged((receiver.labels, *(it.labels for it in values))) if attr != "resolve" else receiver.labels
        return safe_for(Value(base, receiver.built, receiver.text, ref, None, origin_of(node, receiver)), groups)
    if attr in ("get", "pop", "setdefault") and receiver.fields is not None and node.args:
        return looked_up(node, receiver, values)
    if attr in ("items", "values", "keys"):
        return parts_of(receiver, attr)
    if attr == "get" and any(it.value and it.arg == "type" for it in node.keywords):  # noqa: SIM102
        if names.get("type", CONSTANT).ref in rules.SANITIZERS:
            return CONSTANT
    if receiver.labels:
        text = receiver.text if attr in TO_TEXT else None
        default = values[1:] if attr in ("get", "pop", "getlist") else []
        labels = merged((receiver.labels, *(it.labels for it in default)))
        return Value(labels, receiver.built, text, receiver.ref, receiver.fields, receiver.derived)
    if receiver.literal is not None or receiver.ref in ("[]", "{}"):
        extra = merged(it.labels for it in everything) if attr in ("get", "pop", "setdefault") else {}
        return Value(extra, False, receiver.text if attr in TO_TEXT else None, receiver.ref)
    if not target.ref:
        return UNKNOWN
    if target.ref.startswith("@request."):
        return named(f"{target.ref}()")
    if attr in UNCHANGED or "()" in target.ref or "." in target.ref:
        return Value({} if attr in UNCHANGED else UNKNOWN.labels, False, None, f"{target.ref}()"[:120])
    return UNKNOWN


def origin_of(node: ast.Call, receiver: Value) -> str:
    if receiver.derived:
        return receiver.derived
    return path_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""


def formatted(receiver: Value, values: list[Value], names: dict[str, Value]) -> Value:
    """`template.format(...)`."""
    made = concat([receiver, *values, *names.values()])
    text: str | None = None
    if receiver.text is not None:
        pieces = []
        depth = 0
        for letter in receiver.text.replace("{{", "").replace("}}", ""):
            depth += (letter == "{") - (letter == "}")
            pieces.append(HOLE if letter == "{" else "" if depth or letter == "}" else letter)
        text = "".join(pieces)
    return Value(made.labels, bool(made.labels), text)


def added(frame: Frame, node: ast.Call, receiver: Value, values: list[Value]) -> None:
    """A container was given more."""
    path = path_of(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    if path and (receiver.ref in ("[]", "{}") or any(it.labels for it in values)):
        labels = merged((receiver.labels, *(it.labels for it in values)))
        built = receiver.built or any(it.built for it in values)
        frame.env.set(path, Value(labels, built, None, receiver.ref or "[]"))


def looked_up(node: ast.Call, receiver: Value, values: list[Value]) -> Value:
    key = node.args[0]
    found = None
    if isinstance(key, ast.Constant) and receiver.fields:
        found = receiver.fields.get(str(key.value)[:60])
    out = found if found is not None else element(receiver)
    return join(out, values[1]) if len(values) > 1 else out


def parts_of(receiver: Value, attr: str) -> Value:
    """What `items`, `keys` and `values` give."""
    keys = CONSTANT if receiver.fields else Value(receiver.labels, receiver.built)
    if attr == "keys":
        return Value(keys.labels, keys.built, None, "[]")
    one = element(receiver)
    if attr == "values":
        return Value(one.labels, one.built, None, "[]", {"0": one})
    pair = Value(receiver.labels, receiver.built, None, "[]", {"0": keys, "1": one})
    return Value(receiver.labels, receiver.built, None, "[]", {"0": pair})


def matched(
    function: Function, bound: bool, receiver: Value, values: list[Value], names: dict[str, Value]
) -> dict[int, Value]:
    """Which parameter gets which value."""
    given: dict[int, Value] = {}
    place = 0
    if bound:
        given[0] = receiver
        place = 1
    rest: list[Value] = []
    for value in values:
        if place < function.positional:
            given[place] = value
            place += 1
        else:
            rest.append(value)
    if rest and function.rest:
        given[function.parameters.index(function.rest)] = collection(rest)
    for key, value in names.items():
        if key in function.parameters:
            given[function.parameters.index(key)] = value
        elif function.options:
            index = function.parameters.index(function.options)
            fields = {**(given[index].fields or {}), key: value} if index in given else {key: value}
            given[index] = collection(fields.values(), fields, "{}")
        elif key == "**":
            for index in range(place, len(function.parameters)):
                given.setdefault(index, value)
    return given


def apply(
    frame: Frame,
    node: ast.Call,
    function: Function,
    receiver: Value,
    bound: bool,
    values: list[Value],
    names: dict[str, Value],
) -> Value:
    """The call of a function of the project, by its summary."""
    analysis = frame.analysis
    summary = analysis.summary(function, frame)
    given = matched(function, bound, receiver, values, names)
    analysis.note_call(function, given)
    for index, hits in summary.sinks.items():
        value = given.get(index)
        if value is not None and value.labels:
            for hit in list(hits.values()):
                analysis.carried(frame, node, function, hit, value)
    for index, groups in summary.validates.items():
        place = index - 1 if bound else index
        if 0 <= place < len(node.args) and index in given and path_of(node.args[place]):
            frame.narrow([(path_of(node.args[place]), groups, node.args[place])])
    if summary.result is None:
        return CONSTANT
    return substituted(summary.result, function, given)


def substituted(result: Value, function: Function, given: dict[int, Value]) -> Value:
    """What a function gives, with what it was given for its parameters."""
    if not result.labels:
        return result
    parts: list[Labels] = []
    built = False
    only: Value | None = None
    for label, trace in result.labels.items():
        if label.kind == "param" and label.owner == function.key:
            value = given.get(label.index)
            if value is not None:
                only = value
                parts.append(through(value.labels, function.name, trace.safe - {"#number"}))
                built = built or value.built
        else:
            parts.append({label: Trace(trace.safe, trace.via)})
    labels = merged(parts)
    text = result.text
    if only is not None and not result.built and len(result.labels) == 1 and result.text is None:
        text = only.text
    return Value(labels, bool(labels) and (result.built or built), text, result.ref)


def constructed(frame: Frame, node: ast.Call, made: Class, values: list[Value], names: dict[str, Value]) -> Value:
    """An instance of a class of the project: its constructor runs, and what it is given is in it."""
    ref = f"{made.key}()"
    begin = frame.analysis.method(made, "__init__")
    if begin is not None:
        apply(frame, node, begin, named(ref), True, values, names)
        return named(ref)
    if frame.analysis.is_enum(made):
        return CONSTANT
    everything = [*values, *names.values()]
    return Value(merged(it.labels for it in everything), False, None, ref, names or None)


def passed_on(frame: Frame, node: ast.Call, ref: str, attr: str, values: list[Value], names: dict[str, Value]) -> None:
    """A function that was handed over to be called: it is called with what comes after it."""
    places = taint_functions.PASSERS.get(ref) or taint_functions.PASSERS.get(attr) if ref or attr else None
    if ref == "threading.Thread" or ref == "multiprocessing.Process":
        target, given = names.get("target"), names.get("args")
        arguments = list((given.fields or {}).values()) if given else []
    elif places and len(values) > places[0]:
        target, arguments = values[places[0]], values[places[1] :]
        if ref == "map":
            arguments = [element(it) for it in arguments]
    else:
        return
    if target is not None and target.ref:
        attr = target.ref.rpartition(".")[2]
        for function, bound in frame.analysis.functions(frame, target.ref, CONSTANT, attr):
            apply(frame, node, function, CONSTANT, bound, arguments, names if places else {})


Frame.handlers[ast.Call] = call
