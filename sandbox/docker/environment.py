"""Environments: an image with the commands of `environment.setup` run in it once, with network, kept by content.

The key of an environment is a digest over the base image's id, the commands, and the files of the workspace that
they mention (`mentioned.py`). While an image with that label is there, preparing it is a look-up. Else the commands
run as root in one container, without any directory of the host, within limits of time, memory, processes and disk;
when all have ended well its file system becomes the image. How the machine reaches the network is told over stdin
(`setup_script.py`) and is not in the image. One process at a time prepares an environment; others wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sandbox.docker.image import ENVIRONMENT_LABEL
from sandbox.docker.image_api import ImageApi
from sandbox.docker.mentioned import MentionedFile, mentioned_files, nothing_hidden
from sandbox.docker.network import NetworkSettings, network_settings
from sandbox.docker.policy import LEASE_LABEL, ROLE_LABEL, STORE_LABEL
from sandbox.docker.programs import Progress, Tail, silent
from sandbox.docker.setup_script import marker, setup_script
from sandbox.docker.stream import AttachStream
from sandbox.docker.turns import turn
from sandbox.errors import ImageNotFoundError, SandboxUnavailableError, SetupFailedError, SpecRefusedError
from sandbox.spec import GIB, Stream

ENVIRONMENT: Final = "sandstone/env"
SETUP_ROLE: Final = "setup"

_VERSION: Final = 1
"""Part of every key: raised when the same commands would give another image."""

_TAG_CHARACTERS: Final = 32
_WATCH_SECONDS: Final = 0.5
_EXIT_LIMIT: Final = timedelta(seconds=10)
_LINE_BYTES: Final = 64 * 1024
_ROOT: Final = "/"
_KILLED: Final = 137
"""What a shell answers for a child that SIGKILL ended."""


@dataclass(frozen=True, slots=True)
class SetupLimits:
    """What one set-up may use. disk_bytes: of the engine's disk; free_bytes: what it must leave there."""

    time: timedelta = timedelta(minutes=30)
    memory_bytes: int = 4 * GIB
    pids: int = 4096
    disk_bytes: int = 20 * GIB
    free_bytes: int = 1 * GIB


