"""Line differences: always right, short where that is cheap, bounded where it is not."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoints.lines import Region, differences, grouped, split_lines

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d"]), max_size=14)


def rebuilt(old: list[bytes], new: list[bytes], regions: list[Region]) -> list[bytes]:
    result: list[bytes] = []
    at = 0
    for region in regions:
        result += old[at : region.old_start]
        assert len(result) == region.new_start
        result += new[region.new_start : region.new_end]
        at = region.old_end
    return result + old[at:]


@given(old=LINES, new=LINES)
def test_regions_make_the_new_text_of_the_old(old: list[bytes], new: list[bytes]) -> None:
    regions = differences(old, new)
    assert rebuilt(old, new, regions) == new
    for before, after in itertools.pairwise(regions):
        assert before.old_end < after.old_start
        assert before.new_end < after.new_start


def test_a_change_in_a_text_of_equal_lines_is_found_exactly() -> None:
    old = [b"x\n"] * 50 + [b"y\n"] + [b"x\n"] * 50
    new = [b"x\n"] * 50 + [b"x\n"] * 50
    (region,) = differences(old, new)
    assert region.old_end - region.old_start == 1
    assert region.new_end == region.new_start


def test_what_costs_too_much_is_taken_as_replaced() -> None:
    old = [b"%d\n" % (n % 7) for n in range(30_000)]
    new = [b"%d\n" % (n * n % 11) for n in range(30_000)]
    regions = differences(old, new)
    assert rebuilt(old, new, regions) == new


def test_only_a_newline_ends_a_line() -> None:
    assert split_lines(b"a\r\nb\x0bc\x85\nd") == [b"a\r\n", b"b\x0bc\x85\n", b"d"]
    assert split_lines(b"") == []
    assert split_lines(b"\n") == [b"\n"]


def test_regions_with_overlapping_context_share_a_hunk() -> None:
    near, far = Region(0, 1, 0, 1), Region(7, 8, 7, 8)
    assert list(grouped([near, far], 3)) == [[near, far]]
    assert list(grouped([near, Region(8, 9, 8, 9)], 3)) == [[near], [Region(8, 9, 8, 9)]]
