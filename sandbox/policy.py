"""What a sandbox may be asked for: pure checks, the same for every implementation.

A provider calls `check_spec` when it is asked for a sandbox and `check_request` before anything is sent
to one. What passes can be carried out exactly as written; what cannot is refused here by the name of the
field, before any container knows of it. Nothing here has effects.
"""

from __future__ import annotations

import posixpath
import re
from datetime import timedelta
from typing import Final

from sandbox.errors import SpecRefusedError
from sandbox.spec import MIB, WORKSPACE, ContainerLimits, ExecRequest, SandboxSpec

ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

SHELL_OWNED: Final = frozenset(
    """
    BASHOPTS BASHPID BASH_VERSINFO DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD IFS LINENO
    OPTARG OPTIND PIPESTATUS PPID RANDOM SECONDS SHELLOPTS SRANDOM UID
    """.split()  # noqa: SIM905
)
"""Names that one shell or another keeps for itself: read-only, computed, or with a meaning to the shell that
hands the environment on. They could not be passed exactly, so they are refused."""

MAX_ARGUMENT_BYTES: Final = 128 * 1024 - 1
"""The kernel's limit on one argument or environment entry (MAX_ARG_STRLEN, less the final NUL)."""

MAX_ENVIRONMENT_BYTES: Final = 1 * MIB
MAX_STDIN_BYTES: Final = 16 * MIB
MIN_MEMORY_BYTES: Final = 16 * MIB
"""Below this the container runtime itself does not start."""

IMAGE_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
RUNTIME_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_spec(spec: SandboxSpec) -> None:
    """Refuse a spec that no step may have.

    Raises SpecRefusedError: the image is not named by id, a network other than "none", a runtime name that
    cannot be one, or a limit out of its range.
    """
    if not IMAGE_ID.fullmatch(spec.image_id):
        raise SpecRefusedError("image_id", "an image is named by its id (sha256:...), never by a tag")
    if spec.network != "none":
        raise SpecRefusedError("network", f"{spec.network!r} is not a network of a step; the only one is 'none'")
    if not RUNTIME_NAME.fullmatch(spec.runtime):
        raise SpecRefusedError("runtime", f"{spec.runtime!r} is not the name of a runtime")
    _check_limits(spec.limits)


def check_request(request: ExecRequest) -> None:
    """Refuse a request that could not be carried out exactly as written.

    Raises SpecRefusedError naming the field: cwd outside /workspace, an environment name that is no name or
    that a shell keeps for itself, a name given twice (env and secrets), NUL or an unencodable character
    anywhere, more bytes than the kernel takes, a limit that is not positive.
    """
    _check_command(request.command)
    _check_cwd(request.cwd)
    _check_environment(request)
    if len(encode("stdin", request.stdin)) > MAX_STDIN_BYTES:
        raise SpecRefusedError("stdin", f"more than {MAX_STDIN_BYTES} bytes")
    if request.timeout <= timedelta(0):
        raise SpecRefusedError("timeout", "must be positive")
    if request.output_limit_bytes < 0:
        raise SpecRefusedError("output_limit_bytes", "must not be negative")


def encode(field: str, text: str) -> bytes:
    """The bytes of `text` as a program gets them: UTF-8, with undecodable input bytes as they came.

    Raises SpecRefusedError for NUL, which ends a string in the kernel, and for lone surrogates.
    """
    if "\0" in text:
        raise SpecRefusedError(field, "contains a NUL byte")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise SpecRefusedError(field, f"character {error.start} cannot be encoded") from error


def _check_limits(limits: ContainerLimits) -> None:
    if limits.memory_bytes < MIN_MEMORY_BYTES:
        raise SpecRefusedError("limits.memory_bytes", f"less than {MIN_MEMORY_BYTES} bytes")
    if not 0.01 <= limits.cpus <= 1024:
        raise SpecRefusedError("limits.cpus", "must be between 0.01 and 1024")
    if limits.pids < 1:
        raise SpecRefusedError("limits.pids", "must be at least 1")
    if limits.tmp_bytes < 4096:
        raise SpecRefusedError("limits.tmp_bytes", "less than one page")


def _check_command(command: str | tuple[str, ...]) -> None:
    if not command:
        raise SpecRefusedError("command", "is empty")
    if isinstance(command, tuple) and not command[0]:
        raise SpecRefusedError("command", "names no program")
    for argument in (command,) if isinstance(command, str) else command:
        if len(encode("command", argument)) > MAX_ARGUMENT_BYTES:
            raise SpecRefusedError("command", f"an argument of more than {MAX_ARGUMENT_BYTES} bytes")


def _check_cwd(cwd: str) -> None:
    encode("cwd", cwd)
    if not cwd.startswith("/") or ".." in cwd.split("/"):
        raise SpecRefusedError("cwd", f"{cwd!r} is not an absolute path without '..'")
    normal = posixpath.normpath(cwd)
    if normal != WORKSPACE and not normal.startswith(WORKSPACE + "/"):
        raise SpecRefusedError("cwd", f"{cwd!r} is outside {WORKSPACE}")


def _check_environment(request: ExecRequest) -> None:
    total = 0
    for field, values in (("env", request.env), ("secrets", request.secrets)):
        for name, value in values.items():
            if not ENV_NAME.fullmatch(name):
                raise SpecRefusedError(field, f"{name!r} is not a name of an environment variable")
            if name in SHELL_OWNED:
                raise SpecRefusedError(field, f"{name} belongs to the shell and cannot be set")
            size = len(name) + 1 + len(encode(f"{field}.{name}", value))
            if size > MAX_ARGUMENT_BYTES:
                raise SpecRefusedError(f"{field}.{name}", f"more than {MAX_ARGUMENT_BYTES} bytes")
            total += size
    if total > MAX_ENVIRONMENT_BYTES:
        raise SpecRefusedError("env", f"more than {MAX_ENVIRONMENT_BYTES} bytes in all")
    both = sorted(request.env.keys() & request.secrets.keys())
    if both:
        raise SpecRefusedError("secrets", f"{both[0]} is in env as well")
