"""Plans as messages become the text of a plan file, and go through the one way in that plan files go through.

So both have the same rules and the same faults; a fault's key is the path of the field, as far as the two have the
same names (`steps[3].run`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import plan_pb2 as pb
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from engine.rpc.status import BadFieldError
from engine.rpc.times import to_ms

_ON_FAILURE: Final = {
    pb.ON_FAILURE_ROLLBACK: "rollback",
    pb.ON_FAILURE_STOP: "stop",
    pb.ON_FAILURE_CONTINUE: "continue",
}


def requested_plan(request: service_pb.ExecutePlanRequest) -> Plan:
    """The plan that a request carries, checked. Blocking for as long as it takes to read.

    Raises:
      PlanError: it is not a plan that keeps every rule. BadFieldError: it carries none.
    """
    source = request.WhichOneof("source")
    if source is None:
        raise BadFieldError("plan", "give the plan, as messages or as plan_text")
    if source == "plan_text":
        return parse_plan(request.plan_text, "plan_text")
    return parse_plan(json.dumps(_plan(request.plan)), "plan.json")


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said."""
    return {key: value for key, value in data.items() if value is not None and value not in ("", [], {})}


def _plan(plan: pb.Plan) -> dict[str, Any]:
    return {
        "version": 1,
        **_given(
            {
                "name": plan.name,
                "environment": _given({"image": plan.environment.image or None, "setup": list(plan.environment.setup)}),
                "sandbox": _sandbox(plan.sandbox),
                "env": dict(plan.env),
                "secrets": list(plan.secrets),
                "retry": _retry(plan.retry) if plan.HasField("retry") else None,
                "on_failure": _on_failure(plan.on_failure),
                "rollback_to": plan.rollback_to,
                "checks": list(plan.checks),
                "findings": _findings(plan.findings),
            }
        ),
        "steps": [_step(step) for step in plan.steps],
    }


def _on_failure(value: int) -> str | None:
    # A value that this version has no word for is refused by the plan's own rules.
    return None if value == pb.ON_FAILURE_UNSPECIFIED else _ON_FAILURE.get(value, f"value {value}")  # type: ignore[call-overload]


def _optional(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _span(message: Any, field: str) -> str | None:
    return f"{to_ms(getattr(message, field)):f}ms" if message.HasField(field) else None


def _sandbox(settings: pb.SandboxSettings) -> dict[str, Any]:
    return _given(
        {
            "network": _optional(settings, "network"),
            "memory": _optional(settings, "memory_limit_bytes"),
            "cpus": _optional(settings, "cpus"),
            "pids": _optional(settings, "pids_limit"),
            "disk": _optional(settings, "disk_limit_bytes"),
            "timeout": _span(settings, "timeout"),
            "output": _optional(settings, "output_limit_bytes"),
            "runtime": _optional(settings, "runtime"),
            "hide": list(settings.hide),
        }
    )


def _findings(policy: pb.FindingPolicy) -> dict[str, Any]:
    ignore = [_given({"rules": list(entry.rules), "paths": list(entry.paths)}) for entry in policy.ignore]
    return _given(
        {"fail_on": _optional(policy, "fail_on"), "new_only": _optional(policy, "new_only"), "ignore": ignore}
    )


def _retry(settings: pb.RetrySettings) -> dict[str, Any]:
    return {
        key: value
        for key, value in {
            "attempts": _optional(settings, "attempts"),
            "initial": _span(settings, "initial"),
            "factor": _optional(settings, "factor"),
            "max": _span(settings, "max"),
            "jitter": _span(settings, "jitter"),
        }.items()
        if value is not None
    }


def _step(step: pb.Step) -> dict[str, Any]:
    action = step.WhichOneof("action")
    data = _given(
        {
            "id": step.id,
            "name": step.name,
            "needs": list(step.needs),
            "env": dict(step.env),
            "sandbox": _sandbox(step.sandbox),
            "on_failure": _on_failure(step.on_failure),
            "rollback_to": step.rollback_to,
            "flaky": step.flaky or None,
            "findings": _findings(step.findings),
        }
    )
    if step.HasField("retry"):
        data["retry"] = _retry(step.retry)
    if step.HasField("checks"):
        data["checks"] = list(step.checks.names)
    if action is not None:
        data |= {"type": action, **_ACTIONS[action](getattr(step, action))}
    return data


def _file_create(create: pb.FileCreate) -> dict[str, Any]:
    mode = f"{create.mode:04o}" if create.HasField("mode") else None
    return {"path": create.path, "content": create.content} | _given(
        {"mode": mode, "overwrite": create.overwrite or None}
    )


def _file_edit(edit: pb.FileEdit) -> dict[str, Any]:
    data: dict[str, Any] = {"path": edit.path}
    match edit.WhichOneof("edit"):
        case "replace":
            data["replace"] = {"search": edit.replace.search, "with": edit.replace.replacement}
            if edit.replace.all:
                data["replace"]["all"] = True
        case "insert":
            place = edit.insert.WhichOneof("place")
            at = {} if place is None else {place: getattr(edit.insert, place)}
            data["insert"] = {**at, "text": edit.insert.text}
        case "patch":
            data["patch"] = edit.patch
        case "content":
            data["content"] = edit.content
    return data


def _run(line: pb.CommandLine) -> str | list[str]:
    return line.shell or list(line.argv) or ""


def _command(command: pb.Command) -> dict[str, Any]:
    return {"run": _run(command.run)} | _given({"cwd": command.cwd, "stdin": command.stdin})


def _test(test: pb.Test) -> dict[str, Any]:
    return {"run": _run(test.run)} | _given({"cwd": test.cwd, "stdin": test.stdin, "junit": test.junit})


_ACTIONS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = MappingProxyType(
    {
        "file_create": _file_create,
        "file_edit": _file_edit,
        "file_delete": lambda delete: {"path": delete.path} | _given({"recursive": delete.recursive or None}),
        "command": _command,
        "validation": lambda validation: (
            {"checks": list(validation.checks)}
            | _given({"paths": list(validation.paths), "changed": validation.changed or None})
        ),
        "test": _test,
    }
)
