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

Damage: rows are sealed and counted (`sandbox.workspace.sealed`), because what no row names is rubbish and goes.
Every method that reads raises StoreCorruptError when a row is not what was written or is missing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sandbox.errors import (
    HostDiskFullError,
    LayerExistsError,
    LayerInUseError,
    LayerNotFoundError,
    StoreBusyError,
    StoreCorruptError,
)
from sandbox.workspace.layer import DiskLimit, Layer, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.sealed import SealBrokenError, broken_seal, damage_noticed, install, sealing, verified

_BUSY_TIMEOUT_S: Final = 30.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS volumes (
    id TEXT PRIMARY KEY, base BLOB NOT NULL, bytes INTEGER NOT NULL, inodes INTEGER NOT NULL, hide BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS layers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, volume TEXT NOT NULL,
    parent TEXT, depth INTEGER NOT NULL, digest TEXT NOT NULL, empty INTEGER NOT NULL, bytes INTEGER NOT NULL,
    inodes INTEGER NOT NULL, place TEXT NOT NULL UNIQUE, masked INTEGER NOT NULL
) STRICT;
ALTER TABLE volumes ADD COLUMN layers INTEGER NOT NULL DEFAULT 0;
UPDATE volumes SET layers = (SELECT COUNT(*) FROM layers WHERE volume = volumes.id);
CREATE INDEX IF NOT EXISTS layers_by_parent ON layers(parent);
CREATE INDEX IF NOT EXISTS layers_by_volume ON layers(volume);
CREATE TABLE tally (id INTEGER PRIMARY KEY CHECK (id = 1), volumes INTEGER NOT NULL, layers INTEGER NOT NULL) STRICT;
INSERT INTO tally SELECT 1, (SELECT COUNT(*) FROM volumes), (SELECT COUNT(*) FROM layers)
"""
"""volumes.layers: how many rows of `layers` are in it. tally: one row, how many rows the others have. It came last:
a file that has it has all."""

_VOLUMES: Final = ("id", "base", "bytes", "inodes", "hide", "layers")
_LAYERS: Final = (
    *("number", "id", "kind", "volume", "parent", "depth", "digest", "empty", "bytes", "inodes", "place", "masked"),
)


def register_statements() -> list[str]:
    """What makes the tables, or brings those of before there were seals up to now."""
    statements = _SCHEMA.split(";")
    tables = (("volumes", _VOLUMES, "id"), ("layers", _LAYERS, "number"), ("tally", ("id", "volumes", "layers"), "id"))
    for table, columns, key in tables:
        statements.append(f"ALTER TABLE {table} ADD COLUMN chk INTEGER NOT NULL DEFAULT 0")
        statements.append(f"UPDATE {table} SET chk = seal('{table}', {', '.join(columns)})")
        statements += sealing(table, columns, [key])
    for table in ("volumes", "layers"):
        for verb, event, change in (("counted", "INSERT", "+ 1"), ("discounted", "DELETE", "- 1")):
            statements.append(
                f"CREATE TRIGGER {table}_{verb} AFTER {event} ON {table}"
                f" BEGIN UPDATE tally SET {table} = {table} {change} WHERE id = 1; END"
            )
    for verb, event, row, change in (("held", "INSERT", "NEW", "+ 1"), ("let_go", "DELETE", "OLD", "- 1")):
        statements.append(
            f"CREATE TRIGGER layers_{verb} AFTER {event} ON layers"
            f" BEGIN UPDATE volumes SET layers = layers {change} WHERE id = {row}.volume; END"
        )
    return statements


def check_register(connection: sqlite3.Connection) -> None:
    """Raise SealBrokenError unless there are as many rows as the tally says. Nothing, where there is no register."""
    if _has_tally(connection):
        for table in ("volumes", "layers"):
            (found,) = connection.execute(f"SELECT COUNT(*) FROM {table} NOT INDEXED").fetchone()
            _require(connection, table, found)
        held = Counter(row[0] for row in connection.execute("SELECT volume FROM layers NOT INDEXED"))
        if any(held[row[0]] != row[1] for row in connection.execute("SELECT id, layers FROM volumes")):
            raise SealBrokenError("layers", "a volume has not as many rows as it should")


def _has_tally(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone() is not None


def _require(connection: sqlite3.Connection, table: str, found: int) -> None:
    rows = verified("tally", connection.execute("SELECT * FROM tally").fetchall())
    expected = dict(zip(("volumes", "layers"), rows[0][1:], strict=True))[table] if rows else None
    if found != expected:
        raise SealBrokenError(table, f"it has {found} rows of {expected}")


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
        """Open or create. Raises StoreCorruptError, StoreBusyError, HostDiskFullError."""
        self._path = path
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        self._durable = durable
        try:
            with self._typed_errors():
                install(self._connection)
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._synchronous(durable)
                is_new = not _has_tally(self._connection)
            if is_new:
                self._make_tables()
        except BaseException:
            self._connection.close()
            raise

    def _make_tables(self) -> None:
        with self._writing() as connection:
            if not _has_tally(connection):  # again: another process may have been first
                for statement in register_statements():
                    connection.execute(statement)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._connection.close()

    def _synchronous(self, full: bool) -> None:
        self._connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            with damage_noticed():
                yield
        except SealBrokenError as error:
            raise StoreCorruptError(str(self._path), str(error)) from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreBusyError(f"{self._path} is held by another process") from error
            if code == sqlite3.SQLITE_FULL:
                room = os.statvfs(self._path.parent)
                raise HostDiskFullError(f"the rows of {self._path}", 4096, room.f_bavail * room.f_frsize) from error
            raise

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._typed_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file for the whole block."""
        with self._lock, self._typed_errors():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
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

    def _rows(self, table: str, tail: str, *values: object) -> list[Sequence[Any]]:
        with self._reading() as connection:
            return verified(table, connection.execute(f"SELECT * FROM {table} {tail}", values).fetchall())

    # -- volumes ---------------------------------------------------------------------------------

    def add_volume(self, volume: Volume) -> None:
        """Raises LayerExistsError."""
        hide = None if volume.hide is None else volume.hide.to_bytes()
        values = (volume.id, os.fsencode(volume.base), volume.limit.bytes, volume.limit.inodes, hide)
        with self._writing() as connection:
            try:
                connection.execute("INSERT INTO volumes (id, base, bytes, inodes, hide) VALUES (?, ?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                if broken_seal(error):
                    raise
                raise LayerExistsError(volume.id) from error

    def volume(self, volume: VolumeId) -> Volume:
        """Raises LayerNotFoundError."""
        rows = self._rows("volumes", "WHERE id = ?", volume)
        if not rows:
            self._require_absent("volumes", volume)
            raise LayerNotFoundError(volume)
        _, base, limit_bytes, limit_inodes, hide, _ = rows[0]
        mask = None if hide is None else Manifest.from_bytes(hide)
        return Volume(volume, Path(os.fsdecode(base)), DiskLimit(limit_bytes, limit_inodes), mask)

    def volumes(self) -> list[VolumeId]:
        """All volumes, in the order in which they were made."""
        with self._reading() as connection:
            rows = verified("volumes", connection.execute("SELECT * FROM volumes ORDER BY rowid").fetchall())
            _require(connection, "volumes", len(rows))
        return [VolumeId(str(row[0])) for row in rows]

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
                connection.execute(
                    f"INSERT INTO layers ({', '.join(_LAYERS[1:])}) VALUES ({', '.join('?' * 11)})", values
                )
            except sqlite3.IntegrityError as error:
                if broken_seal(error):
                    raise
                raise LayerExistsError(layer.id) from error

    def seal(self, placed: Placed, name: LayerName, digest: str, empty: bool, usage: Usage) -> Layer:
        """Make the row of an active layer that of the committed layer `name`. Raises LayerExistsError."""
        values = (name, LayerKind.COMMITTED.value, digest, empty, usage.bytes, usage.inodes, placed.place)
        statement = "UPDATE layers SET id=?, kind=?, digest=?, empty=?, bytes=?, inodes=? WHERE place=?"
        with self._writing() as connection:
            try:
                connection.execute(statement, values)
            except sqlite3.IntegrityError as error:
                if broken_seal(error):
                    raise
                raise LayerExistsError(name) from error
        kind = LayerKind.COMMITTED
        return replace(placed.layer, id=name, kind=kind, digest=digest, empty=empty, usage=usage)

    def get(self, layer: str) -> Placed:
        """Raises LayerNotFoundError."""
        found = self._placed("WHERE id = ?", layer)
        if not found:
            self._require_absent("layers", layer)
            raise LayerNotFoundError(layer)
        return found[0]

    def exists(self, layer: str) -> bool:
        """Whether a layer has this id, of whatever kind."""
        return bool(self._placed("WHERE id = ?", layer))

    def of_volume(self, volume: VolumeId) -> list[Placed]:
        """The layers in a volume, parents before children: all of them, since what is not among them is rubbish."""
        with self._reading() as connection:
            query = "SELECT * FROM layers WHERE volume = ? ORDER BY number"
            found = verified("layers", connection.execute(query, (volume,)).fetchall())
            query = "SELECT * FROM volumes WHERE id = ?"
            rows = verified("volumes", connection.execute(query, (volume,)).fetchall())
            expected = rows[0][-1] if rows else 0
            if len(found) != expected or any(row[3] != volume for row in found):
                raise SealBrokenError("layers", f"volume {volume} has {len(found)} rows of {expected}")
        return [_placed_from(row) for row in found]

    def volumes_below(self, volume: VolumeId) -> set[VolumeId]:
        """Other volumes that layers of this one stand on directly."""
        statement = (
            "SELECT DISTINCT below.volume FROM layers AS above JOIN layers AS below ON above.parent = below.id"
            " WHERE above.volume = ? AND below.volume != above.volume"
        )
        with self._reading() as connection:
            return {VolumeId(str(row[0])) for row in connection.execute(statement, (volume,))}

    def volumes_needed(self, volumes: Iterable[VolumeId]) -> set[VolumeId]:
        """These volumes, and all that layers of them stand on, directly or not."""
        needed: set[VolumeId] = set()
        waiting = list(volumes)
        while waiting:
            using = waiting.pop()
            if using not in needed:
                needed.add(using)
                waiting += self.volumes_below(using)
        return needed

    def children(self, layer: str) -> list[Placed]:
        """The layers that stand directly on this one."""
        return self._placed("WHERE parent = ?", layer)

    def all(self) -> list[Placed]:
        """All layers, parents before children: a parent was there before what stands on it."""
        with self._reading() as connection:
            rows = verified("layers", connection.execute("SELECT * FROM layers ORDER BY number").fetchall())
            _require(connection, "layers", len(rows))
        return [_placed_from(row) for row in rows]

    def chain(self, name: LayerName) -> list[Placed]:
        """The layer and all below it, the bottom one first. Raises LayerNotFoundError."""
        below = (
            "WHERE id IN (WITH RECURSIVE below(id) AS (VALUES (?) UNION ALL"
            " SELECT layers.parent FROM layers JOIN below USING (id) WHERE layers.parent IS NOT NULL)"
            " SELECT id FROM below)"
        )
        found = self._placed(below, name)
        if not found:
            self._require_absent("layers", name)
            raise LayerNotFoundError(name)
        missing = {placed.layer.parent for placed in found} - {placed.layer.id for placed in found} - {None}
        if missing:
            raise StoreCorruptError(str(self._path), f"layers below {name} are missing: {', '.join(map(str, missing))}")
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
        return [_placed_from(row) for row in self._rows("layers", f"{where} ORDER BY number", *values)]

    def _require_absent(self, table: str, name: str) -> None:
        """Look again without the index, which has no seal. Only for a miss: reads the whole table."""
        with self._reading() as connection:
            names = [row[0] for row in connection.execute(f"SELECT id FROM {table} NOT INDEXED")]
            _require(connection, table, len(names))
            if name in names:
                raise SealBrokenError(table, f"the index does not find {name}")


def _placed_from(row: Sequence[Any]) -> Placed:
    _, name, kind, volume, parent, depth, digest, empty, size, inodes, place, masked = row
    layer = Layer(name, LayerKind(kind), volume, parent, depth, digest, bool(empty), Usage(size, inodes))
    return Placed(layer, place, bool(masked))
