"""Manifests: their canonical form, and the algebra of stacking them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.workspace.manifest import Entry, EntryKind, Manifest, merge, order

WHITEOUT = EntryKind.WHITEOUT


def file(path: bytes, text: bytes = b"", link: bytes | None = None) -> Entry:
    digest = hashlib.sha256(text).hexdigest()
    return Entry(path, EntryKind.FILE, 0o644, len(text), 7, digest, link=link)


def directory(path: bytes, opaque: bool = False, mode: int = 0o755) -> Entry:
    return Entry(path, EntryKind.DIRECTORY, mode, mtime_ns=7, opaque=opaque)


def gone(path: bytes) -> Entry:
    return Entry(path, WHITEOUT)


def paths(manifest: Manifest) -> list[bytes]:
    return [entry.path for entry in manifest]


# -- one manifest --------------------------------------------------------------------------------


def test_a_directory_comes_before_what_is_in_it_and_nothing_comes_between() -> None:
    manifest = Manifest([file(b"a-b"), file(b"a/z"), directory(b"a"), file(b"a.c"), file(b"b")])
    assert paths(manifest) == [b"a", b"a/z", b"a-b", b"a.c", b"b"]


@pytest.mark.parametrize("path", [b"", b"/a", b"a/", b"a//b", b"./a", b"a/.", b"..", b"a/../b", b"a\0b"])
def test_paths_that_are_none_are_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match="not a path"):
        Manifest([file(path)])


@pytest.mark.parametrize("path", [b"...", b".a", b"a.", b"..a/b..", b"a\nb", b"\xff", b" ", b"~", b"-rf"])
def test_odd_names_are_names(path: bytes) -> None:
    assert Manifest([file(path)]).get(path) == file(path)


def test_a_path_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Manifest([file(b"a"), gone(b"a")])


@pytest.mark.parametrize(
    "entries",
    [
        [file(b"b", link=b"a")],
        [directory(b"a"), file(b"b", link=b"a")],
        [file(b"a", link=b"b"), file(b"b")],
        [file(b"a"), file(b"b", link=b"a"), file(b"c", link=b"b")],
    ],
)
def test_a_link_names_an_earlier_file_that_is_no_link(entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match="linked"):
        Manifest(entries)


def test_children_are_what_is_directly_inside() -> None:
    manifest = Manifest([directory(b"a"), file(b"a/b"), directory(b"a/c"), file(b"a/c/d"), file(b"e")])
    assert [e.path for e in manifest.children(b"a")] == [b"a/b", b"a/c"]
    assert [e.path for e in manifest.children(b"")] == [b"a", b"e"]
    assert list(manifest.children(b"e")) == []


def test_whiteouts_opaque_directories_and_other_entries_hide_what_is_below() -> None:
    manifest = Manifest([gone(b"w"), directory(b"o", opaque=True), directory(b"d"), file(b"f"), file(b"d/x")])
    hidden = [b"w", b"w/a", b"w/a/b", b"o/a", b"f", b"f/a", b"d/x"]
    assert [path for path in hidden if not manifest.hides(path)] == []
    assert [path for path in (b"o", b"d", b"d/y", b"other", b"wx") if manifest.hides(path)] == []


def test_an_opaque_directory_hides_its_inside_and_not_itself() -> None:
    manifest = Manifest([directory(b"o", opaque=True), directory(b"d")])
    assert manifest.hides_inside(b"o")
    assert not manifest.hides(b"o")
    assert not manifest.hides_inside(b"d")
    assert not manifest.hides_inside(b"")


# -- canonical bytes -----------------------------------------------------------------------------

names = st.binary(min_size=1, max_size=6).filter(lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b".."))
tree_paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)


@st.composite
def entries(draw: st.DrawFn, path: bytes) -> Entry:
    kind = draw(st.sampled_from(EntryKind))
    if kind is WHITEOUT:
        return gone(path)
    xattrs = draw(st.dictionaries(names.map(lambda name: b"user." + name), st.binary(max_size=5), max_size=2))
    return Entry(
        path,
        kind,
        draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 1 << 62)) if kind is EntryKind.FILE else 0,
        draw(st.integers(-(1 << 62), 1 << 62)),
        draw(st.sampled_from(["", "0" * 64])) if kind is EntryKind.FILE else "",
        draw(names) if kind is EntryKind.SYMLINK else b"",
        None,
        tuple(sorted(xattrs.items())),
        draw(st.booleans()) if kind is EntryKind.DIRECTORY else False,
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Well-formed as scans make them: every ancestor is there, and is a directory."""
    made: dict[bytes, Entry] = {}
    for path in sorted(draw(st.sets(tree_paths, max_size=8)), key=order):
        parts = path.split(b"/")
        for length in range(1, len(parts)):
            above = b"/".join(parts[:length])
            if made.setdefault(above, directory(above)).kind is not EntryKind.DIRECTORY:
                break
        else:
            made.setdefault(path, draw(entries(path)))
    return Manifest(made.values())


