"""What the parameters of a function are when it is called by a framework, and what they are otherwise.

Views are known by the decorator of their route (Flask, Bottle, FastAPI, ...), by the class they are methods of (Django,
tornado, Flask), by a first parameter called `request` in a project that uses Django, or by `(event, context)`. What the
path or the annotation turns into a number, a date or an enumeration is harmless.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from engine.validation.programs import taint_rules as rules
from engine.validation.programs.taint_frame import Frame
from engine.validation.programs.taint_modules import Function, Module, dotted
from engine.validation.programs.taint_values import NUMBER, UNKNOWN, Label, Trace, Value, named, origin

PLACEHOLDER = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>|\{(\w+)(?::(\w+))?\}|\(\?P<(\w+)>(\\d|\[0-9\])?")
WRAPPERS = frozenset(
    [
        "Optional",
        "Union",
        "List",
        "Sequence",
        "Set",
        "Tuple",
        "Iterable",
        "Annotated",
        "None",
        "Final",
        "ClassVar",
        "list",
        "set",
        "tuple",
    ]
)
GIVEN_BY_FRAMEWORK = frozenset(["Depends", "Security", "Inject", "Provide", "inject"])
NAMES_OF_KEYS = re.compile(r"(?:^|_)(?:id|pk|uuid|year|month|day|page|num|count)$")
RESPONSES = frozenset(("Response", "BackgroundTasks", "WebSocket", "HttpResponse", "SecurityScopes"))

WEB = frozenset(
    [
        "flask",
        "flask_restful",
        "flask_restx",
        "django",
        "rest_framework",
        "tornado",
        "starlette",
        "falcon",
        "sanic",
        "quart",
    ]
)
"""Packages one of which a file with classes of views imports."""


def enter(frame: Frame, function: Function) -> None:
    """Give the parameters of `function` their first values."""
    kind, path = view_of(frame, function)
    frame.view = kind
    placeholders = placeholders_of(path)
    defaults = defaults_of(function)
    first = function.parameters[0] if function.parameters else ""
    bound = function.owner is not None and function.bound
    for index, name in enumerate(function.parameters):
        if index == 0 and bound and first in ("self", "cls", "mcs", "klass"):
            value = named(f"{function.owner.key}()" if function.owner else "")
        elif name in (function.rest, function.options):
            label = function.label(index)
            kept = Value({label: Trace()}, False, None, "[]" if name == function.rest else "{}")
            value = source(frame, function, name) if kind == "django" and name == function.options else kept
        else:
            argument = function.arguments[index]
            value = parameter(frame, function, index, argument, defaults.get(name), kind, placeholders)
        frame.env.set(name, value)


def parameter(
    frame: Frame,
    function: Function,
    index: int,
    argument: ast.arg,
    default: ast.expr | None,
    kind: str,
    placeholders: dict[str, bool],
) -> Value:
    name, annotation = argument.arg, argument.annotation
    types = types_in(annotation)
    if types & rules.REQUEST_TYPES or (name in rules.REQUEST_NAMES and not types - rules.REQUEST_TYPES - {"Any"}):
        return named("@request")
    given = dependency(frame, annotation, default)
    if given is not None:
        return given
    numeric = bool(types) and all(it in rules.SAFE_TYPES or enumeration(frame, it) for it in types)
    if from_outside(function, index, name, kind, placeholders, types, default):
        if numeric or placeholders.get(name):
            return named("")
        return source(frame, function, name, model_of(frame, types))
    if kind and name in placeholders:
        return named("")
    label = function.label(index)
    ref = type_ref(frame, annotation)
    if ref and "." in ref and ":" not in ref:
        return named(ref)
    return origin(label, ref, frozenset((NUMBER,)) if numeric else frozenset())


def from_outside(
    function: Function,
    index: int,
    name: str,
    kind: str,
    placeholders: dict[str, bool],
    types: set[str],
    default: ast.expr | None,
) -> bool:
    """The framework gives the parameter what a request says."""
    if kind in ("flask", "fastapi") and name in placeholders:
        return True
    if kind == "fastapi":
        return not types & RESPONSES
    if kind == "lambda":
        return index == 0
    if kind in ("django", "tornado", "method"):
        if name in placeholders:
            return True
        return index > 0 and not NAMES_OF_KEYS.search(name) and default is None
    return False


def source(frame: Frame, function: Function, name: str, ref: str = "") -> Value:
    line = getattr(function.node, "lineno", 1)
    label = Label("source", f"{name} of {function.name}()", frame.module.shown, line)
    return origin(label, ref)


def view_of(frame: Frame, function: Function) -> tuple[str, str]:
    """(what kind of view it is or "", its path)."""
    node: Any = function.node
    imports = frame.module.imports
    for decorator in getattr(node, "decorator_list", ()):
        call = decorator if isinstance(decorator, ast.Call) else None
        name = dotted(call.func if call else decorator)
        if call and name.rpartition(".")[2] in rules.ROUTES and (call.args or call.keywords) and name not in ("patch",):
            path = path_argument(call)
            if path is not None and not name.startswith(("mock.", "responses.", "requests_mock.")):
                fast = imports & {"fastapi", "starlette", "litestar"} or "{" in path
                return ("fastapi" if fast else "flask"), path
        if name in ("api_view", "csrf_exempt", "login_required", "require_POST", "require_http_methods", "require_GET"):  # noqa: SIM102
            if "flask" not in imports and "flask_login" not in imports:
                return "django", frame.analysis.routes.get(function.name, "")
    names = function.parameters
    if names[:2] == ["event", "context"] and isinstance(node, ast.FunctionDef) and function.owner is None:
        return "lambda", ""
    if function.owner is not None:
        return of_class(frame, function)
    if names and names[0] == "request" and not function.name.startswith("_") and isinstance(node, ast.FunctionDef):
        routes = frame.analysis.routes
        if "django" in imports and (function.name in routes or not routes):
            return "django", routes.get(function.name, "")
    return "", ""


def of_class(frame: Frame, function: Function) -> tuple[str, str]:
    owner = function.owner
    bases = [base.rpartition(".")[2] for base in owner.bases] if owner else []
    if function.name not in rules.VIEW_METHODS or not any(base.endswith(rules.VIEW_CLASSES) for base in bases):
        return "", ""
    if not frame.module.imports & WEB:
        return "", ""
    path = frame.analysis.routes.get(owner.name if owner else "", "")
    if any(base.endswith("Handler") for base in bases):
        return "tornado", path
    if "MethodView" in bases:
        return "flask" if path else "method", path
    return "django" if frame.module.imports & {"django", "rest_framework"} else "method", path


def path_argument(call: ast.Call) -> str | None:
    node: ast.expr | None = call.args[0] if call.args else None
    for keyword in call.keywords:
        if keyword.arg in ("path", "rule", "uri"):
            node = keyword.value
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, (ast.JoinedStr, ast.BinOp, ast.Name, ast.Attribute)):
        return "".join(str(it.value) for it in ast.walk(node) if isinstance(it, ast.Constant))
    return "" if not call.args else None


def placeholders_of(path: str) -> dict[str, bool]:
    """The names in the path of a route, and whether it takes nothing but numbers for them."""
    found: dict[str, bool] = {}
    for match in PLACEHOLDER.finditer(path):
        converter, name, braced, after, group, digits = match.groups()
        found[name or braced or group] = bool(digits) or (converter or after or "") in rules.SAFE_CONVERTERS
    return found


def routes_in(module: Module) -> dict[str, str]:
    """The paths that an URL configuration gives to views, by the view's name."""
    found: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and len(node.args) > 1 and dotted(node.func) in ("path", "re_path", "url"):
            target = node.args[1]
            if isinstance(target, ast.Call):
                inner = target.func
                target = inner.value if isinstance(inner, ast.Attribute) and inner.attr == "as_view" else target
            name = dotted(target).rpartition(".")[2]
            pattern = node.args[0]
            if name and isinstance(pattern, ast.Constant) and isinstance(pattern.value, str):
                found[name] = found.get(name, "") + pattern.value
    return found


