"""Tables, trees, spans, counts: the pure parts of what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.cli.shapes import change_counts, change_json
from engine.cli.table import table, width_of
from engine.cli.timing import age_text, size_text, span_text
from engine.cli.tree import tree_lines
from engine.journal.records import CheckpointKind, CheckpointRecord
from sandbox.workspace.changes import Change, ChangeKind
from sandbox.workspace.manifest import Entry, EntryKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def added(path: bytes, kind: EntryKind = EntryKind.FILE) -> Change:
    return Change(path, ChangeKind.ADDED, None, Entry(path, kind, 0o644, 3, digest="d" * 64))


def point(number: int, parent: str | None) -> CheckpointRecord:
    return CheckpointRecord("e", number, f"n{number}", CheckpointKind.AUTOMATIC, None, parent, None, NOW)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0.0 ms"),
        (3.21, "3.2 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (59_940, "59.9 s"),
        (59_960, "1m00s"),
        (125_000, "2m05s"),
        (3_600_000 * 3 + 60_000 * 12, "3h12m"),
    ],
)
def test_spans(milliseconds: float, text: str) -> None:
    assert span_text(milliseconds) == text


def test_ages_and_sizes() -> None:
    assert age_text(NOW - timedelta(hours=3), NOW) == "3 h ago"
    assert age_text(NOW + timedelta(hours=3), NOW) == "0 s ago"
    assert size_text(512) == "512 B"
    assert size_text(3 << 30) == "3.0 GiB"


def test_directories_count_only_when_nothing_in_them_changed() -> None:
    directory = EntryKind.DIRECTORY
    changes = [added(b"a", directory), added(b"a/b", directory), added(b"a/b/c"), added(b"empty", directory)]
    assert change_counts(changes) == {"added": 2, "modified": 0, "deleted": 0}


def test_changes_of_kind_and_mode_count_as_modified() -> None:
    entry = Entry(b"x", EntryKind.FILE)
    changes = [Change(b"x", ChangeKind.MODE_CHANGED, entry, entry), Change(b"y", ChangeKind.TYPE_CHANGED, entry, entry)]
    assert change_counts(changes)["modified"] == 2


def test_a_change_as_json() -> None:
    assert change_json(added(b"a\xff")) == {
        "path": "a\\xff",
        "path_base64": "Yf8=",
        "change": "added",
        "old": None,
        "new": {"kind": "file", "mode": "0644", "size": 3, "sha256": "d" * 64},
    }


def test_columns_are_aligned_by_what_terminals_draw() -> None:
    assert width_of("日本") == 4
    assert width_of("e\u0301") == 1
    assert table(("A", "B"), [("日", "x"), ("abc", "")]) == ["A    B", "日   x", "abc"]


def test_the_line_to_the_head_runs_straight_down() -> None:
    points = [point(0, None), point(1, "c0"), point(2, "c1"), point(3, "c1"), point(4, "c2"), point(5, "c2")]
    drawn = [(line.drawing, line.checkpoint.id) for line in tree_lines(points, "c3")]
    assert drawn == [("", "c0"), ("", "c1"), ("├─", "c2"), ("│ ├─", "c4"), ("│ ", "c5"), ("", "c3")]


def test_a_tree_of_thousands_in_one_line_is_drawn() -> None:
    points = [point(0, None)] + [point(number, f"c{number - 1}") for number in range(1, 5000)]
    lines = tree_lines(points, "c4999", unicode=False)
    assert len(lines) == 5000
    assert {line.drawing for line in lines} == {""}
