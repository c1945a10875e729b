"""What `doctor` says about a machine and its engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker.doctor import engine_probes, examine, image_probe, limit_probes, unreachable_probe
from sandbox.docker.image import Currency, ImageBuilder, ImageState
from sandbox.docker.image_api import ImageApi
from sandbox.errors import EngineTimeoutError, EngineUnreachableError
from sandbox.host import HostFacts, Probe, host_probes, look, version_of
from sandbox.spec import GIB

GOOD = HostFacts(
    system="Linux",
    release="6.18.0-1",
    architecture="x86_64",
    uid=0,
    features={"overlay": True, "lowerdir+": True, "user_namespaces": True, "loop_devices": True},
    openat2=True,
    pidfd=True,
    loop_control=True,
    mkfs="/sbin/mkfs.ext4",
    home="/state",
    file_system="ext4",
    free_bytes=50 * GIB,
    shared=False,
)
VERSION = {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "Components": [{"Name": "runc", "Version": "1.1.5"}]}
INFO = {
    "KernelVersion": "6.18.0-1",
    "CgroupVersion": "1",
    "CgroupDriver": "cgroupfs",
    "Driver": "overlay2",
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
}


def failing(probes: list[Probe]) -> dict[str, Probe]:
    return {probe.name: probe for probe in probes if not probe.ok}


def test_a_machine_with_everything_has_no_failing_probe() -> None:
    assert failing(host_probes(GOOD)) == {}
    assert failing(engine_probes(VERSION, INFO, "6.18.0-1", "/s")) == {}
    assert failing(limit_probes(INFO)) == {}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"system": "Darwin"}, "machine"),
        ({"architecture": "riscv64"}, "machine"),
        ({"release": "5.10.0-30-amd64"}, "machine"),
        ({"features": {"overlay": False}}, "overlay mounts"),
        ({"features": {"overlay": True}}, "idmapped layers"),
        ({"uid": 1000, "features": None, "shared": False}, "right to mount"),
        ({"pidfd": False}, "process handles"),
        ({"loop_control": False}, "limit: disk, inodes"),
        ({"mkfs": ""}, "limit: disk, inodes"),
        ({"file_system": "tmpfs"}, "state directory"),
        ({"file_system": "fuse.sshfs"}, "state directory"),
        ({"free_bytes": GIB}, "state directory"),
    ],
)
def test_what_is_needed_and_missing_fails_with_a_fix_in_one_line(change: dict[str, Any], name: str) -> None:
    found = failing(host_probes(replace(GOOD, **change)))
    assert name in found
    assert found[name].fix
    assert "\n" not in found[name].fix


@pytest.mark.parametrize(
    "change",
    [
        {"openat2": False},
        {"release": "6.1.0-30-amd64"},
        {"features": {"overlay": True, "lowerdir+": False, "user_namespaces": True}},
        {"uid": 1000, "features": None, "shared": True},
    ],
)
def test_what_is_only_worse_is_ok_and_says_what_it_means(change: dict[str, Any]) -> None:
    changed = host_probes(replace(GOOD, **change))
    assert failing(changed) == {}
    assert changed != host_probes(GOOD)


@pytest.mark.parametrize(
    ("version", "info", "name"),
    [
        ({**VERSION, "Version": "19.03.15"}, INFO, "engine"),
        (VERSION, {**INFO, "KernelVersion": "6.6.0-linuxkit"}, "engine is local"),
        (VERSION, {**INFO, "Runtimes": {"crun": {}}}, "runtimes"),
        (VERSION, {**INFO, "SecurityOptions": []}, "seccomp"),
    ],
)
def test_an_engine_that_will_not_do_fails(version: dict[str, Any], info: dict[str, Any], name: str) -> None:
    found = failing(engine_probes(version, info, "6.18.0-1", "/s"))
    assert list(found) == [name]
    assert found[name].fix


@pytest.mark.parametrize(
    ("key", "name"), [("MemoryLimit", "limit: memory"), ("CpuCfsQuota", "limit: cpus"), ("PidsLimit", "limit: pids")]
)
def test_a_limit_that_the_engine_cannot_enforce_fails(key: str, name: str) -> None:
    found = failing(limit_probes({**INFO, key: False}))
    assert list(found) == [name]


def test_a_newer_engine_with_a_plain_version_is_fine() -> None:
    assert failing(engine_probes({**VERSION, "Version": "29.1.0"}, INFO, "6.18.0-1", "/s")) == {}


def test_uncounted_swap_is_told() -> None:
    (memory, *_) = limit_probes({**INFO, "SwapLimit": False})
    assert memory.ok
    assert "not counted" in memory.detail


@pytest.mark.parametrize(
    ("currency", "ok"), [(Currency.MISSING, False), (Currency.STALE, True), (Currency.CURRENT, True)]
)
def test_only_a_missing_image_fails(currency: Currency, ok: bool) -> None:
    probe = image_probe(ImageState(currency, "r", "" if currency is Currency.MISSING else "sha256:abc"))
    assert probe.ok is ok


def test_an_engine_that_this_user_may_not_use_is_told_apart_from_one_that_is_not_there() -> None:
    refused = unreachable_probe(EngineUnreachableError("/s", "PermissionError(13, 'Permission denied')"))
    absent = unreachable_probe(EngineUnreachableError("/s", "No such file or directory"))
    silent = unreachable_probe(EngineTimeoutError("info", timedelta(seconds=1)))
    assert "usermod" in refused.fix
    assert "start docker" in absent.fix
    assert "restart docker" in silent.fix


class AbsentEngine(ImageApi):
    """An engine that is not there."""

    async def version(self) -> dict[str, Any]:
        raise EngineUnreachableError(self.socket_path, "No such file or directory")


async def test_without_an_engine_the_machine_is_still_examined(tmp_path: Path) -> None:
    api = AbsentEngine(str(tmp_path / "no.sock"))
    try:
        probes = await examine(api, ImageBuilder(api), tmp_path / "state")
    finally:
        api.close()
    assert [probe.name for probe in probes if not probe.ok and probe.name.startswith("engine")] == ["engine"]
    assert "machine" in {probe.name for probe in probes}


@pytest.mark.docker
async def test_this_machines_engine_is_examined_whole(tmp_path: Path) -> None:
    api = ImageApi()
    try:
        probes = await examine(api, ImageBuilder(api), tmp_path)
    finally:
        api.close()
    names = [probe.name for probe in probes]
    assert len(names) == len(set(names))
    for limit in ("memory", "cpus", "pids", "disk, inodes", "output", "timeout"):
        assert f"limit: {limit}" in names


def test_looking_changes_nothing_and_takes_a_home_that_does_not_exist_yet(tmp_path: Path) -> None:
    facts = look(tmp_path / "a/b/c")
    assert list(tmp_path.iterdir()) == []
    assert facts.free_bytes > 0
    assert facts.file_system


@pytest.mark.parametrize(
    ("release", "expected"), [("6.18.44-x", (6, 18)), ("5.10", (5, 10)), ("6-rc1", (6, 0)), ("odd", (0, 0))]
)
def test_kernel_releases_are_read(release: str, expected: tuple[int, int]) -> None:
    assert version_of(release) == expected
