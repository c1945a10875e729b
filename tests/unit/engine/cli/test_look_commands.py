"""`status`, `progress`, `events`, `logs`, `checkpoints`, `checkpoint`, `rollback` over a journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli import look
from engine.events.bus import EventBus
from engine.execution.rollback import RollbackService
from engine.execution.writer import JournalWriter
from engine.journal.records import CheckpointKind, CheckpointRecord
from engine.journal.states import ExecutionState
from tests.unit.engine.cli.fake_application import ID, Act, FakeApplication, Script

Make = Callable[..., FakeApplication]
Sandstone = Callable[..., int]
HOSTILE = b"\x1b]0;x\x07ok\n"


@pytest.fixture
def ran(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> FakeApplication:
    """An application with one failed execution; the failed step printed on both streams, in two attempts."""
    unit = Act(ok=False, stdout=HOSTILE, stderr=b"E\n", exit_code=1, detail="exit code 1", attempts=2)
    application = make_application(Script({"unit": unit}))
    sandstone(application, "run", plan_file, "-w", "/project")
    capsys.readouterr()
    return application


def test_status_lists_executions(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "status") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "NAME", "STATE", "STEPS", "STARTED", "TOOK", "WORKSPACE"]
    assert row.split()[:5] == ["0123456789ab", "fix", "gcd", "failed", "2/2"]
    assert row.endswith("/project")
    assert ran.opened[-1] == (None, False)


def test_status_of_nothing_is_an_empty_list(
    make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    assert sandstone(application, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert sandstone(application, "status") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "sandstone run PLAN" in shown.err


def test_status_of_one_shows_its_steps(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "status", "0123") == 0
    assert (
        capsys.readouterr().out
        == """\
failed fix gcd (0123456789ab) in 1.2 s: step unit failed: exit code 1
workspace /project, head c1
STEP      TYPE         STATE      ATTEMPTS  TOOK   CHECKPOINT  WHY
new-test  file_create  succeeded  1         20 ms  c1
unit      test         failed     2         20 ms  -           exit code 1
"""
    )


def test_status_json_of_one_has_its_steps(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "status", "last", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["execution_id"] == ID
    assert [step["state"] for step in shown["steps"]] == ["succeeded", "failed"]


@pytest.mark.parametrize("command", ["status", "events", "logs", "checkpoints", "progress", "rollback"])
def test_an_unknown_execution_ends_with_2(
    command: str, ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, command, "fix gce") == 2
    assert "did you mean fix gcd?" in capsys.readouterr().err


def test_progress_in_words_and_json(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "progress", "last")
    first, _, used = capsys.readouterr().out.partition("; about 500 ms left; ")
    assert first == "failed: 1/2 steps in 1.5 s; now unit, attempt 2"
    assert used == "2.0 KiB of output; 1.2 s of CPU; 3.0 MiB of memory at most; 4.0 KiB of disk\n"
    sandstone(ran, "progress", "last", "--json")
    shape = json.loads(capsys.readouterr().out)
    assert (shape["estimate_ms"], shape["position"], shape["output_bytes"]) == (500.0, None, 2048)
    assert shape["usage"] == {
        "cpu_ms": 1200.0,
        "memory_peak_bytes": 3 << 20,
        "disk_bytes": 4096,
        "output_bytes": 1024,
    }


def test_events_json_is_one_object_a_line_after_the_number(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "events", "last", "--json", "--after", "2")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["sequence"] for line in lines] == list(range(3, 3 + len(lines)))
    assert lines[-1]["kind"] == "execution-failed"


def test_events_are_shown_escaped(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    def rename(tx: object) -> None:
        from engine.events.types import EventKind

        tx.emit(ID, EventKind.STEP_SKIPPED, "unit", reason="a \x1b[2J\n b", **{"k\x07": "v"})

    ran.engine.write(rename)
    sandstone(ran, "events", "last")
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[-1].endswith('step-skipped          unit reason="a \\x1b[2J\\n b" k\\x07=v')


def test_following_shows_what_comes_later_and_stops_at_the_end(
    make_application: Make,
    sandstone: Sandstone,
    plan_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = make_application()
    sandstone(application, "run", plan_file)
    sandstone(application, "rollback", "last")
    capsys.readouterr()
    naps = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        state = [ExecutionState.RUNNING, ExecutionState.CANCELLED][len(naps) - 1]

        def change(tx: object) -> None:
            from engine.events.types import EventKind

            tx.move(ID, state)
            tx.emit(ID, EventKind(f"execution-{'resumed' if len(naps) == 1 else 'cancelled'}"))

        application.engine.write(change)

    monkeypatch.setattr(look.asyncio, "sleep", nap)
    assert sandstone(application, "events", "last", "--follow", "--json") == 0
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds[-2:] == ["execution-resumed", "execution-cancelled"]
    assert len(naps) == 2
    assert look.asyncio is asyncio


def test_logs_show_the_last_attempt_of_each_step_escaped(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "logs", "last") == 0
    assert (
        capsys.readouterr().out
        == """\
== unit, attempt 2, stderr ==
E

== unit, attempt 2, stdout ==
\\x1b]0;x\\x07ok
"""
    )


def test_logs_of_one_stream_have_no_title(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "logs", "last", "unit", "--stderr", "--attempt", "1")
    assert capsys.readouterr().out == "E\n"


def test_only_raw_logs_are_raw(ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]) -> None:
    sandstone(ran, "logs", "last", "--stdout", "--raw")
    assert capsys.readouterr().out.encode() == HOSTILE


def test_logs_json_has_every_stream(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "logs", "last", "--json")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [(piece["stream"], piece["text"]) for piece in json.loads(out)] == [
        ("stderr", "E\n"),
        ("stdout", HOSTILE.decode()),
    ]


def test_an_attempt_that_printed_nothing_is_not_passed_off_as_another(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "logs", "last", "--attempt", "3")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "see --attempt" in shown.err


def test_logs_of_an_unknown_step_name_the_nearest(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "logs", "last", "unot") == 2
    assert "did you mean unit?" in capsys.readouterr().err


def test_checkpoints_are_a_tree_with_the_head_marked(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    ran.engine.write(lambda tx: tx.add_checkpoint(ID, "unit!failed", CheckpointKind.FAILED, None, "c0", "unit"))
    sandstone(ran, "checkpoints", "last")
    assert (
        capsys.readouterr().out
        == """\
○ c0  automatic  start
├─○ c2  failed  unit!failed
● c1  automatic  new-test  <- head
"""
    )
    sandstone(ran, "checkpoints", "last", "--json")
    assert [point["head"] for point in json.loads(capsys.readouterr().out)] == [False, True, False]


def test_a_checkpoint_gets_its_name(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "checkpoint", "last", "good") == 0
    assert capsys.readouterr().out == "c2  good\n"
    assert ran.journal.checkpoint(ID, "good").kind is CheckpointKind.MANUAL


def test_rollback_tells_the_new_head(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "rollback", "last", "--to", "start", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["state"], shown["head"]) == ("paused", "c0")


def test_rollback_from_the_start_says_where_it_is_and_what_to_type(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rollback(execution_id: str, to: str | None = None) -> CheckpointRecord:
        return RollbackService(JournalWriter(ran.journal, EventBus(), asyncio.to_thread)).target(execution_id, "c0", to)

    monkeypatch.setattr(ran.engine, "rollback", rollback)
    assert sandstone(ran, "rollback", "last") == 2
    assert capsys.readouterr().err == (
        f"error: execution {ID} is at its start (c0): nothing is before that\n"
        f"hint: name another checkpoint with --to; `sandstone checkpoints {ID}` lists them\n"
    )
