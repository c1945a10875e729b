"""`environment.setup` against the real engine: what it makes, keeps, refuses, and leaves behind."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from sandbox.docker.environment import EnvironmentBuilder, SetupLimits
from sandbox.docker.image import ENVIRONMENT_LABEL, ImageBuilder
from sandbox.docker.image_api import ImageApi
from sandbox.docker.network import NetworkSettings, network_settings
from sandbox.docker.policy import LEASE_LABEL, STORE_LABEL
from sandbox.errors import ImageNotFoundError, SetupFailedError
from sandbox.spec import MIB
from tests.images import plain_image

pytestmark = pytest.mark.docker

BASE = plain_image()
NO_NETWORK = NetworkSettings()


class World:
    """A builder of a store of its own, the engine seen from outside, and an id that makes commands unique."""

    def __init__(self, api: ImageApi, engine: docker.APIClient, directory: Path, base: str) -> None:
        self.api = api
        self.engine = engine
        self.directory = directory
        self.base = base
        self.workspace = directory / "project"
        self.workspace.mkdir()
        self.store_id = f"test-{secrets.token_hex(6)}"

    def builder(
        self, limits: SetupLimits | None = None, network: Callable[[], NetworkSettings] = lambda: NO_NETWORK
    ) -> EnvironmentBuilder:
        return EnvironmentBuilder(
            self.api,
            store_id=self.store_id,
            lease="none",
            locks=self.directory / "locks",
            limits=limits,
            network=network,
        )

    def containers(self) -> list[dict[str, Any]]:
        found = self.engine.containers(all=True, filters={"label": f"{STORE_LABEL}={self.store_id}"})
        return list(found)

    def images(self) -> list[str]:
        found = self.engine.images(filters={"label": f"{STORE_LABEL}={self.store_id}"})
        return [str(image["Id"]) for image in found]

    async def output_of(self, image: str, command: Sequence[str]) -> str:
        """Run it in the image without network, as a step would see the image."""

        def work() -> str:
            container = self.engine.create_container(
                image,
                list(command),
                host_config=self.engine.create_host_config(network_mode="none"),
                labels={STORE_LABEL: self.store_id},
            )["Id"]
            try:
                self.engine.start(container)
                self.engine.wait(container)
                return str(self.engine.logs(container).decode())
            finally:
                self.engine.remove_container(container, force=True, v=True)

        return await asyncio.to_thread(work)


@asynccontextmanager
async def _world(directory: Path, base: str) -> AsyncIterator[World]:
    api = ImageApi()
    engine = docker.APIClient(base_url=f"unix://{api.socket_path}", version="1.41")
    facts = await api.image_inspect(base)
    world = World(api, engine, directory, str(facts["Id"]))
    try:
        yield world
        assert world.containers() == []
    finally:
        for image in world.images():
            engine.remove_image(image, force=True)
        engine.close()
        api.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with _world(tmp_path, BASE) as made:
        yield made


async def test_what_the_commands_made_is_in_the_image_and_the_base_configuration_is_back(world: World) -> None:
    image = await world.builder().prepare(world.base, ["echo made > /opt/made", "id -u > /opt/uid"], world.workspace)
    assert await world.output_of(image, ["cat", "/opt/made", "/opt/uid"]) == "made\n0\n"
    before, after = world.engine.inspect_image(world.base), world.engine.inspect_image(image)
    assert after["Config"]["Env"] == before["Config"]["Env"]
    assert after["Config"]["Labels"][STORE_LABEL] == world.store_id
    assert after["Config"]["Labels"][ENVIRONMENT_LABEL]


async def test_without_commands_the_image_stays_what_it_is(world: World) -> None:
    assert await world.builder().prepare(world.base, [], world.workspace) == world.base


async def test_the_same_commands_and_files_are_run_once_and_others_anew(world: World) -> None:
    (world.workspace / "seed.txt").write_text(world.store_id)
    lines: list[str] = []
    builder = world.builder()

    async def prepare(command: str) -> str:
        return await builder.prepare(world.base, [command], world.workspace, progress=lines.append)

    first = await prepare("cp seed.txt /opt/")
    ran = len(lines)
    assert ran
    assert await prepare("cp seed.txt /opt/") == first
    (world.workspace / "unmentioned.txt").write_text("x")
    assert await prepare("cp seed.txt /opt/") == first
    assert len(lines) == ran
    (world.workspace / "seed.txt").write_text("other " + world.store_id)
    second = await prepare("cp seed.txt /opt/")
    third = await prepare("cp seed.txt /opt/ ")
    assert len({first, second, third}) == 3
    assert await world.output_of(second, ["cat", "/opt/seed.txt"]) == "other " + world.store_id


async def test_two_at_once_share_one_run(world: World, tmp_path: Path) -> None:
    lines: list[str] = []
    command = f"echo running {world.store_id}"
    found = await asyncio.gather(
        *(world.builder().prepare(world.base, [command], world.workspace, progress=lines.append) for _ in range(3))
    )
    assert len(set(found)) == 1
    assert lines.count(f"running {world.store_id}") == 1


async def test_a_command_that_fails_is_named_with_its_output_and_nothing_is_kept(world: World) -> None:
    commands = ["true", f"echo {world.store_id}; echo why >&2; exit 7", "true"]
    with pytest.raises(SetupFailedError) as caught:
        await world.builder().prepare(world.base, commands, world.workspace)
    failure = caught.value
    assert (failure.index, failure.exit_code) == (1, 7)
    assert set(failure.output_tail.splitlines()) == {world.store_id, "why"}
    assert str(failure).endswith(("exit code 7: why", f"exit code 7: {world.store_id}"))
    assert world.images() == []


async def test_a_set_up_that_takes_too_long_is_stopped_and_says_so(world: World) -> None:
    limits = SetupLimits(time=timedelta(seconds=1))
    with pytest.raises(SetupFailedError, match="stopped after 0:00:01") as caught:
        await world.builder(limits).prepare(world.base, ["echo slow; sleep 600"], world.workspace)
    assert caught.value.exit_code is None
    assert caught.value.output_tail == "slow"


async def test_a_set_up_that_takes_too_much_memory_is_told_so(world: World) -> None:
    limits = SetupLimits(memory_bytes=32 * MIB)
    hog = "perl -e '$x = q(x) x (256 << 20)'"
    with pytest.raises(SetupFailedError, match="memory"):
        await world.builder(limits).prepare(world.base, [hog], world.workspace)


async def test_a_set_up_that_fills_the_disk_is_stopped(world: World) -> None:
    limits = SetupLimits(disk_bytes=64 * MIB, time=timedelta(seconds=60))
    filler = "dd if=/dev/zero of=/filler bs=1M count=3000 status=none; sync; sleep 600"
    with pytest.raises(SetupFailedError, match="disk"):
        await world.builder(limits).prepare(world.base, [filler], world.workspace)


async def test_cancelling_removes_the_container_and_leaves_no_image(world: World) -> None:
    started = asyncio.Event()

    def progress(line: str) -> None:
        if line == "started":
            started.set()

    task = asyncio.create_task(
        world.builder().prepare(world.base, ["echo started; sleep 600"], world.workspace, progress=progress)
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (world.containers(), world.images()) == ([], [])


async def test_cancelling_at_any_early_moment_leaves_no_container(world: World) -> None:
    for turns in range(0, 200, 20):
        task = asyncio.create_task(world.builder().prepare(world.base, ["sleep 600"], world.workspace))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.containers() == []


async def test_the_container_is_labelled_limited_and_has_no_directory_of_the_host(world: World) -> None:
    looked: list[dict[str, Any]] = []

    def progress(line: str) -> None:
        if line == "look":
            looked.extend(world.engine.inspect_container(row["Id"]) for row in world.containers())

    command = f"echo look; read -t 1 x || sleep 1; echo {world.store_id}"
    await world.builder().prepare(world.base, [command], world.workspace, progress=progress)
    (facts,) = looked
    assert facts["Mounts"] == []
    assert facts["Config"]["Labels"][LEASE_LABEL] == "none"
    host = facts["HostConfig"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["CapAdd"]
    assert host["Memory"] == host["MemorySwap"] == SetupLimits().memory_bytes
    assert host["PidsLimit"] == SetupLimits().pids
    assert "no-new-privileges" in host["SecurityOpt"]


PASSWORD = "canary-password-4711"
AUTHORITY = "-----BEGIN CERTIFICATE-----\ncanaryCertificate0815\n-----END CERTIFICATE-----\n"


async def test_proxies_indexes_and_certificates_reach_the_commands_and_nothing_of_them_the_image(world: World) -> None:
    (world.workspace / "requirements.txt").write_text("canary-of-the-workspace\n")
    network = NetworkSettings(
        {
            "https_proxy": f"http://user:{PASSWORD}@proxy.example:3128",
            "PIP_INDEX_URL": f"https://u:{PASSWORD}@i.example",
        },
        AUTHORITY,
    )
    seen: list[str] = []
    commands = [
        'echo "proxy $https_proxy"; echo "index $PIP_INDEX_URL"; grep canary "$REQUESTS_CA_BUNDLE"',
        "cat requirements.txt; touch /opt/kept; echo x > /tmp/rubbish; mkdir -p $XDG_CACHE_HOME/rubbish",
    ]
    image = await world.builder(network=lambda: network).prepare(
        world.base, commands, world.workspace, progress=seen.append
    )
    assert f"proxy http://user:{PASSWORD}@proxy.example:3128" in seen
    assert f"index https://u:{PASSWORD}@i.example" in seen
    assert "canaryCertificate0815" in seen
    assert "canary-of-the-workspace" in seen

    described = str(world.engine.inspect_image(image)) + str(world.engine.history(image))
    assert "canary" not in described.replace("'echo \"proxy", "")
    # All of it: every layer's every byte, and the image's own description, as they would be pushed.
    saved = b"".join(world.engine.get_image(image))
    assert b"opt/kept" in saved
    assert b"tmp/rubbish" not in saved
    for canary in (PASSWORD.encode(), b"canaryCertificate0815", b"canary-of-the-workspace"):
        assert canary not in saved


async def test_a_base_that_is_not_there_is_an_error_of_its_own(world: World) -> None:
    with pytest.raises(ImageNotFoundError):
        await world.builder().prepare("sha256:" + "0" * 64, ["true"], world.workspace)


async def test_pip_install_works_through_this_machines_settings(tmp_path: Path) -> None:
    async with _world(tmp_path, "sandstone/runner") as world:
        (world.workspace / "requirements.txt").write_text("six==1.17.0\n")
        command = f"pip install -r requirements.txt # {world.store_id}"
        network = replace(network_settings(), left_out=())
        image = await world.builder(network=lambda: network).prepare(world.base, [command], world.workspace)
        assert await world.output_of(image, ["python", "-c", "import six; print(six.__version__)"]) == "1.17.0\n"
        # The step's user and directory are those of the runner again.
        assert world.engine.inspect_image(image)["Config"]["User"] == "sandbox"


async def test_pruning_removes_the_environments_of_the_store_that_nothing_needs(world: World) -> None:
    images = ImageBuilder(world.api)
    builder = world.builder()
    needed = await builder.prepare(world.base, [f"echo {world.store_id} 1"], world.workspace)
    not_needed = await builder.prepare(world.base, [f"echo {world.store_id} 2"], world.workspace)
    now, past = datetime.now(UTC) + timedelta(minutes=1), datetime(2020, 1, 1, tzinfo=UTC)

    async def pruned(before: datetime, *, store: str = world.store_id, dry_run: bool = False) -> list[str]:
        return [image.image_id for image in await images.prune_environments(store, [needed], before, dry_run=dry_run)]

    assert await pruned(past) == []
    assert await pruned(now, store="another-store") == []
    assert await pruned(now, dry_run=True) == [not_needed]
    assert set(world.images()) == {needed, not_needed}
    assert await pruned(now) == [not_needed]
    assert set(world.images()) == {needed}
