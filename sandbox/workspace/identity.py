"""Which store a state directory is: the value of the `sandstone` label on everything of ours in the engine.

The containers of a store's dead processes are removed by that label, so two directories must never have one id: a
copy of the directory (a backup, a snapshot, a second disk) is another store, and gets another. What tells a copy is
kept beside the id: the directory's inode and its path. A directory that was moved counts as a copy, too; containers
that a dead process left under the old id are then nobody's (`docker ps -a --filter label=sandstone` shows them).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from pathlib import Path
from typing import Final

_ID: Final = re.compile("[0-9a-f]{16}")


def identify(home: Path) -> str:
    """The id of the state directory `home`, which is made if need be. Blocking."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(home / "store-id.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _read(home) or _write(home)
    finally:
        os.close(lock)


def _place(home: Path) -> str:
    return f"{home.stat().st_ino} {os.path.realpath(home)}"


def _read(home: Path) -> str:
    """The id, if there is one and it was given to this directory; else empty."""
    try:
        found, _, place = (home / "store-id").read_text("utf-8", "surrogateescape").partition("\n")
    except FileNotFoundError:
        return ""
    if _ID.fullmatch(found) is None:
        return ""
    if not place:
        return _write(home, found)  # of before the place was kept
    return found if place.rstrip("\n") == _place(home) else ""


def _write(home: Path, made: str = "") -> str:
    made = made or secrets.token_hex(8)
    part = home / "store-id.part"
    with part.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{made}\n{_place(home)}\n")
        file.flush()
        os.fsync(file.fileno())
    part.chmod(0o600)
    part.replace(home / "store-id")
    return made
