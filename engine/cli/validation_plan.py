"""The plans that `sandstone validate` runs, made of its arguments. Pure but for a look at what names there are."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.cli.escape import one_line
from engine.cli.exits import UsageError
from engine.cli.parser import did_you_mean
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from engine.plan.rules import AVAILABLE_CHECKS

STEP: Final = "validate"
FIX_STEP: Final = "fix"

_FIX: Final = """\
PATH=$PATH:/opt/tools/bin
tr '\\n' '\\000' >/tmp/named
python=$(grep -z '\\.pyi\\{0,1\\}$' </tmp/named | wc -c)
[ "$python" -eq 0 ] || grep -z '\\.pyi\\{0,1\\}$' </tmp/named |
  xargs -0 ruff check --fix-only --no-cache --quiet $1 || exit 1
[ "$python" -eq "$(wc -c </tmp/named)" ] || grep -z -v '\\.pyi\\{0,1\\}$' </tmp/named |
  xargs -0 sh -c 'oxlint $0 "$@" >/dev/null; [ $? -le 1 ]' $2
"""
"""Lets the linters mend what they know how to, in the files on stdin; $1 and $2 are their words for how far to go."""


def selection_of(arguments: Namespace) -> dict[str, Any]:
    """What to look at, as keys of a validation step: what is named, else what differs, else (`--all`) everything.

    Raises:
      UsageError: a path is not below the workspace, or not there.
    """
    named = [_below(arguments.workspace, path) for path in arguments.paths]
    if "." in named:
        return {}
    if named:
        return {"paths": list(dict.fromkeys(named))}
    return {} if arguments.all else {"changed": True}


def checking_plan(arguments: Namespace, selection: Mapping[str, Any]) -> Plan:
    """The plan with one step, which checks.

    Raises:
      UsageError: there is no such check. PlanError: a path is no path of a plan, the time is no time.
    """
    return _plan(arguments, [_checking(arguments, selection)])


def fixing_plan(arguments: Namespace, selection: Mapping[str, Any], files: Sequence[str]) -> Plan:
    """The plan with two steps: the first mends `files`, the second checks what is left to do.

    What was mended stays when the second step fails.
    """
    unsafe = arguments.unsafe_fixes
    words = ["--unsafe-fixes" if unsafe else "--no-unsafe-fixes", "--fix-suggestions" if unsafe else "--fix"]
    fix = {
        "id": FIX_STEP,
        "type": "command",
        "run": ["/bin/sh", "-c", _FIX, "fix", *words],
        "stdin": "".join(f"./{file}\n" for file in files),
    }
    return _plan(arguments, [fix, _checking(arguments, selection)], on_failure="stop")


def _checking(arguments: Namespace, selection: Mapping[str, Any]) -> dict[str, Any]:
    for name in arguments.checks:
        if name not in AVAILABLE_CHECKS:
            hint = did_you_mean(name, AVAILABLE_CHECKS) or f"there are {', '.join(AVAILABLE_CHECKS)}"
            raise UsageError(f"no check is called {one_line(name)!r}", hint)
    findings = {"findings": {"fail_on": arguments.fail_on}} if arguments.fail_on else {}
    return {"id": STEP, "type": "validation", "checks": arguments.checks, **selection, **findings}


def _plan(arguments: Namespace, steps: list[dict[str, Any]], **more: Any) -> Plan:
    plan = {"version": 1, "name": "validate", "sandbox": {"timeout": arguments.timeout}, **more, "steps": steps}
    return parse_plan(json.dumps(plan), "the command line")


def _below(workspace: Path, path: str) -> str:
    """`path` (from the current directory) relative to the workspace."""
    try:
        inside = os.path.relpath(os.path.abspath(path), workspace.absolute())
    except ValueError as error:
        raise UsageError(f"{one_line(path)!r} is no path") from error
    if inside == ".." or inside.startswith("../"):
        below = one_line(os.fspath(workspace.absolute()))
        raise UsageError(f"{one_line(path)} is not below {below}", "name the directory with --workspace")
    if not os.path.lexists(path):
        raise UsageError(f"{one_line(path)} does not exist")
    return inside
