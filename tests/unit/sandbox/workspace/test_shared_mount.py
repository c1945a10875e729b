"""A store's `mnt` is made a shared mount by whoever comes first; those who come at the same time do not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.workspace import kernel
from sandbox.workspace.care import SharedMount
from sandbox.workspace.mounts import KernelMounter

pytestmark = pytest.mark.root


class LateLooker(SharedMount):
    """Looks just before another process has mounted it."""

    looked = False

    def _is_mounted(self) -> bool:
        before, self.looked = self.looked, True
        return before and super()._is_mounted()


@pytest.fixture
def mnt(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "mnt"
    made.mkdir()
    yield made
    assert kernel.mount_at(str(made)) is None


def test_who_comes_a_moment_later_does_not_wait_for_the_end_of_the_first(mnt: Path) -> None:
    first, second = SharedMount(mnt, KernelMounter()), LateLooker(mnt, KernelMounter())
    first.hold()
    holding = threading.Thread(target=second.hold, daemon=True)
    holding.start()
    holding.join(20)
    late = holding.is_alive()
    first.let_go()
    holding.join(20)
    assert kernel.mount_at(str(mnt)) is not None
    second.let_go()
    assert not late


def test_many_at_once_share_one_mount(mnt: Path) -> None:
    shares = [SharedMount(mnt, KernelMounter()) for _ in range(8)]
    threads = [threading.Thread(target=share.hold, daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert kernel.mount_at(str(mnt)) is not None
    for share in shares:
        share.let_go()
