"""Rules for every test.

A test marked `docker` needs the engine: without one it fails, because a suite that skips its core says nothing. A
test marked `root` is skipped for other users. Code of the engine that blocks its event loop fails the test. When
the whole suite has run, nothing of it may be left on the machine; of a part of it, what is left is only reported,
because other work may be going on at the same time.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.leftovers import ENGINE_SOCKET, Observation, ask_engine, observe

_SETTLE_SECONDS: Final = 15
"""What is being removed in the background when the last test ends has this long to be gone."""

_BEFORE = pytest.StashKey[Observation]()
_LEFT = pytest.StashKey[list[str]]()
_ENGINE = pytest.StashKey[str]()

_MEMORY_FILE_SYSTEMS: Final = ("tmpfs", "ramfs", "overlay")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")
    if item.get_closest_marker("docker"):
        stash = item.config.stash
        if _ENGINE not in stash:
            stash[_ENGINE] = _why_no_engine()
        if stash[_ENGINE]:
            pytest.fail(f"no Docker engine on {ENGINE_SOCKET}: {stash[_ENGINE]} (fix: make setup)", pytrace=False)


def _why_no_engine() -> str:
    try:
        answer = ask_engine("/_ping")
    except OSError as error:
        return error.strerror or str(error)
    return "" if answer == "OK" else f"it answered {answer!r}"


@pytest.fixture(autouse=True)
def _loop_is_never_blocked(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """A blocking call made by code of `engine` on the event loop raises BlockingError."""
    if not inspect.iscoroutinefunction(getattr(request, "function", None)):
        yield None
        return
    with blockbuster_ctx("engine") as guard:
        yield guard


@pytest.fixture(scope="session", autouse=True)
def _grpc_stays_up() -> Iterator[None]:
    """gRPC's poller ends with the suite, not with the last channel.

    The collector frees channels and calls whenever it runs; the last one freed makes gRPC join its poller's thread,
    on the event loop of whichever test runs then, and that test would fail for it.
    """
    grpc.aio.init_grpc_aio()
    yield
    grpc.aio.shutdown_grpc_aio()


def disk_directory() -> Path:
    """A directory on a real disk: overlay upper layers and loop images do not work on every file system."""
    for candidate in (os.environ.get("SANDSTONE_TEST_DIR", ""), "/var/tmp", str(Path(__file__).parents[1] / ".build")):
        if candidate and Path(candidate).is_dir() and _file_system(Path(candidate)) not in _MEMORY_FILE_SYSTEMS:
            return Path(candidate)
    pytest.fail("no directory on a real disk (fix: SANDSTONE_TEST_DIR=/some/directory)", pytrace=False)


def _file_system(directory: Path) -> str:
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[2] == wanted:
            return line.partition(" - ")[2].split()[0]
    return ""


@pytest.fixture
def disk_tmp() -> Iterator[Path]:
    """A throw-away directory on a real disk. Whatever the test mounts below it, it must unmount."""
    directory = Path(tempfile.mkdtemp(prefix="sandstone-test-", dir=disk_directory()))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def sandstone_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A throw-away $SANDSTONE_HOME on a real disk. Whatever the test mounts below it, it must unmount."""
    home = Path(tempfile.mkdtemp(prefix="sandstone-home-", dir=disk_directory()))
    monkeypatch.setenv("SANDSTONE_HOME", str(home))
    yield home
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(home) in line]
    # The home's own shared mount is the store's to keep for as long as the store is there.
    assert not [mount for mount in mounted if not mount.endswith("/mnt")], f"still mounted: {mounted}"
    for mount in mounted:
        _unmount(mount)
    shutil.rmtree(home)


def _unmount(target: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(target), 0) != 0:
        raise OSError(ctypes.get_errno(), f"cannot unmount {target}")


# -- nothing is left -----------------------------------------------------------------------------------------------


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_BEFORE] = observe()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    whole_suite = not session.config.option.file_or_dir
    left = _left(session.config.stash[_BEFORE], _SETTLE_SECONDS if whole_suite else 0)
    session.config.stash[_LEFT] = left
    if left and whole_suite and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left(before: Observation, settle_seconds: float) -> list[str]:
    deadline = time.monotonic() + settle_seconds
    while True:
        left = observe().new_since(before)
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.2)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"LEFT BEHIND {line}", red=True)
