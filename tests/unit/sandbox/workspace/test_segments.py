"""How chains become few directories, and that a merged segment is its parts, merged."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.workspace.beneath import opened
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.segments import WIDTH, Merger, Segment, Source, Stack, missing, push, visible
from sandbox.workspace.tree import scan

HERE, THERE = VolumeId("here"), VolumeId("there")


def stack_of(count: int, volume: VolumeId = HERE, start: Stack = ()) -> Stack:
    stack = start
    for number in range(count):
        stack = push(stack, LayerName(f"n{volume}{number}"), volume, f"p{number}")
    return stack


def layers_in(segments: Stack) -> list[str]:
    found: list[str] = []
    for segment in segments:
        found += layers_in(segment.parts) if segment.level else [segment.top]
    return found


@settings(deadline=None)
@given(st.integers(0, 5000))
def test_a_stack_counts_its_layers_to_the_base_16(count: int) -> None:
    stack = stack_of(count)
    digits = [sum(segment.level == level for segment in stack) for level in range(4)]
    assert sum(digit * WIDTH**level for level, digit in enumerate(digits)) == count
    assert max(digits) < WIDTH
    assert [segment.level for segment in stack] == sorted((s.level for s in stack), reverse=True)
    assert layers_in(stack) == [f"nhere{number}" for number in range(count)]


def test_layers_of_two_volumes_are_never_in_one_segment() -> None:
    stack = stack_of(20, THERE, stack_of(10))
    assert [segment.volume for segment in stack] == [HERE] * 10 + [THERE] * 5
    assert [segment.level for segment in stack] == [0] * 10 + [1] + [0] * 4


def test_what_is_not_built_is_mounted_in_parts_and_wanted_from_the_bottom_up() -> None:
    stack = stack_of(WIDTH**2 + 1)
    nothing = visible(stack, lambda segment: False)
    assert [segment.level for segment in nothing] == [0] * (WIDTH**2 + 1)
    assert [segment.level for segment in missing(stack, lambda segment: False)] == [1] * WIDTH + [2]
    assert visible(stack, lambda segment: True) == list(stack)
    assert list(missing(stack, lambda segment: True)) == []


def _whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))


def _source(directory: Path, opaque: frozenset[bytes] = frozenset()) -> Source:
    with opened(directory) as fd:
        return Source(directory, scan(fd, opaque))


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    bottom, top = tmp_path / "bottom", tmp_path / "top"
    (bottom / "d" / "e").mkdir(parents=True)
    (bottom / "d" / "e" / "f").write_bytes(b"below")
    (bottom / "d" / "gone").write_bytes(b"")
    os.link(bottom / "d" / "e" / "f", bottom / "d" / "again")
    (bottom / "link").symlink_to("d/e/f")
    os.mkfifo(bottom / "fifo")
    os.setxattr(bottom / "d" / "e", "user.x", b"of e")
    (bottom / "d" / "e").chmod(0o750)
    os.utime(bottom / "d" / "e", ns=(1, 1_000_000_007))
    (bottom / "hidden" / "in").mkdir(parents=True)
    (top / "d").mkdir(parents=True)
    (top / "d" / "new").write_bytes(b"above")
    _whiteout(top / "d" / "gone")
    (top / "hidden").mkdir()
    return [_source(bottom), _source(top, frozenset({b"hidden"}))]


def _build(target: Path, sources: list[Source]) -> Manifest:
    merger = Merger(target, sources)
    turns = sum(1 for _ in merger.work())
    directories = sum(entry.kind.value == "dir" for entry in merger.manifest)
    assert turns == len(merger.manifest) + directories
    with opened(target) as fd:
        assert scan(fd, frozenset(merger.opaque())) == merger.manifest
    return merger.manifest


def test_a_built_segment_is_what_its_manifest_says(tmp_path: Path, sources: list[Source]) -> None:
    manifest = _build(tmp_path / "made", sources)
    assert [entry.path for entry in manifest if entry.opaque] == [b"hidden"]
    assert manifest.get(b"hidden/in") is None
    assert os.getxattr(tmp_path / "made" / "d" / "e", "user.x") == b"of e"


def test_content_is_linked_and_not_copied(tmp_path: Path, sources: list[Source]) -> None:
    _build(tmp_path / "made", sources)
    assert (tmp_path / "made/d/e/f").samefile(tmp_path / "bottom/d/e/f")
    assert (tmp_path / "made/d/new").samefile(tmp_path / "top/d/new")


def test_a_file_with_as_many_names_as_it_can_have_is_copied(
    tmp_path: Path, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(31, "Too many links")

    monkeypatch.setattr(os, "link", full)
    manifest = Merger(tmp_path / "made", sources).manifest
    assert manifest.get(b"d/again") is not None
    merger = Merger(tmp_path / "made", sources)
    for _ in merger.work():
        pass
    with opened(tmp_path / "made") as fd:
        made = {e.path: (e.kind, e.mode, e.mtime_ns, e.digest, e.xattrs) for e in scan(fd, frozenset(merger.opaque()))}
    assert made == {e.path: (e.kind, e.mode, e.mtime_ns, e.digest, e.xattrs) for e in manifest}
    assert not (tmp_path / "made/d/new").samefile(tmp_path / "top/d/new")


def test_a_merger_that_is_given_up_holds_nothing_open(tmp_path: Path, sources: list[Source]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    work = Merger(tmp_path / "made", sources).work()
    next(work)
    assert len(os.listdir("/proc/self/fd")) > before
    work.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_segments_of_one_top_layer_have_names_of_their_own() -> None:
    last = stack_of(WIDTH**2)[-1]
    tops = [last, last.parts[-1], last.parts[-1].parts[-1]]
    assert {segment.top for segment in tops} == {last.top}
    assert len({segment.place for segment in tops}) == 3
    assert isinstance(last, Segment)
