"""What the container engine offers and what it lacks: the part of `doctor` that asks it.

`examine` gathers and puts both parts together; `engine_probes` judges what the engine says of itself and is pure.
The rules for a probe are those of `sandbox/host.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.docker.image import RUNNER, Currency, ImageBuilder, ImageState
from sandbox.docker.image_api import ImageApi
from sandbox.errors import EngineUnreachableError, SandboxUnavailableError
from sandbox.host import Probe, host_probes, look

OLDEST_ENGINE: Final = (20, 10)
_PERMISSION: Final = "Permission denied"


async def examine(api: ImageApi, images: ImageBuilder, home: Path) -> list[Probe]:
    """Everything about this machine, with the state directory at `home`. Never raises because something is missing."""
    facts = await asyncio.to_thread(look, home)
    try:
        version, info = await api.version(), await api.info()
        engine = [
            *engine_probes(version, info, facts.release, api.socket_path),
            image_probe(await images.state()),
            *limit_probes(info),
        ]
    except SandboxUnavailableError as error:
        engine = [unreachable_probe(error)]
    return [*host_probes(facts), *engine]


def unreachable_probe(error: SandboxUnavailableError) -> Probe:
    """The one probe that stands for all of the engine's when it does not answer."""
    if _PERMISSION in str(error):
        fix = f"sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in again"
    elif isinstance(error, EngineUnreachableError):
        fix = "make setup, or start it: sudo systemctl start docker"
    else:
        fix = "restart it: sudo systemctl restart docker"
    return Probe("engine", False, error.reason, fix)


def engine_probes(
    version: Mapping[str, Any], info: Mapping[str, Any], kernel_release: str, socket_path: str
) -> list[Probe]:
    """Judge what the engine says of itself; `kernel_release` is that of this process's kernel. Pure."""
    return [
        _engine(version, socket_path),
        _same_machine(info, kernel_release),
        Probe("control groups", True, f"version {info.get('CgroupVersion', '1')}, by {info.get('CgroupDriver', '?')}"),
        _runtimes(version, info),
        _storage(info),
        _seccomp(info),
    ]


def limit_probes(info: Mapping[str, Any]) -> list[Probe]:
    """Which limits of a step the engine enforces, and what enforces the others. Pure."""
    group = f"cgroup v{info.get('CgroupVersion', '1')}"
    swap = "swap included" if info.get("SwapLimit") else "swap is not counted (boot with swapaccount=1)"
    boot = "boot with cgroup_enable=memory"
    return [
        _limit("memory", info.get("MemoryLimit"), f"{group}, {swap}", boot),
        _limit(
            "cpus", info.get("CpuCfsQuota"), f"{group}, share of CPU time", "use a kernel with CFS bandwidth control"
        ),
        _limit("pids", info.get("PidsLimit"), f"{group}", "use a kernel with the pids control group"),
        Probe("limit: output", True, "counted while it is read; one byte more ends the step"),
        Probe("limit: timeout", True, "wall-clock time on a monotonic clock; the whole container is killed"),
    ]


def image_probe(state: ImageState) -> Probe:
    """Whether steps can run in the default image. A stale one still works."""
    if state.currency is Currency.MISSING:
        return Probe("image", False, f"{RUNNER} is missing", "sandstone image build")
    detail = f"{RUNNER} {state.image_id.removeprefix('sha256:')[:12]}, {state.size_bytes / 1e6:.0f} MB"
    if state.currency is Currency.STALE:
        detail += ", built by another version of sandstone (sandstone image build makes it anew)"
    return Probe("image", True, detail)


def _engine(version: Mapping[str, Any], socket_path: str) -> Probe:
    found = str(version.get("Version", "?"))
    detail = f"Docker Engine {found}, API {version.get('ApiVersion', '?')}, on {socket_path}"
    numbers = tuple(int(part) for part in found.split("+")[0].split(".")[:2] if part.isdigit())
    if numbers < OLDEST_ENGINE:
        return Probe("engine", False, f"{detail}: older than 20.10", "install Docker Engine 20.10 or later")
    return Probe("engine", True, detail)


def _same_machine(info: Mapping[str, Any], kernel_release: str) -> Probe:
    theirs = str(info.get("KernelVersion", ""))
    if theirs != kernel_release:
        detail = f"its kernel is {theirs}, here it is {kernel_release}: what is mounted here is not seen there"
        fix = "use an engine of this machine itself, not one in a virtual machine"
        return Probe("engine is local", False, detail, fix)
    return Probe("engine is local", True, f"same kernel; it keeps its data in {info.get('DockerRootDir', '?')}")


def _runtimes(version: Mapping[str, Any], info: Mapping[str, Any]) -> Probe:
    parts = {str(part.get("Name")): str(part.get("Version")) for part in version.get("Components") or []}
    names = sorted(name for name in info.get("Runtimes") or {} if not name.startswith("io.containerd."))
    described = [f"{name} {parts[name]}" if name in parts else name for name in names]
    if "runc" not in names:
        return Probe("runtimes", False, ", ".join(described) or "none", "install runc")
    return Probe("runtimes", True, ", ".join(described))


def _storage(info: Mapping[str, Any]) -> Probe:
    driver = str(info.get("Driver", "?"))
    if driver == "vfs":
        return Probe("storage driver", True, "vfs: every container copies its whole image, which is slow")
    return Probe("storage driver", True, driver)


def _seccomp(info: Mapping[str, Any]) -> Probe:
    options = ", ".join(str(option) for option in info.get("SecurityOptions") or [])
    if "name=seccomp" not in options:
        return Probe("seccomp", False, "the engine does not filter system calls", "use a kernel with CONFIG_SECCOMP")
    return Probe("seccomp", True, "the engine filters system calls; steps get a profile of their own")


def _limit(name: str, enforced: object, how: str, fix: str) -> Probe:
    if not enforced:
        return Probe(f"limit: {name}", False, "the engine cannot enforce it", fix)
    return Probe(f"limit: {name}", True, how)
