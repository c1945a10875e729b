"""Where a controller listens, and how one finds it: addresses, the rules for sockets, and the store's own record.

A unix socket is the default: whoever may connect to it may do everything, so the socket has mode 0600 in a directory
that only its owner can write. A server library would take over a live socket without a word; therefore a lock beside
the socket is held for as long as a controller listens, and taken before anything is touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.errors import EnvironmentUnfitError

MAX_SOCKET_PATH: Final = 107
"""Bytes of a unix socket's path: the kernel's limit."""
_RECORD: Final = "controller.json"
_LOCK: Final = "controller.lock"
_TCP: Final = re.compile(r"(?:tcp://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port; only with TLS and a token. port 0: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """`unix:PATH`, `unix:///PATH`, a path, `HOST:PORT` or `tcp://HOST:PORT`. Pure.

    Raises ValueError: it is none of these.
    """
    if text.startswith("unix-abstract:"):
        raise ValueError("an abstract socket has no permissions: use a path")
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return UnixAddress(Path("/" + path.lstrip("/") if path.startswith("//") else path).absolute())
    if text.startswith(("/", "./", "../", "~/")):
        return UnixAddress(Path(text).expanduser().absolute())
    match = _TCP.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"{text!r} is no address: write unix:PATH, or HOST:PORT")
    return TcpAddress(match[1], int(match[2]))


def default_socket(environment: Mapping[str, str], uid: int) -> Path:
    """`$XDG_RUNTIME_DIR/sandstone/controller.sock`, else below /run/user/UID, of root /run; of a user who has none of
    these (no login session) below `~/.local/state/sandstone/run`."""
    given, home = environment.get("XDG_RUNTIME_DIR", ""), environment.get("HOME", "")
    runtime = Path(given) if os.path.isabs(given) else Path("/run") if uid == 0 else Path(f"/run/user/{uid}")
    if not os.path.isabs(given) and uid != 0 and os.path.isabs(home) and not runtime.is_dir():
        runtime = Path(home) / ".local" / "state" / "sandstone" / "run"
    return runtime / "sandstone" / "controller.sock"


# -- the socket ------------------------------------------------------------------------------------------------------


@contextmanager
def socket_place(path: Path) -> Iterator[None]:
    """The right to listen at `path` for the block. Blocking. A stale socket is removed, at the end ours is.

    Raises EnvironmentUnfitError: too long, not in a directory of ours, not a socket, or another controller listens.
    """
    size = len(os.fsencode(path))
    if size > MAX_SOCKET_PATH:
        raise EnvironmentUnfitError(
            f"the socket's path has {size} bytes, the kernel takes {MAX_SOCKET_PATH}: {path}",
            "choose a shorter one: sandstone serve --listen unix:PATH",
        )
    _prepare_directory(path.parent)
    with _locked(path.with_name(f"{path.name}.lock"), f"at {path}"):
        _clear(path)
        try:
            yield
        finally:
            _clear(path)


def _prepare_directory(directory: Path) -> None:
    """Make it for us alone, or see that nobody else can put anything into it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentUnfitError(
            f"{directory} cannot be made: {error.strerror}", "choose another: sandstone serve --listen unix:PATH"
        ) from error
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise EnvironmentUnfitError(f"{directory} is a link or no directory", "name the real directory")
    if status.st_uid != os.geteuid():
        raise EnvironmentUnfitError(f"{directory} belongs to another user", "choose a directory of your own")
    if status.st_mode & 0o022:
        raise EnvironmentUnfitError(
            f"others can write to {directory} (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod 700 {directory}"
        )


def _clear(path: Path) -> None:
    """Remove the socket at `path`, if it is one. Precondition: its lock is held, so nobody listens."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        kind = "a link" if stat.S_ISLNK(status.st_mode) else "a file" if stat.S_ISREG(status.st_mode) else "no socket"
        raise EnvironmentUnfitError(f"{path} is {kind}, and stays as it is", "choose another path for the socket")
    path.unlink()


# -- the store's controller ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ControllerRecord:
    """Which controller a store has. address: of its unix socket, or of its port."""

    pid: int
    address: str
    instance_id: str
    version: str


class ControllerPlace:
    """The one place in a state directory that a controller takes."""

    def __init__(self, home: Path) -> None:
        self._record = home / _RECORD
        self._lock = home / _LOCK

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Be the store's controller for the block. Blocking. Raises EnvironmentUnfitError: there is one."""
        with _locked(self._lock, f"for {self._record.parent}"):
            self._record.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._record.unlink(missing_ok=True)

    def write(self, record: ControllerRecord) -> None:
        """Tell where it listens. Precondition: the place is taken by this process."""
        text = json.dumps(
            {
                "pid": record.pid,
                "address": record.address,
                "instance_id": record.instance_id,
                "version": record.version,
            }
        )
        part = self._record.with_suffix(".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        part.rename(self._record)

    def find(self) -> ControllerRecord | None:
        """The store's live controller, once it listens; None when there is none. Blocking."""
        try:
            data = json.loads(self._record.read_text("utf-8"))
            record = ControllerRecord(data["pid"], data["address"], data["instance_id"], data["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if _is_locked(self._lock) else None


_FLOCK: Final = struct.Struct("hhqqi4x")


def _whole_file(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)


@contextmanager
def _locked(path: Path, where: str) -> Iterator[None]:
    """Hold the lock of this file for the block; the kernel drops it with the process, however that dies.

    Locks of open file descriptions, because they can be asked for without being taken: a command that only looks
    for a controller never keeps one from starting.
    """
    fd = _lock(path, where)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(fd)


def _lock(path: Path, where: str) -> int:
    """A descriptor that holds the lock of the file that is at `path`. Raises EnvironmentUnfitError: it is taken."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise EnvironmentUnfitError(
                f"another controller (process {owner}) is running {where}", "use that one, or stop it"
            ) from None
        # Who held it before may have removed the file after it was opened here: then this lock says nothing.
        if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
            return fd
        os.close(fd)


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)