@given(manifests())
def test_bytes_give_the_same_manifest_back(manifest: Manifest) -> None:
    again = Manifest.from_bytes(manifest.to_bytes())
    assert again == manifest
    assert again.digest == manifest.digest == hashlib.sha256(manifest.to_bytes()).hexdigest()


@given(manifests(), manifests())
def test_different_manifests_have_different_bytes(one: Manifest, other: Manifest) -> None:
    assert (one.to_bytes() == other.to_bytes()) == (one == other)


def test_links_survive_the_canonical_form() -> None:
    manifest = Manifest([file(b"a"), file(b"b", link=b"a")])
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_the_order_of_construction_does_not_show() -> None:
    listed = [file(b"a"), directory(b"d"), file(b"d/e"), gone(b"z")]
    assert Manifest(listed).to_bytes() == Manifest(reversed(listed)).to_bytes()


@given(manifests(), st.data())
def test_bytes_cut_short_or_changed_are_refused_or_another_manifest(manifest: Manifest, data: st.DataObject) -> None:
    whole = manifest.to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError):
        Manifest.from_bytes(whole[:cut] + b"\x01")
    flipped = whole[:cut] + bytes([whole[cut] ^ 1]) + whole[cut + 1 :]
    try:
        assert Manifest.from_bytes(flipped).to_bytes() == flipped
    except ValueError:
        return


@pytest.mark.parametrize("number", [b"+5", b"05", b" 5", b"5_0", b"0x5"])
def test_a_number_has_one_way_of_being_written(number: bytes) -> None:
    good = Manifest([replace(file(b"a"), size=5)]).to_bytes()
    assert good.count(b"\x005\x00") == 1
    with pytest.raises(ValueError):
        Manifest.from_bytes(good.replace(b"\x005\x00", b"\x00" + number + b"\x00"))


# -- stacking ------------------------------------------------------------------------------------


def test_the_topmost_entry_wins() -> None:
    assert merge([Manifest([file(b"a", b"1")]), Manifest([file(b"a", b"2")])]).get(b"a") == file(b"a", b"2")


def test_whiteouts_are_kept_because_the_base_may_have_the_path() -> None:
    assert merge([Manifest([file(b"a")]), Manifest([gone(b"a")])]) == Manifest([gone(b"a")])


def test_a_file_written_over_a_whiteout_is_there() -> None:
    assert merge([Manifest([gone(b"a")]), Manifest([file(b"a")])]) == Manifest([file(b"a")])


@pytest.mark.parametrize("cover", [gone(b"d"), file(b"d"), directory(b"d", opaque=True)])
def test_what_hides_a_directory_hides_all_that_is_in_it(cover: Entry) -> None:
    below = Manifest([directory(b"d"), file(b"d/a"), directory(b"d/e"), file(b"d/e/f"), file(b"d.txt")])
    assert merge([below, Manifest([cover])]) == Manifest([cover, file(b"d.txt")])


