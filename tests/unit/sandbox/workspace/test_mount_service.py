"""The mount helper's program and who speaks to it: what it refuses, and what a broken one costs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import pytest

import sandbox
from sandbox.errors import MountError
from sandbox.spec import SANDBOX_UID
from sandbox.workspace import kernel
from sandbox.workspace.mount_service import PARTS, Operations, answer, serve
from sandbox.workspace.mounts import RemoteMounter


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store" / "in").mkdir(parents=True)
    (tmp_path / "base").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "store" / "away").symlink_to(tmp_path / "outside")
    return tmp_path / "store"


def ask(store: Path, operation: object, *arguments: object) -> dict[str, object]:
    operations = Operations(os.fspath(store), [os.fspath(store.parent / "base")])
    return answer(operations, json.dumps({"do": operation, "with": arguments}).encode())


def test_no_path_leads_out_of_the_store(store: Path) -> None:
    inside, outside = os.fspath(store / "in"), os.fspath(store.parent / "outside")
    bad = [outside, f"{inside}/../../outside", f"{store}/away/x", "in", "", None, 7, f"{inside}\0", f"{inside}/..", "/"]
    for path in bad:
        for request in (
            ("unmount", path),
            ("share", path),
            ("trim", path),
            ("discard", path),
            ("bind", path, inside),
            ("bind", inside, path),
            ("attach_image", path, inside),
            ("attach_image", inside, path),
            ("opaque_directories", path),
            ("set_opaque", path, []),
            ("mount_overlay", [inside, path], None, None, inside, None),
            ("mount_overlay", [inside], path or "", inside, inside, None),
            ("mount_overlay", [inside], inside, path or "", inside, None),
            ("mount_overlay", [inside, inside], None, None, path, None),
        ):
            said = ask(store, *request)
            assert str(said.get("error", "")).startswith("refused"), (request, said)
    assert (store.parent / "outside").is_dir()


def test_the_base_is_good_for_a_lower_layer_only(store: Path) -> None:
    base, inside = os.fspath(store.parent / "base"), os.fspath(store / "in")
    for request in (("discard", base), ("unmount", base), ("mount_overlay", [inside], base, inside, inside, None)):
        assert str(ask(store, *request)["error"]).startswith("refused")
    # It is let through to the kernel, which finds that there is no such directory to mount at.
    said = ask(store, "mount_overlay", [inside, base], None, None, f"{inside}/never", None)
    assert "refused" not in str(said["error"])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"do": "__init__", "with": []}',
        b'{"do": "_inside", "with": ["/"]}',
        b'{"do": ["trim"], "with": []}',
        b'{"do": "trim", "with": {}}',
        b'{"do": "trim", "with": []}',
        b'{"do": "probe", "with": [1]}',
    ],
)
def test_what_is_no_request_is_refused_and_the_service_goes_on(store: Path, line: bytes) -> None:
    answers = io.BytesIO()
    again = json.dumps({"do": "unmount", "with": [os.fspath(store / "in")]}).encode()
    serve(Operations(os.fspath(store), []), io.BytesIO(line + b"\n" + again + b"\n"), answers)
    ready, first, second = (json.loads(said) for said in answers.getvalue().splitlines())
    assert ready == {"ok": "ready"}
    assert first["error"].startswith("refused")
    assert second == {"ok": None}


def test_ids_that_are_no_numbers_are_refused(store: Path) -> None:
    inside = os.fspath(store / "in")
    for swap in ("0", [0, 0], [0, 0, "1"], [0, 0, True], {}):
        assert str(ask(store, "mount_overlay", [inside], None, None, inside, swap)["error"]).startswith("refused")


def test_the_kernels_own_errors_are_told_with_their_number(store: Path) -> None:
    said = ask(store, "trim", os.fspath(store / "never"))
    assert said == {"errno": 2, "error": "No such file or directory"}


class _Broken(io.BytesIO):
    def write(self, data: object) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_service_that_is_gone_or_babbles_is_a_mount_error_for_good(tmp_path: Path) -> None:
    places = [(tmp_path, PurePosixPath("/store"))]
    for said in (b"", b"no json\n", b"[]\n", b'{"ok": "ready"'):
        with pytest.raises(MountError, match="gone"):
            RemoteMounter(io.BytesIO(), io.BytesIO(said), places)
    mounter = RemoteMounter(io.BytesIO(), io.BytesIO(b'{"ok": "ready"}\n{"ok": null}\n'), places)
    mounter.unmount(tmp_path / "x")
    for _ in range(2):
        with pytest.raises(MountError, match="it ended"):
            mounter.unmount(tmp_path / "x")
    broken = RemoteMounter(_Broken(), io.BytesIO(b'{"ok": "ready"}\n'), places)
    with pytest.raises(MountError, match="Broken pipe"):
        broken.unmount(tmp_path / "x")


def test_paths_are_told_as_the_service_has_them_and_strange_ones_not_at_all(tmp_path: Path) -> None:
    requests = io.BytesIO()
    places = [(tmp_path / "home", PurePosixPath("/store")), (tmp_path / "odd\udcff", PurePosixPath("/base/0"))]
    mounter = RemoteMounter(requests, io.BytesIO(b'{"ok": "ready"}\n{"ok": null}\n'), places)
    with pytest.raises(MountError, match="does not have"):
        mounter.bind(tmp_path / "homeless", tmp_path / "home" / "x")
    home = tmp_path / "home"
    lowers = [home / "a\udcfe", tmp_path / "odd\udcff"]
    mounter.mount_overlay(lowers, home / "u", home / "w", home / "t", (1, 2, 3))
    sent = json.loads(requests.getvalue())
    assert sent["with"] == [["/store/a\udcfe", "/base/0"], "/store/u", "/store/w", "/store/t", [1, 2, 3]]


def test_a_closed_mounter_says_so(tmp_path: Path) -> None:
    mounter = RemoteMounter(io.BytesIO(), io.BytesIO(b'{"ok": "ready"}\n'), [(tmp_path, PurePosixPath("/store"))])
    mounter.close()
    mounter.close()
    with pytest.raises(MountError, match="closed"):
        mounter.unmount(tmp_path / "x")


@pytest.fixture
def remote(disk_tmp: Path) -> Iterator[RemoteMounter]:
    """A service in a process of its own, run from a zip of its parts and nothing else."""
    root = Path(sandbox.__file__).parent
    with zipfile.ZipFile(disk_tmp / "helper.zip", "w") as archive:
        for part in (*PARTS, "workspace/mount_service"):
            archive.write(root / f"{part}.py", f"sandbox/{part}.py")
    (disk_tmp / "store").mkdir()
    (disk_tmp / "base").mkdir()
    program = "import runpy; runpy.run_module('sandbox.workspace.mount_service', run_name='__main__')"
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(disk_tmp / 'helper.zip')!r}); {program}",
    ]
    command += [os.fspath(disk_tmp / "store"), os.fspath(disk_tmp / "base")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        places = [(disk_tmp / name, PurePosixPath(disk_tmp / name)) for name in ("store", "base")]
        mounter = RemoteMounter(cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout), places)
        yield mounter
        mounter.close()
        assert process.wait(10) == 0


@pytest.mark.root
def test_a_service_with_the_standard_library_only_mounts(remote: RemoteMounter, disk_tmp: Path) -> None:
    store = disk_tmp / "store"
    for name in ("upper", "work", "target"):
        (store / name).mkdir()
    (disk_tmp / "base" / "file").write_bytes(b"x")
    remote.mount_overlay([disk_tmp / "base"], store / "upper", store / "work", store / "target", (0, 0, SANDBOX_UID))
    assert (store / "target" / "file").stat().st_uid == SANDBOX_UID
    remote.unmount(store / "target")
    (store / "upper" / "d").mkdir()
    remote.set_opaque(store / "upper", [b"d"])
    assert remote.opaque_directories(store / "upper") == [b"d"]
    remote.discard(store / "work")
    assert not (store / "work").exists()
    with pytest.raises(MountError) as caught:
        remote.trim(store / "never")
    assert caught.value.errno == 2
    assert remote.probe()["overlay"]


@pytest.mark.root
def test_a_store_on_a_private_mount_is_refused_with_what_helps(remote: RemoteMounter, disk_tmp: Path) -> None:
    around = kernel.mount_around(os.fspath(disk_tmp))
    assert around is not None
    if around.shared:
        remote.share(disk_tmp / "store" / "mnt")
        return
    with pytest.raises(MountError, match="make-rshared"):
        remote.share(disk_tmp / "store" / "mnt")
