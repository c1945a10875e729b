"""Setting a store's directories up, finding what died with a process, and whether mounts work here at all."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Final

from sandbox.errors import HostDiskFullError, MountError
from sandbox.spec import SANDBOX_UID
from sandbox.workspace import kernel
from sandbox.workspace.layer import DiskLimit, VolumeId
from sandbox.workspace.leases import is_live
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.register import Register
from sandbox.workspace.shelf import Shelf
from sandbox.workspace.volumes import FormatError, Volumes

_RETRY_S: Final = 0.005


class SharedMount:
    """A store's `mnt`, a shared mount of itself for as long as a process needs it. Not thread-safe."""

    def __init__(self, mnt: Path, mounter: Mounter) -> None:
        self._mnt = mnt
        self._mounter = mounter
        self._lock = -1

    def hold(self) -> None:
        """Make it one, before anything is mounted below it or bound from it. Idempotent. Raises MountError."""
        if self._lock >= 0:
            return
        lock = os.open(self._mnt.with_name("mnt.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.geteuid() != 0:
                # It stays what it is: shared with the mount that it is on. No need to be alone for finding that out.
                self._mounter.share(self._mnt)
                self._lock = lock
                return
            while not self._is_mounted():
                # Never waited for: who is quicker mounts it, and then shares the lock for as long as it lives.
                if _alone(lock):
                    self._mounter.share(self._mnt)
                else:
                    time.sleep(_RETRY_S)
                # Not atomic: somebody may let go of it before we have it. (One that was refused may be lost, too.)
                fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _is_mounted(self) -> bool:
        return kernel.mount_at(os.fspath(self._mnt)) is not None

    def let_go(self) -> None:
        """Who lets go last takes it away, unless something is still mounted in it. Idempotent."""
        lock, self._lock = self._lock, -1
        if lock < 0:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not kernel.mounts_below(os.fspath(self._mnt)):
                self._mounter.unmount(self._mnt)
        except BlockingIOError:
            return  # another process uses it
        finally:
            os.close(lock)


def _alone(lock: int) -> bool:
    """Have the lock for ourselves, if nobody else has it now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lease_of(name: str) -> str:
    """The lease that the name of a slot, a place or a work directory begins with."""
    return name.partition("-")[0]


def unmount_dead(root: Path, slots: Path, mounter: Mounter) -> list[str]:
    """Unmount and remove the slots of dead processes, if nothing uses them any more; says which."""
    done = []
    for slot in sorted(slots.iterdir()):
        if is_live(root, lease_of(slot.name)):
            continue
        try:
            mounter.unmount(slot)
            slot.rmdir()
        except (MountError, OSError):
            continue  # its container still lives: the reaper's task, then ours again
        done.append(os.fspath(slot.relative_to(root)))
    return done


def unnamed(root: Path, volume: VolumeId, shelf: Shelf, register: Register) -> list[Path]:
    """What is in an open volume, that no row names and no live process works on.

    The rows are read after the directories: a row is there before its directory is.
    """
    found = [
        (kind, name) for kind in ("layers", "manifests", "merged", "contents", "work") for name in shelf.listed(kind)
    ]
    rows = register.of_volume(volume)
    places = {row.place for row in rows if not row.layer.empty}
    names = {row.layer.id for row in rows}

    def is_rubbish(kind: str, name: str) -> bool:
        if kind == "work" or name.startswith("."):
            return not is_live(root, lease_of(name.lstrip(".")))
        return name not in places if kind in ("layers", "manifests") else name.partition("-")[2] not in names

    return [shelf.root / kind / name for kind, name in found if is_rubbish(kind, name)]


def overlay_refused(mounter: Mounter, root: Path, base: Path | None = None) -> str | None:
    """Why layers over `base` (without: over a directory of the store) cannot be mounted here; None when they can.

    Really mounts one, with owners swapped, and unmounts it.
    """
    probe = _probe_directory(root)
    try:
        for name in ("lower", "upper", "work", "target"):
            (probe / name).mkdir()
        swap = (os.getuid(), os.getgid(), SANDBOX_UID)
        target = probe / "target"
        mounter.mount_overlay([base or probe / "lower"], probe / "upper", probe / "work", target, swap)
        mounter.unmount(target)
    except MountError as error:
        return error.reason
    finally:
        _discard(probe, mounter)
    return None


def images_refused(mounter: Mounter, root: Path) -> str | None:
    """Why volumes cannot be images here; None when they can. Really makes a small one."""
    probe = _probe_directory(root)
    limit = DiskLimit(1, 64)
    volumes = Volumes(probe, probe / "mounted", mounter)
    try:
        volumes.create(VolumeId("probe"), limit, (os.getuid(), os.getgid()))
        volumes.abandon(VolumeId("probe"))
    except (MountError, FormatError, HostDiskFullError) as error:
        return str(error)
    finally:
        _discard(probe, mounter)
    return None


def _probe_directory(root: Path) -> Path:
    probe = root / "mnt" / f"probe-{secrets.token_hex(6)}"
    probe.mkdir(mode=0o700, parents=True)
    return probe


def _discard(probe: Path, mounter: Mounter) -> None:
    """What overlayfs left in the work directory belongs to root."""
    try:
        shutil.rmtree(probe)
    except PermissionError:
        mounter.discard(probe)
