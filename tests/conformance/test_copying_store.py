"""`CopyingLayerStore` keeps the rules of every layer store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_store_suite import VOLUME, LayerStoreSuite


class TestCopyingLayerStore(LayerStoreSuite):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], LayerStore]:
        return lambda: CopyingLayerStore(tmp_path / "store")

    @pytest.fixture
    def new_slot(self, tmp_path: Path) -> Callable[[], Path]:
        numbers = itertools.count()

        def make() -> Path:
            slot = tmp_path / f"slot-{next(numbers)}"
            slot.mkdir()
            return slot

        return make

    @pytest.fixture
    def leave_rubbish(self, tmp_path: Path) -> Callable[[LayerStore], Path]:
        def leave(store: LayerStore) -> Path:
            place = tmp_path / "store" / "volumes" / VOLUME / "0123456789abcdef"
            (place / "tree").mkdir(parents=True)
            (place / "tree" / "half").write_bytes(b"written")
            return place

        return leave
