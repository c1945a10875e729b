"""The create call, field by field: it is the boundary between a step and the host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker.policy import MASKED_PATHS, READONLY_PATHS, ContainerPolicy, ImageFacts
from sandbox.docker.seccomp import profile_text
from sandbox.errors import ImageRefusedError
from sandbox.spec import GIB, MIB, ContainerLimits, SandboxSpec

IMAGE_ID = "sha256:" + "a" * 64
SPEC = SandboxSpec(IMAGE_ID, ContainerLimits(memory_bytes=512 * MIB, cpus=1.5, pids=100, tmp_bytes=32 * MIB))
IMAGE = ImageFacts(IMAGE_ID, env=("PATH=/usr/bin", "LD_PRELOAD=/x.so", "KEPT=1"), volumes=("/data",))
POLICY = ContainerPolicy("store-1", "lease-1", cgroup_version=2, cpus=4)

GOLDEN: dict[str, Any] = {
    "Image": IMAGE_ID,
    "Entrypoint": [],
    "Cmd": ["/bin/sh"],
    "User": "60990:60990",
    "WorkingDir": "/",
    "Hostname": "sandbox",
    "Env": ["HOME=/home/sandbox", "USER=sandbox", "LOGNAME=sandbox", "LANG=C.UTF-8", "LD_PRELOAD"],
    "OpenStdin": True,
    "StdinOnce": True,
    "AttachStdin": True,
    "AttachStdout": True,
    "AttachStderr": True,
    "Tty": False,
    "StopSignal": "SIGKILL",
    "StopTimeout": 1,
    "Healthcheck": {"Test": ["NONE"]},
    "Labels": {"sandstone": "store-1", "sandstone.lease": "lease-1", "sandstone.role": "sandbox"},
    "HostConfig": {
        "NetworkMode": "none",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Privileged": False,
        "ReadonlyRootfs": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", "seccomp=" + profile_text()],
        "Memory": 512 * MIB,
        "MemorySwap": 512 * MIB,
        "OomScoreAdj": 1000,
        "NanoCpus": 1_500_000_000,
        "PidsLimit": 104,
        "ShmSize": 64 * MIB,
        "Ulimits": [
            {"Name": "nofile", "Soft": 4096, "Hard": 16384},
            {"Name": "fsize", "Soft": 8 * GIB, "Hard": 8 * GIB},
            {"Name": "core", "Soft": 1, "Hard": 1},
            {"Name": "memlock", "Soft": 65536, "Hard": 65536},
            {"Name": "msgqueue", "Soft": 65536, "Hard": 65536},
        ],
        "LogConfig": {"Type": "none", "Config": {}},
        "Tmpfs": {
            "/tmp": "rw,exec,nosuid,nodev,size=33554432,nr_inodes=65536,mode=1777,uid=60990,gid=60990",
            "/run": "rw,noexec,nosuid,nodev,size=1048576,nr_inodes=256,mode=755",
            "/home/sandbox": ("rw,exec,nosuid,nodev,size=67108864,nr_inodes=16384,mode=700,uid=60990,gid=60990"),
            "/data": "rw,exec,nosuid,nodev,size=1048576,nr_inodes=256,mode=755,uid=60990,gid=60990",
        },
        "Mounts": [
            {
                "Type": "bind",
                "Source": "/state/mnt/slots/lease-1-1",
                "Target": "/workspace",
                "ReadOnly": False,
                "BindOptions": {"Propagation": "rslave"},
            }
        ],
        "MaskedPaths": list(MASKED_PATHS),
        "ReadonlyPaths": list(READONLY_PATHS),
    },
}


def create(spec: SandboxSpec = SPEC, image: ImageFacts = IMAGE, policy: ContainerPolicy = POLICY) -> dict[str, Any]:
    return policy.create_config(spec, image, Path("/state/mnt/slots/lease-1-1"), late_mounts=True)


def test_the_create_call_is_exactly_this() -> None:
    assert create() == GOLDEN


def test_equal_specs_make_equal_calls() -> None:
    assert create() == create(replace(SPEC))


def test_a_workspace_that_is_already_mounted_needs_no_propagation() -> None:
    config = POLICY.create_config(SPEC, IMAGE, Path("/merged"), late_mounts=False)
    assert config["HostConfig"]["Mounts"][0]["BindOptions"] == {"Propagation": "rprivate"}


def test_only_version_1_is_given_a_swappiness() -> None:
    assert create(policy=replace(POLICY, cgroup_version=1))["HostConfig"]["MemorySwappiness"] == 0
    assert "MemorySwappiness" not in create()["HostConfig"]


def test_more_cpus_than_the_host_has_mean_all_of_them() -> None:
    wide = replace(SPEC, limits=replace(SPEC.limits, cpus=64))
    assert create(wide)["HostConfig"]["NanoCpus"] == 4_000_000_000


def test_another_runtime_is_named() -> None:
    assert create(replace(SPEC, runtime="runsc"))["HostConfig"]["Runtime"] == "runsc"
    assert "Runtime" not in create()["HostConfig"]


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "BASH_FUNC_cd%%", "SHELLOPTS"])
def test_what_an_image_could_do_to_the_gates_shell_is_taken_away(name: str) -> None:
    env = create(image=ImageFacts(IMAGE_ID, env=(f"{name}=x",)))["Env"]
    assert name in env
    assert not any(entry.startswith(f"{name}=") for entry in env)


def test_an_images_own_path_and_language_stay() -> None:
    env = create(image=ImageFacts(IMAGE_ID, env=("PATH=/opt/bin", "LANG=de_DE.UTF-8")))["Env"]
    assert not any(entry.startswith(("PATH", "LANG")) for entry in env)


def test_an_image_without_a_path_gets_the_usual_one() -> None:
    assert any(entry.startswith("PATH=/usr/local/sbin:") for entry in create(image=ImageFacts(IMAGE_ID))["Env"])


@pytest.mark.parametrize(
    "volume", ["/workspace", "/workspace/data", "/", "/proc", "/dev/shm", "data", "/a/../b", "/a:b", "/home"]
)
def test_a_volume_that_cannot_be_covered_refuses_the_image(volume: str) -> None:
    with pytest.raises(ImageRefusedError):
        create(image=ImageFacts(IMAGE_ID, volumes=(volume,)))


def test_a_volume_on_our_own_tmpfs_is_covered_already() -> None:
    assert create(image=ImageFacts(IMAGE_ID, volumes=("/tmp",)))["HostConfig"]["Tmpfs"]["/tmp"].startswith("rw,exec")
