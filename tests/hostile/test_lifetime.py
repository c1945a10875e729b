"""Steps that try to outlive their attempt, or to keep it from ending."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.docker.policy import STORE_LABEL
from sandbox.spec import SANDBOX_UID, ExecRequest, Verdict
from tests.fakes.docker_world import DockerWorld, until_ended
from tests.hostile.conftest import Attack

pytestmark = [pytest.mark.docker, pytest.mark.root]

SECOND = timedelta(seconds=1)


async def test_a_sleeper_that_ignores_every_signal_is_killed_in_time(attack: Attack) -> None:
    result = await attack("trap '' TERM INT HUP QUIT; sleep 600 & wait; sleep 600", timeout=SECOND)
    assert result.verdict is Verdict.TIMEOUT
    assert result.run_time < 2 * SECOND


async def test_a_daemon_does_not_outlive_its_parent(world: DockerWorld) -> None:
    layer = world.store.new_layer()
    sandbox = await world.provider.claim(world.spec, layer)
    command = "setsid sh -c 'while :; do date +%N >>tick; done' >/dev/null 2>&1 & while ! [ -s tick ]; do :; done"
    result = await sandbox.run(ExecRequest(command))
    assert result.ok
    size = os.stat(sandbox.container.workspace / "tick").st_size
    assert size > 0
    assert alive_in(sandbox.container_id) == []
    await sandbox.close()
    assert len(world.store.content(layer, "tick") or b"") == size


async def test_no_process_of_the_sandbox_lives_when_run_returns(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    await sandbox.run(ExecRequest("for i in 1 2 3 4 5 6 7 8; do setsid sleep 600 & done; exit 0"))
    assert alive_in(sandbox.container_id) == []


def alive_in(container: str) -> list[str]:
    """The processes of the host that are in this container's cgroup and not mere zombies."""
    return [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cgroup")
        if container in _read(path) and " Z " not in _read(path.parent / "stat")
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


async def test_a_step_that_stops_itself_is_killed_in_time(attack: Attack) -> None:
    result = await attack("kill -STOP $$", timeout=SECOND)
    assert result.verdict is Verdict.TIMEOUT


async def test_a_step_cannot_kill_or_stop_the_gate(attack: Attack) -> None:
    result = await attack("for s in STOP TERM INT HUP QUIT KILL; do kill -s $s 1; done; exit 6")
    assert (result.exit_code, result.verdict) == (6, None)


async def test_a_step_that_kills_all_it_can_still_ends_with_its_own_code(attack: Attack) -> None:
    """The watchdog is among what it kills."""
    script = "kill 9, grep { $_ != 1 && $_ != $$ } map m{(\\d+)$}, glob '/proc/[0-9]*'; exit 6"
    result = await attack(("perl", "-e", script))
    assert (result.exit_code, result.verdict) == (6, None)


async def test_a_step_that_kills_its_own_group_spares_the_gate(attack: Attack) -> None:
    result = await attack("kill -TERM 0; sleep 60")
    assert (result.exit_code, result.verdict) == (143, None)


async def test_a_swarm_of_orphans_is_gone_with_the_step(attack: Attack) -> None:
    result = await attack("for i in $(seq 50); do ( ( sleep 0.01 & ) & ); done; exit 0")
    assert result.ok


async def test_a_container_removed_by_hand_is_the_sandboxs_loss(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest("echo on; sleep 600"), lambda *_: started.set()))
    await started.wait()
    await world.api.remove(sandbox.container_id)
    result = await running
    assert (result.exit_code, result.verdict) == (None, Verdict.SANDBOX_UNAVAILABLE)
    assert result.stdout.text() == b"on\n"


async def test_a_container_killed_by_hand_is_the_sandboxs_loss(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest("echo on; sleep 600"), lambda *_: started.set()))
    await started.wait()
    await world.api.kill(sandbox.container_id)
    assert (await running).verdict is Verdict.SANDBOX_UNAVAILABLE


async def test_a_waiting_container_removed_by_hand_is_not_handed_out(world: DockerWorld) -> None:
    world.provider.expect("run-1", [world.spec])
    waiting = await _first_waiting(world)
    await world.api.remove(waiting)
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    assert sandbox.container_id != waiting
    assert (await sandbox.run(ExecRequest("exit 0"))).ok


async def _first_waiting(world: DockerWorld) -> str:
    await world.provider.pool.settled()
    rows = await world.api.list({STORE_LABEL: world.store_id})
    return str(rows[0]["Id"])


CONTROLLER = """
import asyncio, sys
from pathlib import Path
from sandbox.docker.api import DockerApi
from sandbox.docker.provider import DockerSandboxProvider
from sandbox.spec import ExecRequest, SandboxSpec
from sandbox.workspace.layer import DiskLimit, Layer, LayerKey, LayerKind, Usage, VolumeId

class Store:
    late_mounts = False
    def stat(self, key): return Layer(key, LayerKind.ACTIVE, VolumeId("run-1"), None, 1)
    def mount(self, key, target): return Path(sys.argv[3])
    def unmount(self, key): pass
    def volume_usage(self, volume): return Usage(0, 0), DiskLimit(1 << 30, 1 << 20)

async def main():
    lease = "doomed" + sys.argv[1][5:]
    provider = DockerSandboxProvider(
        DockerApi(), Store(), store_id=sys.argv[1], lease=lease, slots=Path(sys.argv[2]), is_live=bool)
    sandbox = await provider.claim(SandboxSpec(sys.argv[4]), LayerKey("a"))
    await sandbox.run(ExecRequest("echo on; while :; do date +%N >>tick; done"),
                      lambda *_: print(sandbox.container_id, flush=True))
asyncio.run(main())
"""


async def test_when_the_controller_is_killed_its_step_dies_and_its_container_is_reaped(
    world: DockerWorld, tmp_path: Path
) -> None:
    directory = tmp_path / "workspace"
    directory.mkdir()
    os.chown(directory, SANDBOX_UID, SANDBOX_UID)
    argv = [sys.executable, "-c", CONTROLLER, world.store_id]
    argv += [str(world.store.slots), str(directory), world.spec.image_id]
    controller = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert controller.stdout is not None
    container = (await controller.stdout.readline()).decode().strip()
    controller.kill()
    await controller.communicate()
    await until_ended(world, container)
    assert await world.provider.start() == [container, f"doomed{world.store_id[5:]}-1"]
