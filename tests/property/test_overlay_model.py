"""`OverlayLayerStore` against the model."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register
from sandbox.workspace.store import LayerStore
from tests.property.layer_model import LayerModelSuite


@pytest.mark.root
class TestOverlayModel(LayerModelSuite):
    @pytest.fixture
    def make_store(self, disk_tmp: Path) -> Callable[[], LayerStore]:
        home = disk_tmp / "home"
        home.mkdir()
        return lambda: OverlayLayerStore(home, Register(home / "journal.db"), KernelMounter())

    @pytest.fixture
    def new_slot(self, disk_tmp: Path) -> Callable[[], Path]:
        numbers = itertools.count()

        def make() -> Path:
            slot = disk_tmp / "home" / "mnt" / "slots" / f"x-{next(numbers)}"
            slot.mkdir(parents=True)
            return slot

        return make
