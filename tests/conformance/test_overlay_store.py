"""`OverlayLayerStore` keeps the rules of every layer store: in images, in plain directories, and as a user who is
not root and has a mount service do what only root may."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pytest

import sandbox
from sandbox.spec import SANDBOX_UID
from sandbox.workspace import kernel
from sandbox.workspace.leases import Lease
from sandbox.workspace.mounts import KernelMounter, RemoteMounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_rig import VOLUME, Rig
from tests.conformance.layer_store_suite import LayerStoreSuite


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


_SET_DUMPABLE = 4
_SERVICE = """\
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("sandbox.workspace.mount_service", run_name="__main__")
"""


def _become(uid: int) -> None:
    """All ids but the saved one, so that there is a way back."""
    if uid:
        os.setresgid(uid, uid, 0)
        os.setresuid(uid, uid, 0)
    else:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1)  # else /proc/self is not our own


class TestOverlayLayerStoreOfAnOrdinaryUser(LayerStoreSuite):
    """The user has the sandbox's own uid: whoever writes through a mount here is the test itself."""

    pytestmark = pytest.mark.root

    @pytest.fixture
    def tmp_path(self, disk_tmp: Path) -> Iterator[Path]:
        """The user's own directory, in which the store is on a shared mount; from here on the test is the user."""
        home = disk_tmp / "home"
        (home / "store").mkdir(parents=True)
        disk_tmp.chmod(0o755)
        for directory in (home, home / "store"):
            os.chown(directory, SANDBOX_UID, SANDBOX_UID)
        kernel.share(os.fspath(home / "store"))
        _become(SANDBOX_UID)
        yield home
        _become(0)
        kernel.unmount(os.fspath(home / "store"))
        assert kernel.mounts_below(os.fspath(disk_tmp)) == []

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Iterator[Callable[[], LayerStore]]:
        _become(0)
        root = os.fspath(Path(sandbox.__file__).parents[1])
        command = [sys.executable, "-I", "-c", _SERVICE, root, os.fspath(tmp_path / "store")]
        command += [os.fspath(tmp_path / name) for name in ("project",)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as service:
            requests, answers = cast(BinaryIO, service.stdin), cast(BinaryIO, service.stdout)
            places = [(tmp_path / name, PurePosixPath(tmp_path / name)) for name in ("store", "project")]
            mounter = RemoteMounter(requests, answers, places)
            _become(SANDBOX_UID)

            def make() -> LayerStore:
                register = Register(tmp_path / "store" / "journal.db", durable=False)
                return OverlayLayerStore(tmp_path / "store", register, mounter)

            yield make
            mounter.close()
            assert service.wait(10) == 0

    @pytest.fixture
    def new_slot(self, tmp_path: Path) -> Iterator[Callable[[], Path]]:
        lease = Lease.acquire(tmp_path / "store")
        numbers = itertools.count()

        def make() -> Path:
            slot = tmp_path / "store" / "mnt" / "slots" / f"{lease.name}-{next(numbers)}"
            slot.mkdir()
            return slot

        yield make
        lease.release()

    @pytest.fixture
    def leave_rubbish(self, tmp_path: Path) -> Callable[[LayerStore], Path]:
        def leave(store: LayerStore) -> Path:
            place = tmp_path / "store" / "mnt" / "volumes" / VOLUME / "layers" / "half"
            place.mkdir()
            (place / "half").write_bytes(b"written")
            return place

        return leave

    def test_a_base_with_something_mounted_in_it_is_refused(self, rig: Rig) -> None:
        """The rule needs root to make the mount; the check is the same for all."""
