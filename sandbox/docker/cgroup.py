"""Counters of a container's cgroup, version 1 or 2, read by the controller from the host's cgroup file systems.

A cgroup is gone within milliseconds of its container's end, and its files with it. So they are opened while the
container waits, and read (one `pread` each, no path walked) while the gate still holds the container open.
What a host does not tell is None, never 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class CgroupCounters:
    """What a cgroup has counted so far; None where this host has no such counter.

    pids_limit_hits: how often the pids limit refused a new task.
    """

    cpu_time_us: int | None = None
    memory_peak_bytes: int | None = None
    oom_kills: int | None = None
    pids_limit_hits: int | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where one counter is: the controller, its file, and how to read the file's text."""

    controller: str
    file: str
    parse: Callable[[str], int | None]


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _nanoseconds(text: str) -> int | None:
    value = _number(text)
    return None if value is None else value // 1000


def _keyed(key: str) -> Callable[[str], int | None]:
    pattern = re.compile(rf"^{key} (\d+)$", re.MULTILINE)

    def parse(text: str) -> int | None:
        found = pattern.search(text)
        return int(found[1]) if found else None

    return parse


_VERSION_1: Final[Mapping[str, _Source]] = {
    "cpu_time_us": _Source("cpuacct", "cpuacct.usage", _nanoseconds),
    "memory_peak_bytes": _Source("memory", "memory.max_usage_in_bytes", _number),
    "oom_kills": _Source("memory", "memory.oom_control", _keyed("oom_kill")),
    "pids_limit_hits": _Source("pids", "pids.events", _keyed("max")),
}
_VERSION_2: Final[Mapping[str, _Source]] = {
    "cpu_time_us": _Source("", "cpu.stat", _keyed("usage_usec")),
    "memory_peak_bytes": _Source("", "memory.peak", _number),
    "oom_kills": _Source("", "memory.events", _keyed("oom_kill")),
    "pids_limit_hits": _Source("", "pids.events", _keyed("max")),
}


class CgroupReader:
    """Open files of one container's cgroup. Reads never block: the kernel makes the text up on the spot."""

    def __init__(self, files: Mapping[str, tuple[int, Callable[[str], int | None]]]) -> None:
        self._files = dict(files)

    @classmethod
    def open(cls, pid: int, proc: Path = Path("/proc")) -> CgroupReader:
        """Open the counters of the cgroup that process `pid` is in.

        Counters that this host lacks, or does not let this user read, are left out.
        """
        directories = _directories(pid, proc)
        files: dict[str, tuple[int, Callable[[str], int | None]]] = {}
        for sources in (_VERSION_1, _VERSION_2):
            for name, source in sources.items():
                directory = directories.get(source.controller)
                if directory is None or name in files:
                    continue
                try:
                    files[name] = (os.open(directory / source.file, os.O_RDONLY | os.O_CLOEXEC), source.parse)
                except OSError:
                    continue  # an older kernel, or a controller that is not enabled: None says so
        return cls(files)

    def read(self) -> CgroupCounters:
        """The counters now. Those of a cgroup that is gone are None."""
        values: dict[str, int] = {}
        for name, (descriptor, parse) in self._files.items():
            try:
                text = os.pread(descriptor, _READ_BYTES, 0).decode("ascii", "replace")
            except OSError:
                continue  # ENODEV: the cgroup is gone
            value = parse(text)
            if value is not None:
                values[name] = value
        return CgroupCounters(**values)

    def close(self) -> None:
        """Close the files. Idempotent."""
        while self._files:
            _, (descriptor, _) = self._files.popitem()
            os.close(descriptor)


def _directories(pid: int, proc: Path) -> dict[str, Path]:
    """Directory of the process's cgroup for each version 1 controller, and for "" (version 2)."""
    paths: dict[str, str] = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    found: dict[str, Path] = {}
    for line in (proc / "self" / "mountinfo").read_text().splitlines():
        mount = _cgroup_mount(line)
        if mount is None:
            continue
        root, mounted_at, controllers_here = mount
        for controller in controllers_here:
            inside = paths.get(controller)
            if inside is not None and controller not in found and _below(inside, root):
                found[controller] = Path(mounted_at) / os.path.relpath(inside, root)
    return found


def _cgroup_mount(line: str) -> tuple[str, str, list[str]] | None:
    """(root, mount point, controllers) of a cgroup mount in a line of mountinfo."""
    left, _, right = line.partition(" - ")
    kind, _, options = right.split(" ", 2)
    fields = left.split(" ")
    if kind == "cgroup2":
        return fields[3], fields[4], [""]
    if kind == "cgroup":
        return fields[3], fields[4], options.split(",")
    return None


def _below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(root + "/")
