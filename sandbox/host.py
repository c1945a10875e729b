"""What this machine offers and what it lacks, as records: the part of `doctor` that needs no container engine.

`look` gathers facts and changes nothing; `host_probes` judges them and is pure. A probe that is not ok names
something without which sandstone does not work here, and a fix in one line; what is only worse (slower, a limit
less) is ok, and its detail says what it means.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.spec import GIB
from sandbox.workspace import kernel, privileged
from sandbox.workspace.beneath import has_openat2

OLDEST_KERNEL: Final = (5, 19)
"""Overlays of idmapped layers came with it."""

_TELLS_EXIT_SINCE: Final = (6, 15)
_ARCHITECTURES: Final = ("x86_64", "aarch64")
_SPACE_NEEDED: Final = 4 * GIB
_UNFIT_FILE_SYSTEMS: Final = ("tmpfs", "ramfs", "overlay", "nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse", "vfat")


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that was looked at. fix: one line, empty when the probe is ok or nothing helps."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was found. features: as of `privileged.probe`, None when this user cannot ask the kernel.

    file_system, free_bytes, shared: of the mount that the state directory is, or will be, on.
    """

    system: str
    release: str
    architecture: str
    uid: int
    features: Mapping[str, bool] | None
    openat2: bool
    pidfd: bool
    loop_control: bool
    mkfs: str
    home: str
    file_system: str
    free_bytes: int
    shared: bool


def look(home: Path) -> HostFacts:
    """Look at this machine, with the state directory at `home` (which need not exist). Blocking."""
    existing = next(parent for parent in (home, *home.parents) if parent.is_dir())
    around = kernel.mount_around(str(existing.resolve()))
    uid = os.geteuid()
    return HostFacts(
        system=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        uid=uid,
        features=privileged.probe() if uid == 0 else None,
        openat2=has_openat2(),
        pidfd=_has_pidfd(),
        loop_control=Path("/dev/loop-control").exists(),
        mkfs=shutil.which("mkfs.ext4", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))) or "",
        home=str(home),
        file_system=around.type if around else "",
        free_bytes=shutil.disk_usage(existing).free,
        shared=bool(around and around.shared),
    )


def host_probes(facts: HostFacts) -> list[Probe]:
    """Judge the facts. Pure."""
    return [
        _machine(facts),
        _overlays(facts),
        _idmapped(facts),
        _mount_right(facts),
        Probe(
            "safe paths",
            True,
            "openat2: the kernel keeps every path inside the workspace"
            if facts.openat2
            else "no openat2 here: paths are walked part by part, which is slower and as safe",
        ),
        _processes(facts),
        _loop_devices(facts),
        _disk(facts),
    ]


def version_of(release: str) -> tuple[int, int]:
    """The first two numbers of a kernel's release; zeros where there are none."""
    numbers = [*release.replace("-", ".").split("."), "0", "0"][:2]
    major, minor = (int(number) if number.isdigit() else 0 for number in numbers)
    return major, minor


def _machine(facts: HostFacts) -> Probe:
    detail = f"{facts.system} {facts.release}, {facts.architecture}"
    if facts.system != "Linux" or facts.architecture not in _ARCHITECTURES:
        return Probe("machine", False, detail, "use a Linux machine (or virtual machine), x86-64 or arm64")
    if version_of(facts.release) < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        return Probe("machine", False, f"{detail}: older than {oldest}", f"use a kernel {oldest} or later")
    return Probe("machine", True, detail)


def _overlays(facts: HostFacts) -> Probe:
    if facts.features is None:
        detail = f"by the mount helper's container (kernel {facts.release})"
        return Probe("overlay mounts", True, detail)
    if not facts.features.get("overlay", False):
        return Probe("overlay mounts", False, "the kernel has no overlayfs", "modprobe overlay")
    if facts.features.get("lowerdir+", False):
        return Probe("overlay mounts", True, "new mount API with lowerdir+: up to 400 layers")
    return Probe("overlay mounts", True, "without lowerdir+: fewer layers fit, so they are merged sooner")


def _idmapped(facts: HostFacts) -> Probe:
    if facts.features is None:
        return Probe("idmapped layers", True, "by the mount helper's container")
    if facts.features.get("user_namespaces", False):
        return Probe("idmapped layers", True, "steps see the project as theirs, files on disk stay yours")
    fix = "sysctl user.max_user_namespaces=10000"
    return Probe("idmapped layers", False, "the kernel refuses user namespaces", fix)


def _mount_right(facts: HostFacts) -> Probe:
    if facts.uid == 0:
        return Probe("right to mount", True, "root: mounts are made in this process")
    if facts.shared:
        return Probe("right to mount", True, "a helper container mounts; the state directory's mount is shared")
    return Probe(
        "right to mount",
        False,
        f"{facts.home} is on a private mount: what the helper container mounts would not be seen",
        "sudo mount --make-rshared / (systemd does that at boot)",
    )


def _processes(facts: HostFacts) -> Probe:
    if not facts.pidfd:
        return Probe("process handles", False, "no pidfd_open", "use a newer kernel")
    if version_of(facts.release) >= _TELLS_EXIT_SINCE:
        return Probe("process handles", True, "pidfd, and the kernel tells exit codes by it")
    return Probe("process handles", True, "pidfd; exit codes come from the engine (the kernel tells since 6.15)")


def _loop_devices(facts: HostFacts) -> Probe:
    if not facts.loop_control:
        return Probe("limit: disk, inodes", False, "no loop devices", "modprobe loop")
    if not facts.mkfs:
        return Probe("limit: disk, inodes", False, "no mkfs.ext4", "apt-get install e2fsprogs")
    return Probe("limit: disk, inodes", True, "a preallocated ext4 image per execution, through a loop device")


def _disk(facts: HostFacts) -> Probe:
    free = f"{facts.free_bytes / GIB:.1f} GiB free in {facts.home} ({facts.file_system or 'unknown file system'})"
    if facts.file_system in _UNFIT_FILE_SYSTEMS or facts.file_system.startswith("fuse."):
        fix = "set SANDSTONE_HOME to a directory on a local disk (ext4, xfs, btrfs)"
        return Probe("state directory", False, f"{free}: cannot hold layers", fix)
    if facts.free_bytes < _SPACE_NEEDED:
        fix = "sandstone gc, or set SANDSTONE_HOME to a larger disk"
        return Probe("state directory", False, f"{free}: less than {_SPACE_NEEDED // GIB} GiB", fix)
    return Probe("state directory", True, free)


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
