"""The command as people start it: help, version, and a whole run of a plan with one step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import DISK, IMAGE, Figures, call, command_step, make_project, scratch, summary, timed

_PROGRAM = Path(sys.executable).with_name("sandstone")


async def measure(quick: bool) -> Figures:
    rounds = 5 if quick else 15
    with scratch() as place:
        project = make_project(place / "project", 100)
        plan = place / "plan.json"
        steps = [command_step("only", "true")]
        plan.write_text(json.dumps({"version": 1, "sandbox": {"disk": DISK}, "steps": steps}))
        edit = place / "edit.json"
        steps = [{"id": "only", "type": "file_create", "path": "new.txt", "content": "new\n"}]
        edit.write_text(json.dumps({"version": 1, "sandbox": {"disk": DISK}, "steps": steps}))
        environment = os.environ | {"SANDSTONE_HOME": str(place / "home")}
        commands: dict[str, list[str | Path]] = {
            "sandstone --help": [_PROGRAM, "--help"],
            "sandstone version": [_PROGRAM, "version"],
            "sandstone run, one command": [_PROGRAM, "run", plan, "-w", project, "--quiet"],
            "sandstone run, one edit": [_PROGRAM, "run", edit, "-w", project, "--quiet"],
            "docker run --rm IMAGE true": ["docker", "run", "--rm", IMAGE, "true"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for index in range(rounds + 1):
            for name, command in commands.items():
                taken = timed(partial(_run, command, environment))
                if index:
                    times[name].append(taken)
    return {name: summary(values) for name, values in times.items()}


def _run(command: Sequence[str | Path], environment: dict[str, str]) -> None:
    call(*command, env=environment, stdin=subprocess.DEVNULL)
