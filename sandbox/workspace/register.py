"""The rows of a layer store, in an SQLite file that may have other tables too.

A row is the commit point: it appears when its directory is complete and goes before its directory
does. Each method is one transaction. Several processes and connections may use the file.

Durability: by default a transaction is on the disk when its method returns. With `durable=False` it
is there at the latest when the next durable transaction of *any* connection on the same file is (they
share one write-ahead log, which is synced in order): so a store whose file is the journal's pays for
no sync of its own, and a crash before the journal's row only leaves directories that no row names.
Removals of committed layers and volumes are durable at once always: such a row must not come back after its
directory is gone.

What stands on what is looked at in the transaction that adds or removes, so that no process takes a layer away
while another puts one on it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sandbox.errors import LayerExistsError, LayerInUseError, LayerNotFoundError
from sandbox.workspace.layer import DiskLimit, Layer, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.manifest import Manifest

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS volumes (
    id TEXT PRIMARY KEY, base BLOB NOT NULL, bytes INTEGER NOT NULL, inodes INTEGER NOT NULL, hide BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS layers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, volume TEXT NOT NULL,
    parent TEXT, depth INTEGER NOT NULL, digest TEXT NOT NULL, empty INTEGER NOT NULL, bytes INTEGER NOT NULL,
    inodes INTEGER NOT NULL, place TEXT NOT NULL UNIQUE, masked INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS layers_by_parent ON layers(parent);
CREATE INDEX IF NOT EXISTS layers_by_volume ON layers(volume);
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """Where an execution's copies are kept, and what they are copies of."""

    id: VolumeId
    base: Path
    limit: DiskLimit
    hide: Manifest | None


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer's row. place: name of its directory. masked: it was prepared with a mask of its own."""

    layer: Layer
    place: str
    masked: bool


