"""The container that a sandbox is made of, as the JSON of the engine's create call: a pure function.

This file is the security boundary between a step and the host; nothing else decides what a container of ours
may do. Every field that an image or the engine's defaults could decide otherwise is set here. The one thing of
the host that a container gets is the slot: a directory of the store, never a directory of the user.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.docker.seccomp import profile_text
from sandbox.errors import ImageRefusedError
from sandbox.spec import GIB, MIB, SANDBOX_UID, WORKSPACE, SandboxSpec

HOME: Final = "/home/sandbox"
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

STORE_LABEL: Final = "sandstone"
LEASE_LABEL: Final = "sandstone.lease"
ROLE_LABEL: Final = "sandstone.role"
SANDBOX_ROLE: Final = "sandbox"

GATE_COMMAND: Final = ("/bin/sh",)
"""PID 1 of every container: a shell that reads what to do from its stdin (`gate.py`)."""

GATE_PIDS: Final = 4
"""Tasks of the gate on top of the step's own: PID 1, the watchdog, the writer of the step's stdin and, for an
instant, the writer's parent."""

FILE_SIZE_LIMIT: Final = 8 * GIB
"""RLIMIT_FSIZE: no single file, sparse ones included, may be larger."""

_HOME_BYTES: Final = 64 * MIB
_RUN_BYTES: Final = 1 * MIB
_VOLUME_BYTES: Final = 1 * MIB
_SHM_BYTES: Final = 64 * MIB
_OPEN_FILES: Final = (4096, 16384)
_OOM_SCORE: Final = 1000

_IMAGE_ENV_REMOVED: Final = ("BASH_ENV", "BASHOPTS", "ENV", "GLIBC_TUNABLES", "IFS", "PS4", "SHELLOPTS")
_IMAGE_ENV_REMOVED_PREFIXES: Final = ("LD_", "BASH_FUNC_", "MALLOC_")
"""What an image's ENV could do to the gate's shell before the step has started."""

