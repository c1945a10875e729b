"""Events over the wire: every kind has a row, every key that the engine emits has a place, nothing is lost."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine._gen.sandstone.v1 import execution_pb2 as pb
from engine.events.types import Event, EventKind
from engine.rpc.events import ROWS, EventMessages, event_message, event_of

ROOT = Path(__file__).parents[2]
TIME = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
TESTS = {"tests": 8, "failures": 1, "errors": 0, "skipped": 2}
VALUES: dict[str, object] = {
    "reason": "why",
    "head": "c3",
    "duration_ms": 12.5,
    "overhead_ms": 1.25,
    "elapsed_ms": 250.5,
    "wait_ms": 500.0,
    "name": "n",
    "plan_digest": "d",
    "steps": 3,
    "image": "sha256:1",
    "workspace": "/w",
    "mode": "now",
    "position": 2,
    "done": 1,
    "total": 3,
    "step": "s",
    "index": 1,
    "type": "command",
    "attempt": 2,
    "exit_code": 3,
    "verdict": "timeout",
    "detail": "too long",
    "findings": 4,
    "tests": TESTS,
    "branch": "c4",
    "ok": False,
    "checks": [
        {"check": "lint", "status": "failed", "findings": 2, "note": "", "files": 3, "fails_on": "info", "cut": True},
        {
            "check": "type",
            "status": "error",
            "findings": 1,
            "note": "it crashed",
            "files": None,
            "fails_on": "error",
            "cut": False,
        },
    ],
    "checkpoint": "c5",
    "changed": True,
    "to": "c1",
    "rolled_back": ["a", "b"],
    "apply": "a1",
    "added": 1,
    "modified": 2,
    "deleted": 0,
    "commands": 2,
    "origin": "abc",
    "origin_name": "first",
}


def example(kind: EventKind) -> Event:
    data = {key: VALUES[key] for key in ROWS[kind].keys}
    if kind is EventKind.EXECUTION_FORKED:
        data["done"] = ["a"]
    if kind is EventKind.EXECUTION_PROGRESS:
        return Event("e", 7, kind, TIME, None, {**data, "step": "s"})
    return Event("e", 7, kind, TIME, "s", data)


def test_every_kind_has_a_row() -> None:
    assert set(ROWS) == set(EventKind)


@pytest.mark.parametrize("kind", list(EventKind))
def test_an_event_comes_back_as_it_was(kind: EventKind) -> None:
    event = example(kind)
    message = pb.Event.FromString(event_message(event).SerializeToString())
    assert message.kind_name == kind.value
    assert message.WhichOneof("payload") == ROWS[kind].payload
    assert event_of(message) == event


@pytest.mark.parametrize("kind", [EventKind.STEP_COMPLETED, EventKind.STEP_FAILED])
def test_what_a_step_does_not_have_stays_away(kind: EventKind) -> None:
    data = {"exit_code": None, "verdict": None, "detail": "", "duration_ms": 1.0, "overhead_ms": 0.5, "findings": 0}
    if kind is EventKind.STEP_FAILED:
        data["branch"] = None
    event = Event("e", 1, kind, TIME, "s", data)
    assert event_of(event_message(event)) == event


def test_an_exit_code_of_zero_is_told() -> None:
    data = {"exit_code": 0, "verdict": None, "detail": "", "duration_ms": 1.0, "overhead_ms": 0.5, "findings": 0}
    back = event_of(event_message(Event("e", 1, EventKind.STEP_COMPLETED, TIME, "s", data)))
    assert back.data["exit_code"] == 0


def test_a_key_without_a_place_is_an_error() -> None:
    with pytest.raises(KeyError):
        event_message(Event("e", 1, EventKind.STEP_SKIPPED, TIME, "s", {"reason": "r", "new_thing": 1}))


def test_every_key_that_the_engine_emits_has_a_place() -> None:
    """Reads the calls of `emit` in the engine's own source."""
    looked_at = 0
    for path in (ROOT / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "emit"):
                continue
            names = [arg.attr for arg in node.args if isinstance(arg, ast.Attribute)]
            kinds = [name for name in names if name in EventKind.__members__]
            if not kinds:
                continue
            row = ROWS[EventKind[kinds[0]]]
            for keyword in node.keywords:
                if keyword.arg is not None:
                    looked_at += 1
                    assert keyword.arg in row.places, f"{path}:{node.lineno}: {keyword.arg} of {kinds[0]}"
                    assert keyword.arg in row.keys, f"{path}:{node.lineno}: {keyword.arg} of {kinds[0]}"
    assert looked_at > 30


def test_a_message_is_made_once_however_many_listen() -> None:
    messages = EventMessages(capacity=2)
    events = [Event("e", number, EventKind.STEP_SKIPPED, TIME, "s", {"reason": "r"}) for number in range(4)]
    assert messages.of(events[0]) is messages.of(events[0])
    for event in events:
        messages.of(event)
    assert messages.of(events[3]).sequence == 3
