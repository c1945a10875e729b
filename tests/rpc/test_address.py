"""Where a controller may listen, what it refuses to touch, and that there is one for each store and socket."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import EnvironmentUnfitError
from engine.rpc.address import (
    ControllerPlace,
    ControllerRecord,
    TcpAddress,
    UnixAddress,
    default_socket,
    parse_address,
    socket_place,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Path of a socket in a directory that is not there yet."""
    return tmp_path / "run" / "s.sock"


def listening(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.fspath(path))
    server.listen()
    return server


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:/a/b.sock", UnixAddress(Path("/a/b.sock"))),
        ("unix:///a/b.sock", UnixAddress(Path("/a/b.sock"))),
        ("/a/b.sock", UnixAddress(Path("/a/b.sock"))),
        ("127.0.0.1:50051", TcpAddress("127.0.0.1", 50051)),
        ("tcp://localhost:0", TcpAddress("localhost", 0)),
        ("[::1]:8080", TcpAddress("[::1]", 8080)),
    ],
)
def test_addresses_are_read(text: str, expected: UnixAddress | TcpAddress) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "here", "host", "host:99999", "host:x", "unix-abstract:a", "http://h:1", "a b:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


def test_the_default_socket_is_in_the_users_runtime_directory() -> None:
    assert default_socket({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == Path("/run/user/7/sandstone/controller.sock")
    assert default_socket({}, 7) == Path("/run/user/7/sandstone/controller.sock")
    no_session = Path("/home/x/.local/state/sandstone/run/sandstone/controller.sock")
    assert default_socket({"HOME": "/home/x"}, 4_000_007) == no_session
    assert default_socket({"XDG_RUNTIME_DIR": "relative"}, 0) == Path("/run/sandstone/controller.sock")


def test_a_new_directory_is_for_its_owner_only(place: Path) -> None:
    with socket_place(place):
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_a_second_controller_on_a_socket_is_refused_and_the_first_keeps_it(place: Path) -> None:
    with socket_place(place), listening(place):
        with pytest.raises(EnvironmentUnfitError, match=f"process {os.getpid()}"), socket_place(place):
            pass
        assert stat.S_ISSOCK(place.lstat().st_mode)
    assert not place.exists()


def test_a_stale_socket_is_taken_over(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    listening(place).close()
    assert place.exists()
    with socket_place(place), listening(place):
        pass
    assert not place.exists()


def test_the_lock_goes_with_the_process_that_held_it(place: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from engine.rpc.address import socket_place\n"
        "with socket_place(Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, os.fspath(place)], check=False)
    assert ended.returncode == -9
    with socket_place(place):
        pass


@pytest.mark.parametrize("kind", ["file", "link", "directory"])
def test_what_is_no_socket_stays_as_it_is(kind: str, place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    target = place.parent / "kept"
    target.write_text("kept")
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.symlink_to(target)
    else:
        place.mkdir()
    before = place.lstat()
    with pytest.raises(EnvironmentUnfitError, match="stays as it is"), socket_place(place):
        pass
    assert place.lstat() == before
    assert target.read_text() == "kept"


def test_a_path_longer_than_the_kernel_takes_is_refused_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    size = len(os.fsencode(path))
    with pytest.raises(EnvironmentUnfitError, match=f"{size} bytes, the kernel takes 107"), socket_place(path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o722])
def test_a_directory_that_others_can_write_is_refused(mode: int, place: Path) -> None:
    place.parent.mkdir()
    place.parent.chmod(mode)
    with pytest.raises(EnvironmentUnfitError, match="others can write") as caught, socket_place(place):
        pass
    assert caught.value.fix == f"chmod 700 {place.parent}"


def test_a_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(EnvironmentUnfitError, match="link"), socket_place(tmp_path / "link/s.sock"):
        pass


@pytest.mark.root
def test_a_directory_of_another_user_is_refused(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    os.chown(place.parent, 12345, 12345)
    with pytest.raises(EnvironmentUnfitError, match="another user"), socket_place(place):
        pass


def test_a_store_has_one_controller_and_tells_where_it_listens(tmp_path: Path) -> None:
    mine, other = ControllerPlace(tmp_path), ControllerPlace(tmp_path)
    record = ControllerRecord(os.getpid(), "unix:/run/s.sock", "i", "0.1.0")
    assert other.find() is None
    with mine.taken():
        assert other.find() is None, "it does not listen yet"
        mine.write(record)
        assert other.find() == record
        with pytest.raises(EnvironmentUnfitError, match="another controller"), other.taken():
            pass
        assert other.find() == record
    assert other.find() is None


def test_a_record_of_a_dead_controller_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "controller.json").write_text('{"pid": 1, "address": "unix:/x", "instance_id": "i", "version": "1"}')
    assert ControllerPlace(tmp_path).find() is None
    (tmp_path / "controller.lock").write_text("1")
    assert ControllerPlace(tmp_path).find() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_record_is_no_controller(text: str, tmp_path: Path) -> None:
    (tmp_path / "controller.json").write_text(text)
    assert ControllerPlace(tmp_path).find() is None


def test_looking_for_a_controller_never_keeps_one_from_starting(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from engine.rpc.address import ControllerPlace, _is_locked\n"
        "for _ in range(20000): _is_locked(Path(sys.argv[1]) / 'controller.lock')\n"
    )
    with ControllerPlace(tmp_path).taken():
        pass
    with subprocess.Popen([sys.executable, "-c", program, os.fspath(tmp_path)]) as looking:
        for _ in range(300):
            with ControllerPlace(tmp_path).taken():
                pass
        looking.kill()
