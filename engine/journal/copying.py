"""Copies a database that others have open, so that the copy is whole or not there at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed in `source` to `target`, through a file beside it that is renamed when it is on the disk.

    An earlier `target` is replaced. Blocking. Raises sqlite3.Error and OSError; then `target` is as it was.
    """
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.close(fd)
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            closing(sqlite3.connect(part, isolation_level=None)) as writer,
        ):
            reader.backup(writer)
            # The copy stands alone: nobody must look for a log beside it.
            writer.execute("PRAGMA journal_mode=DELETE")
        sync(part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    sync(target.parent)


def sync(path: Path) -> None:
    """Have the file or directory on the disk when this returns."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