class EnvironmentBuilder:
    """Prepares environments for one store. Lives on one event loop.

    store_id and lease: labels of its containers, by which the reaper finds what a dead process left.
    locks: directory of the lock files. network: read anew for each set-up.
    """

    def __init__(
        self,
        api: ImageApi,
        *,
        store_id: str,
        lease: str,
        locks: Path,
        limits: SetupLimits | None = None,
        network: Callable[[], NetworkSettings] = network_settings,
    ) -> None:
        self._api = api
        self._store_id = store_id
        self._lease = lease
        self._locks = locks
        self._limits = limits if limits is not None else SetupLimits()
        self._network = network

    async def prepare(
        self,
        image_id: str,
        commands: Sequence[str],
        workspace: Path,
        *,
        hidden: Callable[[bytes], bool] = nothing_hidden,
        progress: Progress = silent,
    ) -> str:
        """Id of `image_id` with `commands` run in it; `image_id` itself when there are none.

        hidden: paths of the workspace that do not exist for the plan. Cancelling stops the commands and removes
        their container before it returns.

        Raises:
          SetupFailedError: a command ended with another exit code than 0, or was stopped at a limit.
          SpecRefusedError: a command cannot be passed, or the files it mentions are too large.
          ImageNotFoundError, SandboxUnavailableError.
        """
        if not commands:
            return image_id
        for index, command in enumerate(commands):
            if "\0" in command:
                raise SpecRefusedError(f"environment.setup[{index}]", "it has a NUL character")
        files = await asyncio.to_thread(mentioned_files, commands, workspace, hidden)
        key = environment_key(image_id, commands, files)
        if found := await self._existing(key):
            return found
        async with turn(self._locks / f"env-{key[:_TAG_CHARACTERS]}"):
            return await self._existing(key) or await self._make(key, image_id, commands, files, progress)

    # -- inside ----------------------------------------------------------------------------------

    async def _existing(self, key: str) -> str:
        try:
            facts = await self._api.image_inspect(f"{ENVIRONMENT}:{key[:_TAG_CHARACTERS]}")
        except ImageNotFoundError:
            return ""
        labels = (facts.get("Config") or {}).get("Labels") or {}
        return str(facts["Id"]) if labels.get(ENVIRONMENT_LABEL) == key else ""

    async def _make(
        self,
        key: str,
        image_id: str,
        commands: Sequence[str],
        files: Sequence[MentionedFile],
        progress: Progress,
    ) -> str:
        base = (await self._api.image_inspect(image_id)).get("Config") or {}
        network = await asyncio.to_thread(self._network)
        for line in network.left_out:
            progress(f"not handed to the set-up: {line}")
        nonce = secrets.token_hex(16)
        script = setup_script(commands, files, network, nonce)
        async with self._container(key, image_id) as container:
            report = _Report(commands, nonce, progress)
            stopped = await self._run(container, script, report)
            await self._check_end(container, report, stopped)
            progress("keeping the environment as an image")
            changes = _commit_changes(base, {ENVIRONMENT_LABEL: key, ROLE_LABEL: "environment"})
            # To its end, also when cancelled: the container must not be removed under it.
            return await _finished(self._api.commit(container, ENVIRONMENT, key[:_TAG_CHARACTERS], changes))

    @asynccontextmanager
    async def _container(self, key: str, image_id: str) -> AsyncIterator[str]:
        name = f"sandstone-setup-{key[:12]}-{secrets.token_hex(4)}"
        try:
            # To its end, also when cancelled: what is being made must have been made before it can be removed.
            yield await _finished(self._api.create(name, self._create_config(image_id)))
        finally:
            await asyncio.shield(self._api.remove(name))

    def _create_config(self, image_id: str) -> dict[str, Any]:
        """Docker's own defaults for what root may do in a container; no directory of the host, and limits."""
        return {
            "Image": image_id,
            "Entrypoint": [],
            "Cmd": ["/bin/sh"],
            "User": "0:0",
            "WorkingDir": _ROOT,
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {STORE_LABEL: self._store_id, LEASE_LABEL: self._lease, ROLE_LABEL: SETUP_ROLE},
            "HostConfig": {
                "NetworkMode": "bridge",
                "SecurityOpt": ["no-new-privileges"],
                "Memory": self._limits.memory_bytes,
                "MemorySwap": self._limits.memory_bytes,
                "PidsLimit": self._limits.pids,
                "LogConfig": {"Type": "none", "Config": {}},
                "Tmpfs": {"/run": "rw,nosuid,nodev,size=64m,mode=755"},
            },
        }

    async def _run(self, container: str, script: bytes, report: _Report) -> str:
        """Run the script to its end; returns why it was stopped before, or "" when it was not."""
        stream = AttachStream(await self._api.attach(container), report.receive)
        try:
            await self._api.start(container)
            try:
                async with asyncio.timeout(self._limits.time.total_seconds()):
                    await stream.write(script)
                    return await self._watch(stream)
            except TimeoutError:
                return f"was stopped after {self._limits.time}"
        finally:
            stream.close()
            await asyncio.shield(self._api.kill(container))

    async def _watch(self, stream: AttachStream) -> str:
        """Until the output ends, or the disk does: nothing else limits what a container's own layer takes."""
        directory = await self._engine_disk()
        free = await asyncio.to_thread(_free, directory)
        least = max(self._limits.free_bytes, free - self._limits.disk_bytes)
        while not stream.ended.is_set():
            try:
                async with asyncio.timeout(_WATCH_SECONDS):
                    await stream.ended.wait()
            except TimeoutError:
                if await asyncio.to_thread(_free, directory) < least:
                    return f"was stopped: it left less than {least} bytes free on the engine's disk"
        return ""

    async def _engine_disk(self) -> Path:
        """The nearest directory to the engine's own that this user can ask for its free space."""
        directory = Path(str((await self._api.info()).get("DockerRootDir") or _ROOT))
        return await asyncio.to_thread(_nearest_readable, directory)

    async def _check_end(self, container: str, report: _Report, stopped: str) -> None:
        """Raises SetupFailedError unless every command ended well; SandboxUnavailableError: the container is gone."""
        report.finish()
        state = await self._ended_state(container)
        code = None if stopped else int(state.get("ExitCode", 0))
        if code == _KILLED:
            # Not every engine notices when the kernel kills a child for memory; nobody else kills here.
            sure = "" if state.get("OOMKilled") else "most likely "
            stopped = f"was killed with SIGKILL, {sure}at its memory limit ({self._limits.memory_bytes} bytes)"
        if code != 0:
            index = max(0, report.index)
            raise SetupFailedError(index, report.commands[index], code, report.tail(), stopped)
        if report.index != len(report.commands) - 1:
            raise SandboxUnavailableError("the set-up's container ended before its commands did")

    async def _ended_state(self, container: str) -> Mapping[str, Any]:
        """The engine's word on how it ended; its output ends a moment before the engine knows."""
        try:
            async with asyncio.timeout(_EXIT_LIMIT.total_seconds()):
                while True:
                    facts = await self._api.inspect(container)
                    if facts is None:
                        raise SandboxUnavailableError("the set-up's container was removed")
                    if not facts["State"]["Running"]:
                        return dict(facts["State"])
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise SandboxUnavailableError("the set-up's container does not end") from error


