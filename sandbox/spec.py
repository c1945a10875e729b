"""What a sandbox is asked for and what comes back: pure records, no effects.

A `SandboxSpec` says what kind of container is wanted and is the key of the pool of waiting
containers; an `ExecRequest` says what one attempt runs in it; an `ExecResult` says how that ended.
Units are in the names; spans are `timedelta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

WORKSPACE: Final = "/workspace"
"""Where every sandbox sees the workspace."""

SANDBOX_UID: Final = 60990
"""The unprivileged uid and gid that every step runs as. From a range that neither Debian nor systemd
hands out, so that per-uid kernel limits (inotify, keys, ...) are never shared with a user of the host."""

MIB: Final = 1 << 20
GIB: Final = 1 << 30


class Verdict(StrEnum):
    """Why an attempt ended, when it was not by the command's own exit.

    Limits that were hit fail the attempt whatever its exit code: a command that swallows the death
    of its child by out-of-memory has not succeeded.
    """

    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_LIMIT = "output_limit"
    DISK_LIMIT = "disk_limit"
    PIDS_LIMIT = "pids_limit"
    KILLED = "killed"
    SANDBOX_UNAVAILABLE = "sandbox_unavailable"


class Stream(StrEnum):
    """Which of the command's two streams some output came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """Limits the engine sets when it creates the container; part of the pool's key.

    memory_bytes: memory and swap together. cpus: cores' worth of CPU time. pids: tasks of the step
    itself (what the gate needs is added on top). tmp_bytes: size of the in-memory /tmp.
    """

    memory_bytes: int = 1 * GIB
    cpus: float = 1.0
    pids: int = 256
    tmp_bytes: int = 256 * MIB


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A kind of container. Two equal specs may share waiting containers.

    image_id: `sha256:...`, never a tag, so that a re-pointed tag changes nothing.
    network: "none" is the only mode of a step; "setup" is for building environments only.
    runtime: engine runtime name ("runc", "runsc").
    """

    image_id: str
    limits: ContainerLimits = field(default_factory=ContainerLimits)
    network: str = "none"
    runtime: str = "runc"


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What one attempt runs. Goes to the container over its stdin, never through inspectable fields.

    command: shell text for /bin/sh -c, or an argv tuple run without a shell.
    cwd: absolute, inside /workspace. env: added to the image's. secrets: added to env, never logged.
    timeout: wall-clock time, paused time not counted; at its end the whole container is killed.
    output_limit_bytes: stdout and stderr together; one byte more ends the attempt (`output_limit`).
    """

    command: str | tuple[str, ...]
    cwd: str = WORKSPACE
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    stdin: str = ""
    timeout: timedelta = timedelta(seconds=120)
    output_limit_bytes: int = 10 * MIB


@dataclass(frozen=True, slots=True)
class CapturedOutput:
    """One stream's output: all of it, or head and tail when more than the keeping bound came.

    `omitted_bytes` were dropped between `head` and `tail`; total = len(head) + omitted + len(tail).
    """

    head: bytes = b""
    tail: bytes = b""
    omitted_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return len(self.head) + self.omitted_bytes + len(self.tail)

    def text(self) -> bytes:
        """What was kept, with a marker line where bytes were left out."""
        if not self.omitted_bytes:
            return self.head + self.tail
        return self.head + b"\n[... %d bytes left out ...]\n" % self.omitted_bytes + self.tail


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """What an attempt used, read from its cgroup before it went; None where the host does not tell."""

    cpu_time: timedelta | None = None
    memory_peak_bytes: int | None = None
    pids_limit_hits: int = 0
    oom_kills: int = 0


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How an attempt ended.

    exit_code: the command's own, None when it never ended by itself. verdict: None when the command
    ended by itself and hit no limit. detail: one sentence for people about the verdict.
    run_time: wall-clock time that the command itself ran (paused time not counted).
    stdout/stderr have secrets still in them: whoever stores or shows them masks them first.
    """

    exit_code: int | None
    verdict: Verdict | None
    stdout: CapturedOutput
    stderr: CapturedOutput
    run_time: timedelta
    usage: ResourceUsage = field(default_factory=ResourceUsage)
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.verdict is None
