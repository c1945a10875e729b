"""`CopyingLayerStore` against the model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.store import LayerStore
from tests.property.layer_model import LayerModelSuite


class TestCopyingModel(LayerModelSuite):
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