@pytest.mark.parametrize("below", [gone(b"d"), file(b"d"), directory(b"d", opaque=True)])
def test_a_directory_over_what_hides_becomes_opaque(below: Entry) -> None:
    top = Manifest([directory(b"d", mode=0o700), file(b"d/new")])
    assert merge([Manifest([below]), top]) == Manifest([directory(b"d", opaque=True, mode=0o700), file(b"d/new")])


def test_a_directory_over_a_directory_keeps_the_top_attributes_and_both_contents() -> None:
    below = Manifest([directory(b"d", mode=0o711), file(b"d/a")])
    top = Manifest([directory(b"d", mode=0o700), file(b"d/b")])
    assert merge([below, top]) == Manifest([directory(b"d", mode=0o700), file(b"d/a"), file(b"d/b")])


def test_an_opaque_directory_does_not_hide_what_its_own_layer_has_in_it() -> None:
    bottom = Manifest([directory(b"d"), file(b"d/old")])
    middle = Manifest([directory(b"d", opaque=True), file(b"d/new")])
    top = Manifest([directory(b"d"), file(b"d/newer")])
    expected = Manifest([directory(b"d", opaque=True), file(b"d/new"), file(b"d/newer")])
    assert merge([bottom, middle, top]) == expected


def test_an_opaque_directory_shows_nothing_of_two_layers_further_down() -> None:
    stack = [
        Manifest([directory(b"d"), file(b"d/a")]),
        Manifest([gone(b"d")]),
        Manifest([directory(b"d"), file(b"d/b")]),
    ]
    assert merge(stack) == Manifest([directory(b"d", opaque=True), file(b"d/b")])


def test_a_mask_without_ancestors_merges_with_layers_that_have_them() -> None:
    mask = Manifest([gone(b"a/b/.env")])
    layer = Manifest([directory(b"a"), file(b"a/x")])
    assert merge([mask, layer]) == Manifest([directory(b"a"), file(b"a/x"), gone(b"a/b/.env")])
    assert merge([mask, Manifest([gone(b"a")])]) == Manifest([gone(b"a")])


def test_when_the_first_name_of_a_file_goes_the_others_stay_linked() -> None:
    links = Manifest([file(b"a"), file(b"b", link=b"a"), file(b"c", link=b"a")])
    assert merge([links, Manifest([gone(b"a")])]) == Manifest([gone(b"a"), file(b"b"), file(b"c", link=b"b")])
    replaced = merge([links, Manifest([file(b"a", b"new")]), Manifest([gone(b"c")])])
    assert replaced == Manifest([file(b"a", b"new"), file(b"b"), gone(b"c")])


def test_files_of_different_layers_are_never_linked() -> None:
    one = Manifest([file(b"a"), file(b"b", link=b"a")])
    two = Manifest([file(b"a", b"2"), file(b"c", b"2", link=b"a")])
    assert merge([one, two]) == Manifest([file(b"a", b"2"), file(b"b"), file(b"c", b"2", link=b"a")])


def test_nothing_stacked_is_nothing() -> None:
    assert merge([]) == Manifest()


@given(st.lists(manifests(), min_size=3, max_size=5))
def test_stacking_part_by_part_is_stacking_at_once(stack: list[Manifest]) -> None:
    assert merge([merge(stack[:2]), *stack[2:]]) == merge(stack)
    assert merge([stack[0], merge(stack[1:])]) == merge(stack)


@given(manifests(), st.lists(manifests(), min_size=1, max_size=4))
def test_the_merged_manifest_shows_what_the_stack_shows(base: Manifest, stack: list[Manifest]) -> None:
    """Against a rule that looks up one path at a time, from the top, as overlayfs does."""
    merged = merge(stack)
    every_path = {entry.path for manifest in [base, *stack] for entry in manifest}
    for path in every_path:
        assert _seen(path, [base, merged]) == _seen(path, [base, *stack])


def _seen(path: bytes, stack: list[Manifest]) -> Entry | None:
    for manifest in reversed(stack):
        entry = manifest.get(path)
        if entry is not None:
            return None if entry.kind is WHITEOUT else replace(entry, opaque=False)
        if manifest.hides(path):
            return None
    return None
