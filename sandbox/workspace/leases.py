"""Leases: which process something belongs to, and whether it still lives.

A lease is a file in `<root>/leases` that its process holds locked (flock) for as long as it lives; the kernel
drops the lock with the process, however it dies. Containers carry the lease's name as a label, slots begin
with it. What belongs to a lease that nobody holds is rubbish.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from sandbox.failpoints import SandboxPoint, reached
from sandbox.workspace.layer import IDENTIFIER


class Lease:
    """This process's lease."""

    def __init__(self, name: str, path: Path, fd: int) -> None:
        self.name = name
        self._path = path
        self._fd = fd

    @classmethod
    def acquire(cls, root: Path) -> Lease:
        """A new lease below the store's directory. Blocking."""
        directory = root / "leases"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            name = secrets.token_hex(6)
            path = directory / name
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Between creating and locking it, a cleaner may have taken the file for a dead lease's.
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                os.write(fd, b"%d\n" % os.getpid())
                reached(SandboxPoint.LEASE_TAKEN)
                return cls(name, path, fd)
            os.close(fd)

    def release(self) -> None:
        """Give it up; its file goes. Idempotent."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


def is_live(root: Path, lease: str) -> bool:
    """Whether a live process holds `lease`. Blocking."""
    if IDENTIFIER.fullmatch(lease) is None:
        return False
    try:
        fd = os.open(root / "leases" / lease, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def dead_leases(root: Path) -> list[str]:
    """Leases whose process ended without releasing them: something of theirs may be left. Blocking."""
    directory = root / "leases"
    if not directory.is_dir():
        return []
    return [name for name in sorted(os.listdir(directory)) if not is_live(root, name)]


def forget_dead(root: Path) -> list[str]:
    """Remove the files of dead leases; their names. Call it after what belonged to them is gone."""
    dead = dead_leases(root)
    for name in dead:
        (root / "leases" / name).unlink(missing_ok=True)
    return dead
