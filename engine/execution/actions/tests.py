"""`test` steps: a test command in a fresh sandbox, and its JUnit report read back.

What the tests leave in the workspace (caches, coverage, the report) is thrown away: a test step observes; to
keep what a test run writes, use a `command` step. pytest is told by `PYTEST_ADDOPTS` to write the report; for
other runners the step's `junit` names the file they write. The report is untrusted: the exit code decides,
and a report that says otherwise is noted.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from typing import Any

from engine.execution.actions.command import exec_request
from engine.execution.attempt import ActionResult, AttemptContext
from engine.plan.model import TestStep
from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.spec import WORKSPACE
from sandbox.workspace.beneath import opened, read_regular
from sandbox.workspace.layer import LayerKey
from sandbox.workspace.store import LayerStore


async def run_tests(context: AttemptContext) -> ActionResult:
    """Run them; the result says which failed."""
    step = context.step
    assert isinstance(step, TestStep)
    report = step.junit or f".sandstone-junit-{secrets.token_hex(8)}.xml"
    extra: dict[str, str] = {}
    if step.junit is None:
        given = context.settings.env.get("PYTEST_ADDOPTS", "")
        extra["PYTEST_ADDOPTS"] = f"{given} -p no:cacheprovider --junitxml={WORKSPACE}/{report}".strip()
    ended = await context.run(exec_request(context, step, extra), context.on_output)
    tests, problems = await context.blocking(
        read_junit, context.store, context.key, os.fsencode(report), step.junit is not None
    )
    if ended.ok and tests is not None and (tests["failures"] or tests["errors"]):
        tests = {**tests, "note": "the command ended with 0 although its report has failures"}
    result = ActionResult(exec=ended, keep_layer=False, tests=tests)
    return replace(result, problems=problems) if ended.ok else result


def read_junit(
    store: LayerStore, key: LayerKey, path: bytes, required: bool
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Blocking. The report's totals and failed cases, None when there is none; problems when it was promised."""
    from engine.validation.junit import MAX_REPORT_BYTES, JUnitError, read_report

    try:
        with opened(store.upper(key)) as upper:
            data = read_regular(upper, path, MAX_REPORT_BYTES)
        return read_report(data), ()
    except FileNotFoundError:
        return None, (f"the test command wrote no JUnit report at {os.fsdecode(path)}",) if required else ()
    except (PathRefusedError, TreeRefusedError, JUnitError) as error:
        return None, (f"the JUnit report cannot be read: {error}",) if required else ()
