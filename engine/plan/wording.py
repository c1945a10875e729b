"""What pydantic found, in words for people who write plans, and where in the file it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.errors import Fault
from engine.plan.leaves import REFUSED
from engine.plan.model import PlanHeader
from engine.plan.refusal import did_you_mean, listed, shown
from engine.plan.source import Bare, Loc, Node, describe, locate
from engine.plan.steps import STEP_MODELS

_SYNONYMS: Final[Mapping[str, str]] = {
    "command": "run",
    "cmd": "run",
    "script": "run",
    "shell": "run",
    "args": "run",
    "depends_on": "needs",
    "depends": "needs",
    "after": "needs",
    "file": "path",
    "filename": "path",
    "target": "path",
    "text": "content",
    "contents": "content",
    "body": "content",
    "permissions": "mode",
    "force": "overwrite",
    "working_dir": "cwd",
    "working_directory": "cwd",
    "workdir": "cwd",
    "dir": "cwd",
    "input": "stdin",
    "environment": "env",
    "vars": "env",
    "variables": "env",
    "diff": "patch",
    "find": "search",
    "old": "search",
    "new": "with",
    "replacement": "with",
    "with_": "with",
    "retries": "retry",
    "backoff": "factor",
    "title": "name",
    "description": "name",
    "kind": "type",
    "mem": "memory",
    "cpu": "cpus",
    "tasks": "steps",
    "jobs": "steps",
    "limits": "sandbox",
}
"""What other tools call a key: offered when the key is known where it was written."""


def fault_at(
    file: str, root: Node, loc: Sequence[str | int], message: str, hint: str = "", *, at_key: bool = False
) -> Fault:
    """A fault at the place of `loc` in the tree `root`."""
    place = locate(root, loc, at_key=at_key)
    return Fault(file, place.position.line, place.position.column, place.key, message, hint)


def faults_of(file: str, root: Node, prefix: Loc, model: type[BaseModel], error: ValidationError) -> Iterator[Fault]:
    """The faults of a failed validation of `model` over what stands at `prefix` in `root`."""
    for details in error.errors(include_url=False):
        loc = _clean(details["loc"])
        message, hint = _words(model, loc, details)
        at_key = details["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
        found = loc[:-1] if loc[-1:] == ("[key]",) else loc
        yield fault_at(file, root, (*prefix, *found), message, hint, at_key=at_key)


def _clean(loc: Loc) -> Loc:
    """`loc` without what pydantic adds for the two forms of `run`."""
    return tuple(
        part for index, part in enumerate(loc) if not (index and loc[index - 1] == "run" and part in ("text", "argv"))
    )


def _words(model: type[BaseModel], loc: Loc, details: ErrorDetails) -> tuple[str, str]:
    context: dict[str, Any] = details.get("ctx", {})
    found = details["input"]
    match details["type"]:
        case str() as kind if kind == REFUSED:
            return context["message"], context["hint"]
        case "missing":
            return "the key is missing", _described(model, loc)
        case "extra_forbidden":
            return "unknown key", unknown_key_hint(model, loc)
        case "tuple_type":
            return f"expected a list, found {describe(found)}", _list_hint(found)
        case "model_type" | "dict_type" | "mapping_type" | "model_attributes_type":
            return f"expected a mapping (key: value), found {describe(found)}", ""
        case "too_long":
            return f"the list is too long: it may have {context['max_length']} items", ""
        case "too_short":
            return "the list is empty", _described(model, loc)
        case _:
            return details["msg"], ""


def _list_hint(found: object) -> str:
    text = found.text if isinstance(found, Bare) else found
    return f"write [{text}]" if isinstance(text, str) and 0 < len(text) <= 40 and text.isprintable() else ""


def _described(model: type[BaseModel], loc: Loc) -> str:
    """The key's description as a hint."""
    around = _model_at(model, loc[:-1])
    field = next((f for n, f in around.model_fields.items() if (f.alias or n) == loc[-1]), None) if around else None
    return f"{loc[-1]}: {field.description.rstrip('.')}" if field and field.description else ""


def unknown_key_hint(model: type[BaseModel], loc: Loc) -> str:
    """What was meant by a key that is not known: a near one, what other tools call it, or where it belongs."""
    key, around = str(loc[-1]), _model_at(model, loc[:-1])
    if around is None:
        return ""
    known = keys_of(around)
    if _SYNONYMS.get(key) in known:
        return f"did you mean {_SYNONYMS[key]}?"
    near = did_you_mean(key, known)
    if near:
        return near
    owners = [kind for kind, step in STEP_MODELS.items() if key in keys_of(step)]
    if around in STEP_MODELS.values() and owners:
        return f"it belongs to {listed(owners)} steps"
    if around is PlanHeader and key == "image":
        return "write it under environment"
    if around is PlanHeader and owners:
        return (
            "it belongs to a step"
            if key not in keys_of(PlanHeader.model_fields["sandbox"].default)
            else ("write it under sandbox")
        )
    return f"known keys: {', '.join(known)}" if len(known) <= 12 else ""


def keys_of(model: type[BaseModel] | BaseModel) -> list[str]:
    """The keys that a model takes, as a file writes them."""
    kind = model if isinstance(model, type) else type(model)
    keys = [field.alias or name for name, field in kind.model_fields.items()]
    return [*keys, "steps"] if kind is PlanHeader else keys


def _model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel] | None:
    """The model of the mapping at `loc`, None when it is not one of ours (an environment)."""
    current: type[BaseModel] | None = model
    for part in loc:
        if current is None or isinstance(part, int):
            continue
        field = next((f for n, f in current.model_fields.items() if (f.alias or n) == part), None)
        current = _first_model(field.annotation) if field is not None else None
    return current


def _first_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _first_model(part)) is not None), None)


def unknown_type(name: str) -> tuple[str, str]:
    """Message and hint for a step type that there is not."""
    return f"no step type is called {shown(name)}", did_you_mean(
        name, STEP_MODELS
    ) or f"there are {', '.join(STEP_MODELS)}"
