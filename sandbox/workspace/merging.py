"""Keeps the merged segments of one open volume: knows which there are, and builds what is wanted bit by bit."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final

from sandbox.errors import SandboxError
from sandbox.failpoints import SandboxPoint, reached
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.segments import Merger, Segment, Source, missing, visible
from sandbox.workspace.shelf import Shelf

_LOG: Final = logging.getLogger(__name__)
_DONE: Final = object()


class SegmentKeeper:
    """The segments of `volume`. Not thread-safe: the store locks.

    manifest_of: the manifest of any segment, built or not.
    """

    def __init__(
        self,
        volume: VolumeId,
        shelf: Shelf,
        mounter: Mounter,
        lease: str,
        manifest_of: Callable[[Segment], Manifest],
    ) -> None:
        self._volume = volume
        self._shelf = shelf
        self._mounter = mounter
        self._lease = lease
        self._manifest_of = manifest_of
        self._built = {place for place in shelf.listed("merged") if not place.startswith(".")}
        self._refused: set[str] = set()
        self._wanted: deque[Segment] = deque()
        self._current: tuple[Segment, Merger, Generator[None, None, None]] | None = None

    def is_built(self, segment: Segment) -> bool:
        """Whether it can be mounted."""
        return segment.place in self._built

    def verify(self) -> None:
        """Throw away segments that are not whole; they will be built again."""
        for place in sorted(self._built):
            if not self._shelf.is_whole(place):
                self._drop(place)

    def want(self, stack: Sequence[Segment]) -> None:
        """Build what is missing of this stack, in time."""
        waiting = {segment.place for segment in self._wanted}
        if self._current is not None:
            waiting.add(self._current[0].place)
        for segment in missing(stack, self.is_built):
            if segment.volume == self._volume and segment.place not in waiting | self._refused:
                self._wanted.append(segment)

    def advance(self, entries: int) -> bool:
        """Build as much as `entries` links are worth; False when there is nothing left to do."""
        while entries > 0:
            if self._current is None and not self._start():
                return False
            if self._current is None:
                continue
            segment, merger, work = self._current
            try:
                reached(SandboxPoint.MERGING)
                if next(work, _DONE) is _DONE:
                    self._finish(segment, merger)
            except (OSError, SandboxError) as error:
                self._give_up(segment, error)
            entries -= 1
        return True

    def remove(self, top: LayerName) -> None:
        """Delete the segments that have this layer, which nothing stands on, and build none any more."""
        self._wanted = deque(segment for segment in self._wanted if segment.top != top)
        if self._current is not None and self._current[0].top == top:
            self.stop()
        for place in [place for place in self._built if place.partition("-")[2] == top]:
            self._drop(place)

    def stop(self) -> None:
        """Give up what is being built; it is begun anew when it is wanted again. Idempotent."""
        if self._current is not None:
            segment, _, work = self._current
            self._current = None
            work.close()
            self._clear(segment)

    def _start(self) -> bool:
        """Begin with the next; False when nothing is wanted."""
        if not self._wanted:
            return False
        segment = self._wanted.popleft()
        if self.is_built(segment):
            return True
        try:
            self._clear(segment)
            sources = [self._source(part) for part in visible(segment.parts, self.is_built)]
            merger = Merger(self._making(segment), sources)
            self._current = (segment, merger, merger.work())
        except (OSError, SandboxError) as error:
            self._give_up(segment, error)
        return True

    def _source(self, part: Segment) -> Source:
        directory = self._shelf.merged(part.place) if part.level else self._shelf.layer(part.place)
        return Source(directory, self._manifest_of(part))

    def _finish(self, segment: Segment, merger: Merger) -> None:
        self._current = None
        opaque = merger.opaque()
        if opaque:
            self._mounter.set_opaque(self._making(segment), opaque)
        self._shelf.write_contents(segment.place, merger.manifest)
        reached(SandboxPoint.MERGED)
        target = self._shelf.merged(segment.place)
        if target.exists():
            self._clear(segment)  # another process was quicker
        else:
            self._making(segment).rename(target)
            reached(SandboxPoint.MERGE_PLACED)
        self._built.add(segment.place)

    def _give_up(self, segment: Segment, error: Exception) -> None:
        """Nothing is lost but speed, so the step goes on."""
        _LOG.warning("layers up to %s are not merged: %s", segment.top, error)
        self._current = None
        self._refused.add(segment.place)
        self._clear(segment)

    def _making(self, segment: Segment) -> Path:
        return self._shelf.merged(f".{self._lease}-{segment.place}")

    def _clear(self, segment: Segment) -> None:
        if self._making(segment).exists():
            self._shelf.delete(self._making(segment))

    def _drop(self, place: str) -> None:
        self._built.discard(place)
        self._shelf.forget(place)
        self._shelf.delete(self._shelf.merged(place))