class Register:
    """Volumes and layers by id. Safe to use from several threads."""

    def __init__(self, path: Path, durable: bool = True) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._durable = durable
        self._synchronous(durable)
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def _synchronous(self, full: bool) -> None:
        self._connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _removing(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:  # held throughout, so that nobody else's setting comes in between
            self._synchronous(full=durable or self._durable)
            try:
                with self._writing() as connection:
                    yield connection
            finally:
                self._synchronous(self._durable)

    def _rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    # -- volumes ---------------------------------------------------------------------------------

    def add_volume(self, volume: Volume) -> None:
        """Raises LayerExistsError."""
        hide = None if volume.hide is None else volume.hide.to_bytes()
        values = (volume.id, os.fsencode(volume.base), volume.limit.bytes, volume.limit.inodes, hide)
        with self._writing() as connection:
            try:
                connection.execute("INSERT INTO volumes VALUES (?, ?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                raise LayerExistsError(volume.id) from error

    def volume(self, volume: VolumeId) -> Volume:
        """Raises LayerNotFoundError."""
        with self._lock:
            statement = "SELECT base, bytes, inodes, hide FROM volumes WHERE id = ?"
            row = self._connection.execute(statement, (volume,)).fetchone()
        if row is None:
            raise LayerNotFoundError(volume)
        base, limit_bytes, limit_inodes, hide = row
        mask = None if hide is None else Manifest.from_bytes(hide)
        return Volume(volume, Path(os.fsdecode(base)), DiskLimit(limit_bytes, limit_inodes), mask)

    def volumes(self) -> list[VolumeId]:
        return [VolumeId(str(row[0])) for row in self._rows("SELECT id FROM volumes ORDER BY rowid")]

    def remove_volume(self, volume: VolumeId) -> None:
        """Remove its row and those of all its layers.

        Raises LayerInUseError: a layer in another volume stands on one of them.
        """
        stood_on = (
            "SELECT below.id FROM layers AS above JOIN layers AS below ON above.parent = below.id"
            " WHERE below.volume = ? AND above.volume != below.volume"
        )
        with self._removing() as connection:
            found = connection.execute(stood_on, (volume,)).fetchone()
            if found is not None:
                raise LayerInUseError(found[0], "a layer in another volume stands on it")
            connection.execute("DELETE FROM layers WHERE volume = ?", (volume,))
            connection.execute("DELETE FROM volumes WHERE id = ?", (volume,))

    # -- layers ----------------------------------------------------------------------------------

    def add(self, placed: Placed) -> None:
        """Raises LayerExistsError: a layer has this id. LayerNotFoundError: its parent is gone."""
        layer = placed.layer
        values = (
            *(layer.id, layer.kind.value, layer.volume, layer.parent, layer.depth, layer.digest, layer.empty),
            *(layer.usage.bytes, layer.usage.inodes, placed.place, placed.masked),
        )
        with self._writing() as connection:
            below = "SELECT 1 FROM layers WHERE id = ?"
            if layer.parent is not None and connection.execute(below, (layer.parent,)).fetchone() is None:
                raise LayerNotFoundError(layer.parent)
            try:
                connection.execute("INSERT INTO layers VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                raise LayerExistsError(layer.id) from error

    def seal(self, placed: Placed, name: LayerName, digest: str, empty: bool, usage: Usage) -> Layer:
        """Make the row of an active layer that of the committed layer `name`. Raises LayerExistsError."""
        values = (name, LayerKind.COMMITTED.value, digest, empty, usage.bytes, usage.inodes, placed.place)
        statement = "UPDATE layers SET id=?, kind=?, digest=?, empty=?, bytes=?, inodes=? WHERE place=?"
        with self._writing() as connection:
            try:
                connection.execute(statement, values)
            except sqlite3.IntegrityError as error:
                raise LayerExistsError(name) from error
        kind = LayerKind.COMMITTED
        return replace(placed.layer, id=name, kind=kind, digest=digest, empty=empty, usage=usage)

    def get(self, layer: str) -> Placed:
        """Raises LayerNotFoundError."""
        found = self._placed("id = ?", layer)
        if not found:
            raise LayerNotFoundError(layer)
        return found[0]

    def exists(self, layer: str) -> bool:
        return bool(self._placed("id = ?", layer))

    def of_volume(self, volume: VolumeId) -> list[Placed]:
        """The layers in a volume, parents before children."""
        return self._placed("volume = ?", volume)

    def volumes_below(self, volume: VolumeId) -> set[VolumeId]:
        """Other volumes that layers of this one stand on directly."""
        statement = (
            "SELECT DISTINCT below.volume FROM layers AS above JOIN layers AS below ON above.parent = below.id"
            " WHERE above.volume = ? AND below.volume != above.volume"
        )
        return {VolumeId(str(row[0])) for row in self._rows(statement, volume)}

    def children(self, layer: str) -> list[Placed]:
        """The layers that stand directly on this one."""
        return self._placed("parent = ?", layer)

    def all(self) -> list[Placed]:
        """All layers, parents before children: a parent was there before what stands on it."""
        return self._placed("TRUE")

    def chain(self, name: LayerName) -> list[Placed]:
        """The layer and all below it, the bottom one first. Raises LayerNotFoundError."""
        below = (
            "id IN (WITH RECURSIVE below(id) AS (VALUES (?) UNION ALL"
            " SELECT layers.parent FROM layers JOIN below USING (id) WHERE layers.parent IS NOT NULL)"
            " SELECT id FROM below)"
        )
        found = self._placed(below, name)
        if not found:
            raise LayerNotFoundError(name)
        return found

    def remove(self, layer: str) -> None:
        """An active layer or a view need not be gone for good: without files its row is only a name.

        Raises LayerInUseError: another layer stands on it.
        """
        kind = self.get(layer).layer.kind if self.exists(layer) else LayerKind.ACTIVE
        with self._removing(durable=kind is LayerKind.COMMITTED) as connection:
            if connection.execute("SELECT 1 FROM layers WHERE parent = ?", (layer,)).fetchone() is not None:
                raise LayerInUseError(layer, "another layer stands on it")
            connection.execute("DELETE FROM layers WHERE id = ?", (layer,))

    def _placed(self, where: str, *values: object) -> list[Placed]:
        statement = (
            "SELECT id, kind, volume, parent, depth, digest, empty, bytes, inodes, place, masked"
            f" FROM layers WHERE {where} ORDER BY number"
        )
        with self._lock:
            rows = self._connection.execute(statement, values).fetchall()
        return [
            Placed(
                Layer(row[0], LayerKind(row[1]), row[2], row[3], row[4], row[5], bool(row[6]), Usage(row[7], row[8])),
                row[9],
                bool(row[10]),
            )
            for row in rows
        ]