def defaults_of(function: Function) -> dict[str, ast.expr]:
    arguments = function.node.args
    found: dict[str, ast.expr] = {}
    names = function.parameters[: function.positional]
    for name, default in zip(reversed(names), reversed(arguments.defaults)):
        found[name] = default
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults):
        if value is not None:
            found[argument.arg] = value
    return found


def types_in(annotation: ast.expr | None) -> set[str]:
    """The types that an annotation names, without what only wraps them."""
    found: set[str] = set()
    todo: list[Any] = [annotation] if annotation is not None else []
    while todo and len(found) < 20:
        node = todo.pop()
        if isinstance(node, (ast.Name, ast.Attribute)):
            found.add(dotted(node).rpartition(".")[2])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(re.findall(r"[A-Za-z_]\w*", node.value[:100]))
        elif isinstance(node, ast.Subscript):
            name = dotted(node.value).rpartition(".")[2]
            found.add(name)
            inner = getattr(node.slice, "value", node.slice) if type(node.slice).__name__ == "Index" else node.slice
            if name == "Annotated" and isinstance(inner, ast.Tuple):
                inner = inner.elts[0]
            if name != "Literal":
                todo.append(inner)
        elif isinstance(node, ast.Tuple):
            todo.extend(node.elts)
        elif isinstance(node, ast.BinOp):
            todo.extend((node.left, node.right))
    return found - WRAPPERS


def dependency(frame: Frame, annotation: ast.expr | None, default: ast.expr | None) -> Value | None:
    """What a framework makes for the parameter by calling a function; None when it does not."""
    calls = [default, *(ast.walk(annotation) if isinstance(annotation, ast.Subscript) else ())]
    for node in calls:
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in GIVEN_BY_FRAMEWORK:
            if not node.args:
                return UNKNOWN
            ref = frame.evaluate(node.args[0]).ref
            for function, _ in frame.analysis.functions(frame, ref, UNKNOWN, ""):
                result = frame.analysis.summary(function, frame).result
                if result is not None:
                    labels = {it: trace for it, trace in result.labels.items() if it.kind == "source"}
                    return Value(labels, False, None, result.ref)
            return named(f"{ref}()" if ref else "")
    return None


def enumeration(frame: Frame, name: str) -> bool:
    value = frame.env.get(name)
    made = frame.analysis.project.class_of(value.ref) if value is not None and ":" in value.ref else None
    return made is not None and bool(frame.analysis.is_enum(made))


def model_of(frame: Frame, types: set[str]) -> str:
    for name in types:
        value = frame.env.get(name)
        if value is not None and ":" in value.ref:
            return f"{value.ref}()"
    return ""


def type_ref(frame: Frame, annotation: ast.expr | None) -> str:
    """What an instance of the annotated type is called."""
    if not isinstance(annotation, (ast.Name, ast.Attribute)):
        return ""
    ref = frame.evaluate(annotation).ref
    return f"{ref}()" if ref and ("." in ref or ":" in ref) and not ref.startswith("typing") else ""
