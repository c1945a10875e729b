"""Rows of layers: they appear and go whole, and a removal is on the disk before anything is deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.errors import LayerExistsError, LayerInUseError, LayerNotFoundError
from sandbox.workspace.layer import DiskLimit, Layer, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.register import Placed, Register, Volume

RUN = VolumeId("run")


def placed(name: str, parent: str | None = None, volume: VolumeId = RUN, masked: bool = False) -> Placed:
    depth = 1 if parent is None else 2
    return Placed(
        Layer(name, LayerKind.ACTIVE, volume, LayerName(parent) if parent else None, depth), f"place-{name}", masked
    )


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path / "rows.db")
    register.add_volume(Volume(RUN, Path("/project"), DiskLimit(1, 2), None))
    yield register
    register.close()


def test_a_volume_comes_back_as_it_was_given(register: Register) -> None:
    mask = Manifest([Entry(b"\xff", EntryKind.WHITEOUT)])
    given = Volume(VolumeId("v"), Path("/odd/\udcff"), DiskLimit(1 << 40, 7), mask)
    register.add_volume(given)
    assert register.volume(VolumeId("v")) == given
    assert register.volume(RUN).hide is None
    assert register.volumes() == [RUN, "v"]


def test_taken_and_unknown_ids_are_refused(register: Register) -> None:
    register.add(placed("a"))
    with pytest.raises(LayerExistsError):
        register.add(placed("a"))
    with pytest.raises(LayerExistsError):
        register.add_volume(register.volume(RUN))
    with pytest.raises(LayerNotFoundError):
        register.get("never")
    with pytest.raises(LayerNotFoundError):
        register.volume(VolumeId("never"))


def test_sealing_changes_the_row_and_not_the_place(register: Register) -> None:
    register.add(placed("key", masked=True))
    layer = register.seal(register.get("key"), LayerName("name"), "d" * 64, False, Usage(5, 6))
    assert register.get("name") == Placed(layer, "place-key", True)
    assert (layer.kind, layer.digest, layer.usage) == (LayerKind.COMMITTED, "d" * 64, Usage(5, 6))
    assert not register.exists("key")


def test_a_name_that_is_taken_leaves_the_row_active(register: Register) -> None:
    register.add(placed("key"))
    register.add(placed("name"))
    with pytest.raises(LayerExistsError):
        register.seal(register.get("key"), LayerName("name"), "", True, Usage(0, 0))
    assert register.get("key").layer.kind is LayerKind.ACTIVE


def test_layers_come_in_order_and_with_their_children(register: Register) -> None:
    other = VolumeId("other")
    for row in (placed("a"), placed("b", "a"), placed("c", "a", other)):
        register.add(row)
    assert [row.layer.id for row in register.all()] == ["a", "b", "c"]
    assert [row.layer.id for row in register.of_volume(RUN)] == ["a", "b"]
    assert [row.layer.id for row in register.children("a")] == ["b", "c"]


def test_a_volume_goes_with_all_its_layers(register: Register) -> None:
    register.add(placed("a"))
    register.remove_volume(RUN)
    assert register.volumes() == []
    assert register.all() == []


def test_two_connections_see_each_other(register: Register, tmp_path: Path) -> None:
    other = Register(tmp_path / "rows.db", durable=False)
    other.add(placed("a"))
    assert register.exists("a")
    register.remove("a")
    assert not other.exists("a")
    other.close()


def test_without_durability_only_removals_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by the pragma in force while each statement runs."""
    seen: list[tuple[str, int]] = []

    class Recording(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
            if sql.startswith(("INSERT", "UPDATE", "DELETE")):
                mode = super().execute("PRAGMA synchronous").fetchone()[0]
                seen.append((sql.split()[0], mode))
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: real(*args, factory=Recording, **options))
    register = Register(tmp_path / "rows.db", durable=False)
    seen.clear()  # what made the tables
    register.add_volume(Volume(RUN, Path("/project"), DiskLimit(1, 2), None))
    register.add(placed("a"))
    register.seal(register.get("a"), LayerName("b"), "", True, Usage(0, 0))
    register.remove("b")
    register.add(placed("c"))
    register.remove_volume(RUN)
    register.close()
    normal, full = 1, 2
    assert seen == [
        *[("INSERT", normal)] * 2,
        ("UPDATE", normal),
        ("DELETE", full),
        ("INSERT", normal),
        *[("DELETE", full)] * 2,
    ]


def test_nothing_is_put_on_a_layer_that_is_gone(register: Register) -> None:
    with pytest.raises(LayerNotFoundError):
        register.add(placed("above", parent="gone"))
    assert register.all() == []


def test_no_process_removes_what_another_stands_on(register: Register, tmp_path: Path) -> None:
    other = Register(tmp_path / "rows.db")
    fork = VolumeId("fork")
    register.add_volume(Volume(fork, Path("/project"), DiskLimit(1, 2), None))
    register.add(placed("below"))
    register.seal(register.get("below"), LayerName("base"), "", False, Usage(0, 0))
    other.add(placed("start", parent="base", volume=fork))
    with pytest.raises(LayerInUseError):
        register.remove("base")
    with pytest.raises(LayerInUseError) as caught:
        register.remove_volume(RUN)
    assert caught.value.layer == "base"
    assert register.volumes() == [RUN, fork]
    other.remove_volume(fork)
    register.remove_volume(RUN)
    assert register.all() == []
    other.close()
