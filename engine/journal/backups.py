"""Copies of the journal: how they are made, which ones are good, and what to type to go back to one.

A copy is made with SQLite's backup API while others work on the file, checked in full, and only then takes its
name; older ones go after that. So a damaged journal never takes the place of a good copy.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.journal.checking import check_all
from sandbox.workspace.sealed import SealBrokenError, damage_noticed

DIRECTORY: Final = "journal-backups"
"""Beside the journal: where the copies are."""
_NAMES: Final = "journal-*.db"
_TIME: Final = "journal-%Y%m%dT%H%M%S.%fZ.db"


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed in `source` to `target`, through a file beside it that is renamed when it is on the disk.

    An earlier `target` is replaced. Blocking. Raises sqlite3.Error and OSError; then `target` is as it was.
    """
    part = _part(target)
    try:
        _copy(source, part)
        _sync(part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(target.parent)


def backup(source: Path, directory: Path, now: datetime, keep: int) -> Path:
    """Add a checked copy to `directory`; keep the newest `keep`. Blocking.

    Raises:
      SealBrokenError, sqlite3.Error: the journal is damaged; nothing is added and nothing goes. OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / now.astimezone(UTC).strftime(_TIME)
    part = _part(target)
    try:
        _copy(source, part)
        _check(part)
        _sync(part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    _sync(directory)
    for old in _newest_first(directory)[keep:]:
        old.unlink(missing_ok=True)
    return target


def newest_good(directory: Path) -> Path | None:
    """The newest copy that passes the full check."""
    for path in _newest_first(directory):
        try:
            _check(path)
        except (SealBrokenError, sqlite3.Error, OSError):
            continue  # an older one may do
        return path
    return None


def advice(path: Path) -> str:
    """What to type when the journal at `path` is damaged, and what that loses."""
    home = path.parent
    good = newest_good(home / DIRECTORY)
    if good is None:
        return (
            "nothing was changed; there is no good backup. To start anew, stop `sandstone serve`, move the state"
            f" directory away and keep it: mv {_quoted(home)} {_quoted(home.with_name(f'{home.name}.damaged'))}"
            " (see docs/recovery.md)"
        )
    aside = home / "journal-damaged"
    move = ""
    if any(home.glob(f"{path.stem}.[dm]*")):  # a pattern, because logs come and go with who has the file open
        move = f"  mv --backup=numbered {_quoted(home)}/{path.stem}.[dm]* {_quoted(aside)}\n"
    return (
        f"nothing was changed. Stop `sandstone serve`, move the damaged files away and keep them, and go back to the"
        f" newest good backup, of {_time_of(good)}; executions and checkpoints made since then are lost:\n"
        f"  mkdir -p {_quoted(aside)}\n"
        f"{move}"
        f"  cp {_quoted(good)} {_quoted(path)}\n"
        "(see docs/recovery.md)"
    )


def _newest_first(directory: Path) -> list[Path]:
    return sorted(directory.glob(_NAMES), key=lambda path: path.name, reverse=True)


def _time_of(path: Path) -> str:
    try:
        made = datetime.strptime(path.name, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return path.name
    return made.strftime("%Y-%m-%d %H:%M:%S UTC")


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part-{os.getpid()}")


def _copy(source: Path, part: Path) -> None:
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        closing(sqlite3.connect(part, isolation_level=None)) as writer,
    ):
        reader.backup(writer)
        # The copy stands alone: nobody must look for a log beside it.
        writer.execute("PRAGMA journal_mode=DELETE")


def _check(path: Path) -> None:
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with damage_noticed(), closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as reader:
        check_all(reader)


def _sync(path: Path) -> None:
    """Have the file or directory on the disk when this returns."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _quoted(path: Path) -> str:
    return shlex.quote(os.fspath(path))
