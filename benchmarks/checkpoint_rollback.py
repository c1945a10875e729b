"""A checkpoint and a rollback on projects of three sizes, beside what others do to get the same."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from pathlib import Path

from benchmarks.common import (
    IMAGE,
    Figures,
    TimedSteps,
    application_in,
    call,
    log,
    make_project,
    plan_of,
    run_plan,
    scratch,
    summary,
    timed,
)
from engine.app import Application
from engine.events.types import EventKind
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind
from sandbox.workspace.layer import LayerKey, LayerName, VolumeId


async def measure(quick: bool) -> Figures:
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    return {str(size): await _measure_size(size, quick) for size in sizes}


async def _measure_size(size: int, quick: bool) -> Figures:
    figures: Figures = {}
    with scratch() as place:
        project = make_project(place / "project", size)
        log(f"  project of {size} files made")
        steps = [
            {"id": f"s{i}", "type": "file_create", "path": f"p0/d0/new{i}.txt", "content": f"{i}\n"}
            for i in range(20 if quick else 60)
        ]
        async with application_in(place) as application:
            clock = TimedSteps(application)
            execution, _ = await run_plan(application, plan_of(steps), project)
            figures["file_create step"] = summary(list(clock.times.values())[2:])
            figures["rollback"] = summary(await _rollbacks(application, execution, 15 if quick else 50))
            for changed in (1, 10):
                times = await _checkpoints(application, execution, changed, 15 if quick else 50)
                figures[f"checkpoint, {changed} changed"] = summary(times)
        few = 1 if size >= 100_000 or quick else 3
        figures["cp -a"] = summary([_copy(project, place / f"copy{i}") for i in range(few)])
        figures["git"] = summary(_git(project, place / "shadow", 5))
        figures["docker commit"] = summary(_docker_commit(project, few))
    return figures


async def _rollbacks(application: Application, execution: str, count: int) -> list[float]:
    """One checkpoint back at a time, by the verb that people use."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await application.engine.rollback(execution)
        times.append((time.perf_counter() - started) * 1e3)
    return times


async def _checkpoints(application: Application, execution: str, changed: int, count: int) -> list[float]:
    """prepare, write `changed` files, commit, and the row that makes it a checkpoint; nothing else."""
    volume = VolumeId(execution)
    store, writer = application.store, application.writer
    await application.blocking(store.open_volume, volume)
    owner = (os.getuid(), os.getgid())

    def layer(number: int, parent: LayerName | None) -> LayerName:
        key, name = LayerKey(f"b-{secrets.token_hex(8)}"), LayerName(f"b-{secrets.token_hex(8)}")
        store.prepare(key, parent, volume)
        upper = store.upper(key)
        for index in range(changed):
            path = upper / f"checkpoint-{number}-{index}"
            path.write_text("changed\n")
            os.chown(path, *owner)
        store.commit(key, name)
        return name

    times: list[float] = []
    parent: LayerName | None = None
    head = "c0"
    for number in range(count + 3):
        started = time.perf_counter()
        name = await application.blocking(layer, number, parent)

        def change(tx: Transaction, name: LayerName = name, head: str = head) -> str:
            made = tx.add_checkpoint(execution, f"n-{name}", CheckpointKind.AUTOMATIC, name, head)
            tx.emit(execution, EventKind.CHECKPOINT_CREATED, None, checkpoint=made.id, name=made.name, changed=True)
            return made.id

        head = await writer.write(change)
        times.append((time.perf_counter() - started) * 1e3)
        parent = name
    await application.blocking(store.close_volume, volume)
    return times[3:]


def _copy(project: Path, target: Path) -> float:
    taken = timed(lambda: call("cp", "-a", project, target))
    call("rm", "-rf", target)
    return taken


def _git(project: Path, shadow: Path, count: int) -> list[float]:
    """`git add -A` and `git commit` of one changed file, into a repository beside the project, after a first commit."""
    identity = {"GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@example.org"}
    identity |= {"GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@example.org"}
    place = {"GIT_DIR": str(shadow), "GIT_WORK_TREE": str(project), "GIT_CONFIG_GLOBAL": "/dev/null"}
    environment = os.environ | identity | place

    def commit() -> None:
        call("git", "add", "-A", env=environment, cwd=project)
        call("git", "commit", "-qm", "checkpoint", env=environment, cwd=project)

    call("git", "init", "-q", env=environment, cwd=project)
    call("git", "config", "gc.auto", "0", env=environment, cwd=project)
    commit()
    times = []
    for index in range(count):
        (project / "changed.txt").write_text(f"{index}\n")
        times.append(timed(commit))
    return times


def _docker_commit(project: Path, count: int) -> list[float]:
    """`docker commit` of a container that holds the project, after one changed file."""
    name = f"sandstone-bench-{secrets.token_hex(4)}"
    shell = ["/bin/sh", "-c", "while :; do sleep 1; done"]
    call("docker", "run", "-d", "--name", name, "--user", "0", "--network", "none", IMAGE, *shell)
    times = []
    try:
        call("docker", "cp", f"{project}/.", f"{name}:/srv")
        for index in range(count):
            call("docker", "exec", "--user", "0", name, "/bin/sh", "-c", f"echo {index} > /srv/changed")
            tag = f"{name}:{index}"
            times.append(timed(partial(call, "docker", "commit", name, tag)))
            call("docker", "image", "rm", tag)
    finally:
        call("docker", "rm", "-f", name)
    return times
