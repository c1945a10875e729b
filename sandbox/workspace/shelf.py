"""How an open volume is laid out, and reading and writing in it. Only the manifests may be used by several threads.

    layers/<place>       what a layer changed: the upper directory, in its place for life
    manifests/<place>    its manifest
    merged/<n>-<name>    merged segments; names with a dot in front are being built
    contents/<n>-<name>  the manifest of a merged segment, with its digest at the end
    masks/<digest>       whiteouts that lie directly above the base; `none` is an empty directory
    work/<lease>-<n>     what overlayfs works in, used again and again

The controller alone writes all names here; only what is inside a layer was written by hostile code.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import threading
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from typing import Final

from sandbox.errors import LayerCorruptError, LayerError, TreeRefusedError
from sandbox.workspace.beneath import opened
from sandbox.workspace.changes import BaseTree
from sandbox.workspace.display import display
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import Usage
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.measure import usage_of
from sandbox.workspace.register import Placed
from sandbox.workspace.tree import TreeLimits, entry_of, rmtree, walk

_KEPT_ENTRIES: Final = 100_000
"""Entries of manifests that are kept in memory for one volume; about 300 bytes each."""
_ANY_SIZE: Final = TreeLimits(entries=1 << 40, file_bytes=1 << 62, total_bytes=1 << 62)
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Shelf:
    """The files of one open volume at `root`. owner: uid and gid that its files belong to on disk."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        status = root.stat()
        self.owner: Final = (status.st_uid, status.st_gid)
        self._kept: OrderedDict[str, Manifest] = OrderedDict()
        self._kept_entries = 0
        self._kept_lock = threading.Lock()
        # Held open from the start, so that no write-back error between two syncs is missed.
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in ("layers", "manifests", "merged", "contents", "masks", "work", "masks/none"):
            self._make(self.root / name)

    def close(self) -> None:
        """Give the descriptor back; the volume can be unmounted then. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make(self, directory: Path) -> None:
        directory.mkdir(mode=0o755, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(directory, *self.owner)

    # -- places ----------------------------------------------------------------------------------

    def layer(self, place: str) -> Path:
        """The directory of a layer."""
        return self.root / "layers" / place

    def merged(self, place: str) -> Path:
        """The directory of a merged segment."""
        return self.root / "merged" / place

    @property
    def nothing(self) -> Path:
        """An empty directory."""
        return self.root / "masks" / "none"

    def work(self, name: str) -> Path:
        """A work directory; made when it is not there."""
        directory = self.root / "work" / name
        self._make(directory)
        return directory

    def make_layer(self, place: str, base: os.stat_result) -> None:
        """An empty one. It has the attributes of the base's root, since its own are what a step sees."""
        directory = self.layer(place)
        self._make(directory)
        directory.chmod(stat.S_IMODE(base.st_mode) & 0o777)
        os.utime(directory, ns=(base.st_atime_ns, base.st_mtime_ns))

    def delete(self, directory: Path) -> None:
        """Delete a directory of the volume. Raises TreeRefusedError: the caller may not."""
        with opened(directory.parent) as fd:
            rmtree(fd, os.fsencode(directory.name))

    def listed(self, kind: str) -> list[str]:
        """What is in one of the volume's directories."""
        return sorted(os.listdir(self.root / kind))

    # -- manifests -------------------------------------------------------------------------------

    def write_manifest(self, place: str, manifest: Manifest) -> None:
        """That of a layer. Raises TreeRefusedError: the volume has no room left for it."""
        self._write(self.root / "manifests" / place, manifest.to_bytes())
        self._keep(place, manifest)

    def write_contents(self, place: str, manifest: Manifest) -> None:
        """That of a merged segment. Raises TreeRefusedError: the volume has no room left for it."""
        self._write(self.root / "contents" / place, manifest.to_bytes() + manifest.digest.encode())
        self._keep(place, manifest)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.write_bytes(data)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TreeRefusedError(".", "the volume is too full for the list of what changed") from error

    def layer_manifest(self, row: Placed) -> Manifest:
        """Raises LayerCorruptError: it is not the one that was committed."""
        if row.layer.empty:
            return Manifest()
        kept = self.kept_manifest(row.place)
        if kept is not None:
            return kept
        try:
            data = (self.root / "manifests" / row.place).read_bytes()
        except OSError as error:
            raise LayerCorruptError(row.layer.id, f"its manifest cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != row.layer.digest:
            raise LayerCorruptError(row.layer.id, "its manifest is not the one that was committed")
        return self._keep(row.place, Manifest.from_bytes(data))

    def segment_manifest(self, place: str) -> Manifest | None:
        """None: there is none, or it was cut short."""
        kept = self.kept_manifest(place)
        if kept is not None:
            return kept
        try:
            data = (self.root / "contents" / place).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
            return None
        return self._keep(place, Manifest.from_bytes(data[:-64]))

    def kept_manifest(self, place: str) -> Manifest | None:
        """The manifest of this place if it is still in memory."""
        with self._kept_lock:
            if place in self._kept:
                self._kept.move_to_end(place)
            return self._kept.get(place)

    def _keep(self, place: str, manifest: Manifest) -> Manifest:
        """Remember it, and forget what was not asked for lately."""
        with self._kept_lock:
            old = self._kept.pop(place, None)
            self._kept[place] = manifest
            self._kept_entries += len(manifest) + 1 - (0 if old is None else len(old) + 1)
            while self._kept_entries > _KEPT_ENTRIES and len(self._kept) > 1:
                self._kept_entries -= len(self._kept.popitem(last=False)[1]) + 1
        return manifest

    def forget(self, place: str) -> None:
        """Delete what is listed of a layer or segment, if it is there."""
        with self._kept_lock:
            old = self._kept.pop(place, None)
            self._kept_entries -= 0 if old is None else len(old) + 1
        for kind in ("manifests", "contents"):
            (self.root / kind / place).unlink(missing_ok=True)

    # -- masks -----------------------------------------------------------------------------------

    def mask(self, hide: Manifest, base: Path) -> str:
        """The name of the directory of `masks` with the whiteouts of `hide`; made when it is not there.

        Directories on the way to a whiteout look like those of the base; what is not in the base needs none.
        """
        name = hide.digest[:32]
        target = self.root / "masks" / name
        if target.exists():
            return name
        made = self.root / "masks" / f".{name}"
        if made.exists():
            self.delete(made)
        self._make(made)
        with BaseTree(base) as below, editing(made, below, self.owner) as edit:
            for entry in hide:
                if entry.kind is EntryKind.WHITEOUT:
                    edit.hide(entry.path)
        shutil.copystat(base, made)
        made.rename(target)
        return name

    # -- care ------------------------------------------------------------------------------------

    def sync(self, layer: str) -> None:
        """Put everything written to the volume on the disk. Raises LayerError: it could not be."""
        if _libc.syncfs(self._fd) != 0:
            code = ctypes.get_errno()
            raise LayerError(layer, f"could not be put on the disk: {os.strerror(code)}")

    def usage(self, place: str) -> Usage:
        """What a layer's directory holds, its manifest not counted."""
        with opened(self.layer(place)) as fd:
            return usage_of(fd, _ANY_SIZE)

    def verify(self, row: Placed) -> None:
        """Compare a committed layer with its manifest. Raises LayerCorruptError with the first difference."""
        if row.layer.empty:
            return
        fault = self._fault(self.layer(row.place), self.layer_manifest(row))
        if fault:
            raise LayerCorruptError(row.layer.id, fault)

    def is_whole(self, place: str) -> bool:
        """Whether a merged segment is what its manifest says."""
        manifest = self.segment_manifest(place)
        return manifest is not None and not self._fault(self.merged(place), manifest)

    def _fault(self, directory: Path, manifest: Manifest) -> str:
        seen = 0
        try:
            with opened(directory) as fd, closing(walk(fd, _ANY_SIZE)) as walking:
                for found in walking:
                    seen += 1
                    fault = _difference(manifest.get(found.path), entry_of(found.path, found.stat))
                    if fault:
                        return f"{display(found.path)} {fault}"
        except TreeRefusedError as error:
            return str(error)
        return "" if seen == len(manifest) else f"{len(manifest) - seen} of its entries are missing"


def _difference(expected: Entry | None, found: Entry) -> str:
    if expected is None:
        return "does not belong to it"
    attributes = ("kind", "mode", "size", "mtime_ns")
    wrong = (name for name in attributes if getattr(expected, name) != getattr(found, name))
    return next((f"has another {name}" for name in wrong), "")
