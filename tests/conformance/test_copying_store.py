"""`CopyingLayerStore` keeps the rules of every layer store."""

from __future__ import annotations

import itertools
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.errors import LayerCorruptError, TreeRefusedError
from sandbox.spec import SANDBOX_UID
from sandbox.workspace import copying
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.layer import LayerKey, LayerName
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_rig import LIMIT, VOLUME
from tests.conformance.layer_store_suite import LayerStoreSuite


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


# -- what only this store has to get right -------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "d").mkdir(parents=True)
    (project / "d" / "file").write_bytes(b"content")
    (project / "secret").write_bytes(b"secret")
    return project


@pytest.fixture
def store(tmp_path: Path, project: Path) -> Iterator[CopyingLayerStore]:
    store = CopyingLayerStore(tmp_path / "store")
    store.create_volume(VOLUME, project, LIMIT)
    yield store
    store.close()


def places(tmp_path: Path) -> set[str]:
    return set(os.listdir(tmp_path / "store" / "volumes" / VOLUME)) - {"lock"}


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, project: Path, store: CopyingLayerStore) -> None:
    os.makedirs(project / Path(*["d"] * 130))
    with pytest.raises(TreeRefusedError):
        store.prepare(LayerKey("key"), None, VOLUME)
    assert places(tmp_path) == set()
    assert list(store.walk()) == []


def test_a_device_in_a_copy_is_refused(store: CopyingLayerStore) -> None:
    store.prepare(LayerKey("key"), None, VOLUME)
    os.mknod(store.upper(LayerKey("key")) / "forged", stat.S_IFCHR)
    with pytest.raises(TreeRefusedError, match="device"):
        store.commit(LayerKey("key"), LayerName("name"))


def test_a_layer_on_one_with_a_mask_of_its_own_has_the_volumes_mask_again(tmp_path: Path, project: Path) -> None:
    store = CopyingLayerStore(tmp_path / "store")
    store.create_volume(VOLUME, project, LIMIT, hide=Manifest([Entry(b"secret", EntryKind.WHITEOUT)]))
    store.prepare(LayerKey("k1"), None, VOLUME, hide=Manifest([Entry(b"d", EntryKind.WHITEOUT)]))
    tree = store.mount(LayerKey("k1"), tmp_path)
    assert {path.name for path in tree.iterdir()} == {"secret"}
    (tree / "new").write_bytes(b"new")
    store.unmount(LayerKey("k1"))
    store.commit(LayerKey("k1"), LayerName("one"))
    store.prepare(LayerKey("k2"), LayerName("one"), VOLUME)
    assert {path.name for path in store.upper(LayerKey("k2")).iterdir()} == {"d", "new"}
    store.close()


def test_a_manifest_that_was_changed_on_disk_is_found_out(tmp_path: Path, store: CopyingLayerStore) -> None:
    store.prepare(LayerKey("key"), None, VOLUME)
    store.commit(LayerKey("key"), LayerName("name"))
    (place,) = places(tmp_path)
    path = tmp_path / "store" / "volumes" / VOLUME / place / "manifest"
    path.write_bytes(Manifest([Entry(b"secret", EntryKind.WHITEOUT)]).to_bytes())
    with pytest.raises(LayerCorruptError):
        store.manifest(LayerName("name"))
    path.unlink()
    with pytest.raises(LayerCorruptError):
        store.manifest(LayerName("name"))


@pytest.mark.parametrize("change", ["chmod", "utime", "remove", "replace", "resurrect"])
def test_any_change_of_a_sealed_copy_is_found_out(tmp_path: Path, store: CopyingLayerStore, change: str) -> None:
    store.prepare(LayerKey("key"), None, VOLUME)
    tree = store.mount(LayerKey("key"), tmp_path)
    (tree / "new").write_bytes(b"new")
    (tree / "secret").unlink()
    store.unmount(LayerKey("key"))
    store.commit(LayerKey("key"), LayerName("name"))
    if change == "chmod":
        (tree / "new").chmod(0o777)
    elif change == "utime":
        os.utime(tree / "new", ns=(0, 1))
    elif change == "resurrect":
        (tree / "secret").write_bytes(b"")
    else:
        (tree / "new").unlink()
    if change == "replace":
        (tree / "new").symlink_to("/etc/passwd")
    store.close()
    again = CopyingLayerStore(tmp_path / "store")
    with pytest.raises(LayerCorruptError):
        again.open_volume(VOLUME)
    again.close()


@pytest.mark.root
def test_copies_made_by_root_belong_to_the_sandbox(store: CopyingLayerStore) -> None:
    store.prepare(LayerKey("key"), None, VOLUME)
    tree = store.upper(LayerKey("key"))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in [tree, *tree.rglob("*")]}
    assert owners == {(SANDBOX_UID, SANDBOX_UID)}


def test_what_another_process_is_making_is_not_rubbish(tmp_path: Path, store: CopyingLayerStore) -> None:
    other = CopyingLayerStore(tmp_path / "store")
    (tmp_path / "store" / "volumes" / VOLUME / "half").mkdir()
    assert other.cleanup() == []
    store.close_volume(VOLUME)
    assert other.cleanup() == [f"volumes/{VOLUME}/half"]
    other.close()


MOMENTS = ["copy_tree", "scan", "Register.add", "difference", "_libc.syncfs", "Register.seal", "after seal"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_a_layer_is_active_or_committed_or_was_never_there(
    tmp_path: Path, store: CopyingLayerStore, moment: str
) -> None:
    store.close()
    child = os.fork()
    if child == 0:
        _prepare_and_commit_and_die(tmp_path / "store", moment)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    again = CopyingLayerStore(tmp_path / "store")
    again.cleanup()
    again.open_volume(VOLUME)
    rows = {layer.id: layer.kind for layer in again.walk()}
    before_the_row, sealed = moment in MOMENTS[:3], moment == "after seal"
    assert rows == ({} if before_the_row else {"name": "committed"} if sealed else {"key": "active"})
    assert len(places(tmp_path)) == len(rows)
    if "key" in rows:
        again.commit(LayerKey("key"), LayerName("name"))
    if rows:
        assert {entry.path for entry in again.manifest(LayerName("name"))} == {b"new"}
    assert again.cleanup() == []
    again.close()


def _prepare_and_commit_and_die(root: Path, moment: str) -> None:
    def die(*arguments: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    owner: object = copying
    name = moment
    if "." in moment:
        owner, name = getattr(copying, moment.split(".")[0]), moment.split(".")[1]
    if moment == "after seal":
        owner, name = Path, "unlink"
    setattr(owner, name, die)
    try:
        store = CopyingLayerStore(root)
        store.open_volume(VOLUME)
        store.prepare(LayerKey("key"), None, VOLUME)
        (store.upper(LayerKey("key")) / "new").write_bytes(b"new")
        store.commit(LayerKey("key"), LayerName("name"))
    finally:
        os._exit(1)  # nothing of this process may run the tests that follow
