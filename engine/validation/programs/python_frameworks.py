"""Forms without a token against forged requests: views of Flask and Django, and settings that take the token away."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from engine.validation.programs.taint_harms import Harm
from engine.validation.programs.taint_modules import Module, Project, dotted

CHANGING = frozenset(("POST", "PUT", "PATCH", "DELETE"))
SIGNED = re.compile(
    r"(?i)hmac|signature|construct_event|verify_webhook|webhook_secret|HTTP_AUTHORIZATION|Authorization|bearer|api_?key|"
    r"X-Hub|compare_digest|validate_token|check_token|jwt"
)
CSRF = "csrf"
TESTS = re.compile(r"(?:^|/)(?:tests?|testing|conftest)(?:[/_.]|$)|(?:^|/)test_|_test\.py$")


def framework_faults(module: Module, analysis: Any, fault: Callable[..., Harm]) -> Iterator[Harm]:
    if TESTS.search(module.shown):
        return
    if module.imports & {"django", "rest_framework"}:
        yield from exempt_views(module, fault)
    yield from settings(module, fault)
    if "flask" in module.imports and not protected(analysis.project):
        yield from unprotected_views(module, fault)


def exempt_views(module: Module, fault: Callable[..., Harm]) -> Iterator[Harm]:
    """Views of Django that ask for no token, and whose body does not look at a signature either."""
    for node in ast.walk(module.tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        names = [dotted(it.func if isinstance(it, ast.Call) else it) for it in node.decorator_list]
        if any(it in ("require_GET", "require_safe") for it in names) or words_match(node):
            continue
        for decorator, name in zip(node.decorator_list, names):
            if name.endswith("csrf_exempt") or (
                name.endswith("method_decorator") and "csrf_exempt" in ast.dump(decorator)
            ):
                yield fault(module, decorator, CSRF, f"{node.name} asks for no token: other sites can send it forms")


def words_match(node: ast.AST) -> bool:
    """Something in it is about signatures, keys or tokens of a caller."""
    for part in ast.walk(node):
        for word in (getattr(part, "id", ""), getattr(part, "attr", ""), getattr(part, "value", "")):
            if isinstance(word, str) and SIGNED.search(word):
                return True
    return False


def settings(module: Module, fault: Callable[..., Harm]) -> Iterator[Harm]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from setting(module, node, target, fault)
        elif isinstance(node, ast.Call):
            for it in node.keywords:
                if it.arg in ("WTF_CSRF_ENABLED", "csrf_enabled") and getattr(it.value, "value", None) is False:
                    yield fault(module, node, CSRF, f"{it.arg}=False: forms ask for no token")


def setting(module: Module, node: ast.Assign, target: ast.expr, fault: Callable[..., Harm]) -> Iterator[Harm]:
    name = target.id if isinstance(target, ast.Name) else ""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        name = str(target.slice.value)
    value = node.value
    if name in ("WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT") and getattr(value, "value", None) is False:
        if name == "WTF_CSRF_ENABLED" and not in_test_class(module, node):
            yield fault(module, node, CSRF, f"{name} is off: forms ask for no token")
    elif name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES") and isinstance(value, (ast.List, ast.Tuple)):
        words = [str(it.value) for it in value.elts if isinstance(it, ast.Constant)]
        sessions = any("SessionMiddleware" in it or "AuthenticationMiddleware" in it for it in words)
        if sessions and not any("csrf" in it.lower() for it in words):
            yield fault(module, node, CSRF, f"{name} has no CsrfViewMiddleware: forms ask for no token")


def in_test_class(module: Module, node: ast.Assign) -> bool:
    """It is in a class of settings for tests."""
    for made in ast.walk(module.tree):
        if isinstance(made, ast.ClassDef) and re.search(r"(?i)test", made.name):  # noqa: SIM102
            if made.lineno <= node.lineno <= (made.end_lineno or made.lineno):
                return True
    return False


def protected(project: Project) -> bool:
    """Some file of the project turns protection on for all of it."""
    known = getattr(project, "protected", None)
    if known is None:
        known = any(
            isinstance(node, ast.Name) and node.id in ("CSRFProtect", "CsrfProtect", "SeaSurf")
            for module in project.modules.values()
            if module.imports & {"flask_wtf", "flask_seasurf"}
            for node in ast.walk(module.tree)
        )
        project.protected = known  # type: ignore[attr-defined]
    return bool(known)


def unprotected_views(module: Module, fault: Callable[..., Harm]) -> Iterator[Harm]:
    """Views of Flask that change something by a form."""
    for node in ast.walk(module.tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and methods_of(decorator) & CHANGING:  # noqa: SIM102
                if uses_form(node) and not words_match(node):
                    message = f"{node.name} takes a form and nothing asks for a token: use CSRFProtect"
                    yield fault(module, decorator, CSRF, message, "warning")


def methods_of(call: ast.Call) -> set[str]:
    attr = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if attr in ("post", "put", "patch", "delete"):
        return {attr.upper()}
    found: set[str] = set()
    for it in call.keywords:
        if it.arg == "methods" and attr == "route":
            found.update(str(part.value).upper() for part in ast.walk(it.value) if isinstance(part, ast.Constant))
    return found


def uses_form(node: ast.AST) -> bool:
    """It reads `request.form`, without a form of flask_wtf and without looking at a token itself."""
    words: list[str] = []
    constants: dict[str, None] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute):
            words.append(dotted(part))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            constants[part.value] = None
    checked = any("csrf" in it.lower() for it in [*words, *constants]) or "form.validate_on_submit" in words
    return "request.form" in words and not checked
