"""One step through the engine with a container waiting, beside `docker run` and bubblewrap around the same command."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from functools import partial
from pathlib import Path

from benchmarks.common import (
    IMAGE,
    Figures,
    TimedSteps,
    application_in,
    call,
    command_step,
    make_project,
    plan_of,
    pool_ready,
    run_plan,
    scratch,
    summary,
    timed,
)
from engine.execution.run import Run
from sandbox.docker.policy import HOME
from sandbox.docker.seccomp import profile_text
from sandbox.spec import SANDBOX_UID

_WARM = 2
VARIANTS = {"changes nothing": "true", "writes a file": "echo x > written-{n}"}


_DOCKER_FLAGS = """
--rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges --memory 1g --memory-swap 1g --cpus 1
--pids-limit 260 --ipc private --log-driver none --ulimit nofile=4096:16384 --workdir /workspace
--tmpfs /tmp:rw,exec,size=256m --tmpfs /run:rw,size=1m
"""
_BWRAP_FLAGS = """
--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --unshare-all
--die-with-parent --cap-drop ALL --proc /proc --dev /dev --tmpfs /tmp --chdir /workspace
"""


def docker_run(project: Path, seccomp: Path, shell: str) -> list[str]:
    """The peer: one container for one command, with the flags that our own containers have."""
    own = ["--security-opt", f"seccomp={seccomp}", "--tmpfs", f"{HOME}:rw,size=64m"]
    own += ["--volume", f"{project}:/workspace", "--user", f"{SANDBOX_UID}:{SANDBOX_UID}"]
    return ["docker", "run", *shlex.split(_DOCKER_FLAGS), *own, IMAGE, "/bin/sh", "-c", shell]


def bubblewrap(project: Path, shell: str) -> list[str]:
    """The floor: namespaces alone, without limits, layers or another root file system."""
    return ["bwrap", *shlex.split(_BWRAP_FLAGS), "--bind", str(project), "/workspace", "/bin/sh", "-c", shell]


async def measure(quick: bool) -> Figures:
    rounds = 15 if quick else 40
    names = list(VARIANTS)
    plan = plan_of([command_step(f"s{i}", VARIANTS[names[i % 2]].format(n=i)) for i in range(_WARM + 2 * rounds)])
    with scratch() as place:
        project = make_project(place / "project", 100)
        docker_project, bwrap_project = place / "docker", place / "bwrap"
        for copy in (docker_project, bwrap_project):
            shutil.copytree(project, copy)
            copy.chmod(0o777)
        seccomp = place / "seccomp.json"
        seccomp.write_text(profile_text())
        peers: dict[str, dict[str, list[float]]] = {name: {"docker": [], "bwrap": []} for name in names}
        async with application_in(place) as application:

            async def before(run: Run, index: int) -> None:
                shell = VARIANTS[names[index % 2]].format(n=index)
                commands = {
                    "docker": docker_run(docker_project, seccomp, shell),
                    "bwrap": bubblewrap(bwrap_project, shell),
                }
                for peer_name, command in commands.items():
                    taken = await asyncio.to_thread(timed, partial(call, *command))
                    if index >= _WARM:
                        peers[names[index % 2]][peer_name].append(taken)
                await pool_ready(application)

            clock = TimedSteps(application, before)
            _, steps = await run_plan(application, plan, project)
    figures: Figures = {}
    for parity, name in enumerate(names):
        chosen = [step for step in steps[_WARM:] if step.index % 2 == parity]
        whole = [clock.times[step.id] for step in chosen]
        attempt = [float(step.duration_ms or 0) for step in chosen]
        command = [float(step.duration_ms or 0) - float(step.overhead_ms or 0) for step in chosen]
        ours = summary(whole)
        docker, bwrap = summary(peers[name]["docker"]), summary(peers[name]["bwrap"])
        figures[name] = {
            "sandstone": ours,
            "docker run": docker,
            "bwrap": bwrap,
            "of which attempt": summary(attempt),
            "of which the command as seen from outside": summary(command),
            "of which journal, log and baseline": summary([a - b for a, b in zip(whole, attempt, strict=True)]),
            "docker run / sandstone (p50)": round(docker["p50"] / ours["p50"], 1),
        }
    return figures
