"""File contents by their sha256, compressed, each kept once: what applies replaced.

    objects/<2 hex>/<62 hex>      a zlib stream of the content

A content is published by a rename after it was written, read back and compared, and is on the disk once
`settle` returned; one that a power cut tore is noticed, and written again, when it is kept the next time.
Whoever is about to refer to contents holds `keeping`; `sweep` waits for them. The directory is readable
by its owner alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Collection, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from engine.checkpoints.names import SYNC_ALL_FROM, sync_directory, sync_file_system
from engine.errors import BackupCorruptError

_CHUNK: Final = 1 << 20
_LEVEL: Final = 3
"""Backups are written while the user waits and read hardly ever."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What `sweep` removed."""

    contents: int
    disk_bytes: int


class ContentStore:
    """The contents under one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._objects = directory / "objects"
        self._objects.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Nothing is swept during the block: hold it from the first `put` until something refers to it."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        fd = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def put(self, source_fd: int) -> str:
        """Keep what is in the open file from its current offset to its end; returns its sha256 (hex).

        It lasts only after `settle`.
        Raises OSError: no room. BackupCorruptError: what was written does not read back as it was.
        """
        unfinished = self.directory / f".unfinished-{os.getpid()}-{secrets.token_hex(4)}"
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as target:
                digest = _compress(source_fd, target)
            if self._is_sound(digest):
                unfinished.unlink()
                return digest
            _check(unfinished, digest)
            final = self._path(digest)
            final.parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(unfinished, final)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return digest

    def settle(self, digests: Collection[str]) -> None:
        """Have these contents on the disk. Raises OSError: it cannot be done, or one is not kept."""
        if len(digests) >= SYNC_ALL_FROM:
            sync_file_system(self.directory)
            return
        for digest in digests:
            with self._path(digest).open("rb") as file:
                os.fsync(file.fileno())
        for directory in {self._path(digest).parent for digest in digests}:
            sync_directory(directory)
        sync_directory(self._objects)

    def has(self, digest: str) -> bool:
        """Whether this content is kept."""
        return self._path(digest).is_file()

    def _is_sound(self, digest: str) -> bool:
        try:
            return self.has(digest) and self.verify(digest) >= 0
        except BackupCorruptError:
            return False  # it is written again, whole this time

    def read(self, digest: str) -> Iterator[bytes]:
        """The content in chunks.

        Raises BackupCorruptError: it is not there or damaged, found by the end at the latest; what came
        before is not to be used then.
        """
        return _read(self._path(digest), digest)

    def verify(self, digest: str) -> int:
        """Read the content back and compare; returns its size in bytes. Raises BackupCorruptError."""
        return sum(len(chunk) for chunk in self.read(digest))

    def disk_bytes(self, digest: str) -> int:
        """What the content takes compressed; 0 when it is not kept."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def sweep(self, referred: Callable[[], Container[str]]) -> Swept:
        """Remove the contents that are not among `referred`, which is asked once nobody is `keeping`."""
        with self._locked(fcntl.LOCK_EX):
            wanted = referred()
            gone = size = 0
            for path in self._objects.glob("??/*"):
                if path.parent.name + path.name not in wanted:
                    size += path.stat().st_size
                    path.unlink()
                    gone += 1
            for path in self.directory.glob(".unfinished-*"):
                path.unlink()
        return Swept(gone, size)

    def _path(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest[2:]


def _compress(source_fd: int, target: BinaryIO) -> str:
    hasher = hashlib.sha256()
    compressor = zlib.compressobj(_LEVEL)
    while chunk := os.read(source_fd, _CHUNK):
        hasher.update(chunk)
        target.write(compressor.compress(chunk))
    target.write(compressor.flush())
    return hasher.hexdigest()


def _check(path: Path, digest: str) -> None:
    for _ in _read(path, digest):
        pass


def _read(path: Path, digest: str) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    stream = zlib.decompressobj()
    try:
        with path.open("rb") as source:
            while compressed := source.read(_CHUNK):
                while compressed:
                    chunk = stream.decompress(compressed, _CHUNK)
                    compressed = stream.unconsumed_tail
                    hasher.update(chunk)
                    yield chunk
    except (OSError, zlib.error) as error:
        raise BackupCorruptError(digest, str(error)) from error
    if not stream.eof or stream.unused_data or hasher.hexdigest() != digest:
        raise BackupCorruptError(digest, "it does not have the content that its name tells")
