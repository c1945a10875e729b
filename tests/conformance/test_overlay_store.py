"""`OverlayLayerStore` keeps the rules of every layer store, in images and in plain directories."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.workspace import kernel
from sandbox.workspace.leases import Lease
from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_store_suite import VOLUME, LayerStoreSuite


class OverlayRig:
    """Opens stores on one root as processes would, and takes everything down again."""

    def __init__(self, root: Path, hard_limits: bool) -> None:
        root.mkdir()
        self.root = root
        self.lease = Lease.acquire(root)
        self._hard_limits = hard_limits

    def open(self) -> OverlayLayerStore:
        register = Register(self.root / "journal.db", durable=False)
        return OverlayLayerStore(
            self.root, register, KernelMounter(), lease=self.lease.name, hard_limits=self._hard_limits
        )

    def close(self) -> None:
        self.lease.release()
        assert kernel.mounts_below(os.fspath(self.root)) == []


@pytest.mark.root
class TestOverlayLayerStore(LayerStoreSuite):
    hard_limits = True

    @pytest.fixture
    def overlay(self, disk_tmp: Path) -> Iterator[OverlayRig]:
        rig = OverlayRig(disk_tmp / "store", self.hard_limits)
        yield rig
        rig.close()

    @pytest.fixture
    def make_store(self, overlay: OverlayRig) -> Callable[[], LayerStore]:
        return overlay.open

    @pytest.fixture
    def new_slot(self, overlay: OverlayRig) -> Callable[[], Path]:
        numbers = itertools.count()

        def make() -> Path:
            slot = overlay.root / "mnt" / "slots" / f"{overlay.lease.name}-{next(numbers)}"
            slot.mkdir(parents=True)
            return slot

        return make

    @pytest.fixture
    def leave_rubbish(self, overlay: OverlayRig) -> Callable[[LayerStore], Path]:
        def leave(store: LayerStore) -> Path:
            volumes = overlay.root / ("mnt/volumes" if self.hard_limits else "volumes")
            place = volumes / VOLUME / "layers" / "half"
            place.mkdir()
            (place / "half").write_bytes(b"written")
            return place

        return leave


class TestOverlayLayerStoreInPlainDirectories(TestOverlayLayerStore):
    hard_limits = False