class _Report:
    """Takes the output: to lines for people, and a tail for each command. Each stream says where it stands."""

    def __init__(self, commands: Sequence[str], nonce: str, progress: Progress) -> None:
        self.commands = tuple(commands)
        self._tails = [Tail() for _ in commands]
        self._progress = progress
        self._marker = marker(nonce)
        self._partial = {Stream.STDOUT: b"", Stream.STDERR: b""}
        self._index = {Stream.STDOUT: -1, Stream.STDERR: -1}

    @property
    def index(self) -> int:
        """Number of the last command that was started; -1 before the first."""
        return max(self._index.values())

    def tail(self) -> str:
        """The end of that command's output."""
        return self._tails[self.index].text()

    def receive(self, stream: Stream, chunk: bytes) -> None:
        *lines, rest = (self._partial[stream] + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._partial[stream] = rest
        for line in lines:
            self._take(stream, line)

    def finish(self) -> None:
        """The streams have ended; what has no newline is a line too."""
        for stream, rest in self._partial.items():
            self._partial[stream] = b""
            self._take(stream, rest)

    def _take(self, stream: Stream, line: bytes) -> None:
        # Of a line that a progress bar wrote over and over, the last state.
        text = line.decode(errors="replace").rstrip().rpartition("\r")[2]
        if found := self._marker.search(text):
            self._start(stream, int(found[1]))
        elif text:
            self._tails[max(0, self._index[stream])].add(text)
            self._progress(text)

    def _start(self, stream: Stream, index: int) -> None:
        if index < len(self.commands):
            if index > self.index:
                self._progress(f"environment.setup[{index}]: {self.commands[index]}")
            self._index[stream] = index


async def _finished(work: Coroutine[Any, Any, str]) -> str:
    """The result of `work`, which is not cancelled with the caller: the caller is, once it has ended."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        # Looked at, so that its failure is not reported as one that nobody saw.
        running.exception()
        raise


def environment_key(image_id: str, commands: Sequence[str], files: Sequence[MentionedFile]) -> str:
    """sha256 (hex) of everything that an environment is made from, as far as this machine decides it."""
    described = {
        "version": _VERSION,
        "image": image_id,
        "commands": list(commands),
        "files": [
            [os.fsdecode(file.path), hashlib.sha256(file.content).hexdigest(), file.executable] for file in files
        ],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _commit_changes(base: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Dockerfile lines that give the image the base's configuration back, and its labels."""
    command = base.get("Cmd") or ["/bin/sh"]
    return [
        f"USER {base.get('User') or 'root'}",
        f"WORKDIR {base.get('WorkingDir') or _ROOT}",
        f"CMD {json.dumps(command)}",
        f"ENTRYPOINT {json.dumps(base.get('Entrypoint') or [])}",
        *(f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()),
    ]


def _nearest_readable(directory: Path) -> Path:
    return next(parent for parent in (directory, *directory.parents) if os.access(parent, os.R_OK | os.X_OK))


def _free(directory: Path) -> int:
    """Bytes free for the engine, which is root."""
    status = os.statvfs(directory)
    return status.f_bfree * status.f_frsize
