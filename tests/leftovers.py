"""What a run of the tests may have left on the machine: containers, networks, processes, mounts, loop devices, files.

`observe` looks, `new_since` compares. Only things that carry the project's name count: containers and networks
with the label `sandstone`, mounts, loop devices and files with `sandstone` in their path or backing file, and
processes that are children of the tests, ended ones too that nobody has waited for.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

NAME: Final = "sandstone"
ENGINE_SOCKET: Final = os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or "/var/run/docker.sock"


class _EngineConnection(http.client.HTTPConnection):
    def __init__(self, socket_path: str) -> None:
        super().__init__("engine", timeout=10)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._socket_path)


def ask_engine(path: str, socket_path: str = ENGINE_SOCKET, method: str = "GET", body: bytes = b"") -> Any:
    """The engine's answer. Raises OSError: nothing answers. (No part of the code under test.)"""
    connection = _EngineConnection(socket_path)
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/x-tar"} if body else {})
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body) if answer.headers.get_content_type() == "application/json" else body.decode()
    finally:
        connection.close()


@dataclass(frozen=True)
class Observation:
    """kind -> what of it is there."""

    seen: dict[str, frozenset[str]]

    def new_since(self, before: Observation) -> list[str]:
        """One line for each thing that was not there `before`."""
        return [
            f"{kind}: {thing}"
            for kind, things in self.seen.items()
            for thing in sorted(things - before.seen.get(kind, frozenset()))
        ]


def observe() -> Observation:
    """What is there now. Without an engine there are no containers to see."""
    looks: dict[str, Callable[[], Iterable[str]]] = {
        "container": _containers,
        "network": _networks,
        "process": child_processes,
        "mount": _mounts,
        "loop device": _loop_devices,
        "file": _files,
    }
    return Observation({kind: frozenset(look()) for kind, look in looks.items()})


def _containers() -> Iterable[str]:
    for row in _labelled("/containers/json?all=1&"):
        yield f"{row['Id'][:12]} {row['Names'][0]} {row['Labels']}"


def _networks() -> Iterable[str]:
    for row in _labelled("/networks?"):
        yield f"{row['Id'][:12]} {row['Name']}"


def _labelled(path: str) -> list[dict[str, Any]]:
    wanted = json.dumps({"label": [NAME]})
    try:
        answer = ask_engine(f"{path}filters={quote(wanted)}")
    except OSError:
        return []
    return answer if isinstance(answer, list) else []


def child_processes() -> Iterable[str]:
    """A line for each child of this process: number and name."""
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            name, _, fields = Path("/proc", entry, "stat").read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended and was waited for.
        if int(fields.split()[1]) == os.getpid():
            yield f"{entry} {name}"


def _mounts() -> Iterable[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if NAME in fields[4]:
            yield f"{fields[4]} (mount {fields[0]})"


def _loop_devices() -> Iterable[str]:
    for device in os.listdir("/sys/block"):
        try:
            file = Path("/sys/block", device, "loop/backing_file").read_text().strip()
        except OSError:
            continue  # No loop device, or one that is not attached (any more).
        if NAME in file:
            yield f"/dev/{device} on {file}"


def _files() -> Iterable[str]:
    for directory in {tempfile.gettempdir(), "/tmp", "/var/tmp"}:
        yield from (f"{directory}/{name}" for name in os.listdir(directory) if NAME in name)