MASKED_PATHS: Final = tuple(
    """
    /proc/acpi /proc/asound /proc/cmdline /proc/config.gz /proc/diskstats /proc/interrupts /proc/kallsyms
    /proc/kcore /proc/key-users /proc/keys /proc/latency_stats /proc/partitions /proc/sched_debug /proc/scsi
    /proc/timer_list /proc/timer_stats /sys/block /sys/class/block /sys/class/dmi /sys/devices/virtual/dmi
    /sys/devices/virtual/powercap /sys/firmware
    """.split()  # noqa: SIM905
)
READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_OWN_MOUNTS: Final = (WORKSPACE, HOME, "/tmp", "/run", "/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What policy must know of an image: its id, and what its configuration would otherwise decide."""

    image_id: str
    env: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerPolicy:
    """Makes create calls for one process's containers.

    store_id and lease: values of the labels by which containers are found again. cgroup_version: of the host;
    version 2 has no swappiness of its own. cpus: the host's; a spec that asks for more gets all of them.
    """

    store_id: str
    lease: str
    cgroup_version: int = 2
    cpus: int = 1024

    def create_config(
        self, spec: SandboxSpec, image: ImageFacts, workspace: Path, *, late_mounts: bool
    ) -> dict[str, Any]:
        """The body of the create call for a container of kind `spec` with host directory `workspace` bound.

        late_mounts: what the host mounts on `workspace` after the container's start is seen inside.

        Raises ImageRefusedError: a VOLUME of the image lies where it cannot be covered.
        """
        return {
            "Image": spec.image_id,
            "Entrypoint": [],
            "Cmd": list(GATE_COMMAND),
            "User": f"{SANDBOX_UID}:{SANDBOX_UID}",
            # Not the workspace: PID 1 would stand on the slot below what is mounted over it later.
            "WorkingDir": "/",
            "Hostname": "sandbox",
            "Env": _environment(image.env),
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "StopSignal": "SIGKILL",
            "StopTimeout": 1,
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {
                STORE_LABEL: self.store_id,
                LEASE_LABEL: self.lease,
                ROLE_LABEL: SANDBOX_ROLE,
            },
            "HostConfig": self._host_config(spec, image, workspace, late_mounts),
        }

    def _host_config(self, spec: SandboxSpec, image: ImageFacts, workspace: Path, late_mounts: bool) -> dict[str, Any]:
        limits = spec.limits
        host: dict[str, Any] = {
            "NetworkMode": "none",
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Privileged": False,
            "ReadonlyRootfs": True,
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges", "seccomp=" + profile_text()],
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "OomScoreAdj": _OOM_SCORE,
            "NanoCpus": round(min(limits.cpus, self.cpus) * 1e9),
            "PidsLimit": limits.pids + GATE_PIDS,
            "ShmSize": min(_SHM_BYTES, limits.memory_bytes),
            "Ulimits": _ulimits(),
            # Output comes by the attach stream; a log would be a second copy of it on the host's disk.
            "LogConfig": {"Type": "none", "Config": {}},
            "Tmpfs": _tmpfs(limits.tmp_bytes, image),
            "Mounts": [_workspace_mount(workspace, late_mounts)],
            "MaskedPaths": list(MASKED_PATHS),
            "ReadonlyPaths": list(READONLY_PATHS),
        }
        if self.cgroup_version == 1:
            host["MemorySwappiness"] = 0
        if spec.runtime != "runc":
            host["Runtime"] = spec.runtime
        return host


def _environment(image_env: Iterable[str]) -> list[str]:
    """Ours, on top of the image's; an entry without `=` takes the image's away."""
    names = [entry.partition("=")[0] for entry in image_env]
    removed = [name for name in names if name in _IMAGE_ENV_REMOVED or name.startswith(_IMAGE_ENV_REMOVED_PREFIXES)]
    ours = [f"HOME={HOME}", "USER=sandbox", "LOGNAME=sandbox"]
    if "PATH" not in names:
        ours.append(f"PATH={DEFAULT_PATH}")
    if "LANG" not in names:
        ours.append("LANG=C.UTF-8")
    return ours + sorted(set(removed))


def _ulimits() -> list[dict[str, Any]]:
    limits = {
        "nofile": _OPEN_FILES,
        "fsize": (FILE_SIZE_LIMIT, FILE_SIZE_LIMIT),
        # Not 0: with a pipe as core pattern the kernel ignores 0 and starts the host's handler; 1 it refuses.
        "core": (1, 1),
        "memlock": (64 * 1024, 64 * 1024),
        "msgqueue": (64 * 1024, 64 * 1024),
    }
    # No nproc: it counts tasks of the uid on the whole host; the pids cgroup counts those of the container.
    return [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in limits.items()]


def _tmpfs(tmp_bytes: int, image: ImageFacts) -> dict[str, str]:
    owner = f"uid={SANDBOX_UID},gid={SANDBOX_UID}"
    mounts = {
        # runc up to 1.1 gives a tmpfs the mode of the image's own directory, whatever is asked for: own it, too.
        "/tmp": f"rw,exec,nosuid,nodev,size={tmp_bytes},nr_inodes=65536,mode=1777,{owner}",
        "/run": f"rw,noexec,nosuid,nodev,size={_RUN_BYTES},nr_inodes=256,mode=755",
        HOME: f"rw,exec,nosuid,nodev,size={_HOME_BYTES},nr_inodes=16384,mode=700,{owner}",
    }
    for volume in image.volumes:
        if volume not in mounts:
            _check_volume(image.image_id, volume)
            mounts[volume] = f"rw,exec,nosuid,nodev,size={_VOLUME_BYTES},nr_inodes=256,mode=755,{owner}"
    return mounts


def _check_volume(image_id: str, volume: str) -> None:
    """Without its tmpfs an image's VOLUME would be a directory on the host's disk that nothing limits."""
    if posixpath.normpath(volume) != volume or not volume.startswith("/") or volume == "/" or ":" in volume:
        raise ImageRefusedError(image_id, f"its VOLUME {volume!r} is not a plain absolute path")
    for own in _OWN_MOUNTS:
        if volume == own or volume.startswith(own + "/") or own.startswith(volume + "/"):
            raise ImageRefusedError(image_id, f"its VOLUME {volume!r} collides with {own}")


def _workspace_mount(workspace: Path, late_mounts: bool) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": str(workspace),
        "Target": WORKSPACE,
        "ReadOnly": False,
        "BindOptions": {"Propagation": "rslave" if late_mounts else "rprivate"},
    }
