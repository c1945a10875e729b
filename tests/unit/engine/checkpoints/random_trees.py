"""Random trees of files, links and directories, as hypothesis strategies, and a way to put them on disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hypothesis import strategies as st

Node = tuple[str, bytes, int] | dict[bytes, "Node"]  # type: ignore[misc]
"""("file", content, mode), ("link", target, 0), or a directory. No link leads anywhere: git itself follows
one whose place a directory takes, and then cannot apply its own patches."""

_NAMES = st.sampled_from(
    [
        b"a",
        b"b",
        b"c d",
        b"\xc3\xa9",
        b'q"uote',
        b"tab\tname",
        b"new\nline",
        b"back\\slash",
        b"\xff\xfe",
        b"-rf",
        b" x ",
    ]
)
_LINES = st.lists(st.sampled_from([b"one", b"two", b"three", b"", b"\r", b"\xff", b"--- a/x", b"\\ No"]), max_size=12)
_TEXT = st.tuples(_LINES, st.booleans()).map(lambda p: b"\n".join(p[0]) + (b"\n" if p[1] else b""))
_BINARY = st.binary(max_size=40).map(lambda b: b"\0" + b * 20)
_FILE = st.tuples(st.just("file"), st.one_of(_TEXT, _BINARY), st.sampled_from([0o644, 0o755]))
_LINK = st.tuples(st.just("link"), st.sampled_from([b"nowhere", b"no where/else", b"n\xc3\xb4\nwhere"]), st.just(0))


def _directories(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.dictionaries(_NAMES, inner, max_size=4)


TREES: st.SearchStrategy[dict[bytes, Node]] = st.dictionaries(
    _NAMES, st.recursive(st.one_of(_FILE, _LINK), _directories, max_leaves=6), max_size=5
)


def put(tree: dict[bytes, Node], directory: Path) -> None:
    """Make `directory` hold exactly `tree`."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir()
    for name, node in tree.items():
        path = directory / os.fsdecode(name)
        if isinstance(node, dict):
            put(node, path)
        elif node[0] == "link":
            path.symlink_to(os.fsdecode(node[1]))
        else:
            path.write_bytes(node[1])
            path.chmod(node[2])
