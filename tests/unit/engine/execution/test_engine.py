"""The engine's rules over scripted sandboxes and plain copies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import NotFoundError
from engine.execution.admission import SecretTooShortError
from engine.execution.supervision import reason_of
from engine.journal.states import ExecutionState
from sandbox.errors import HostDiskFullError, MountError, SandboxUnavailableError, SetupFailedError
from sandbox.spec import ExecRequest, Verdict
from tests.fakes.engine_world import Scripted, World, plan_of, world

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
FIX = {"id": "fix", "type": "file_edit", "path": "gcd.py", "replace": {"search": "a - b", "with": "a % b"}}


def command(step_id: str, run: str = "ok", **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


def states(here: World, execution_id: str) -> list[str]:
    return [step.state.value for step in here.journal.steps(execution_id)]


async def test_a_plan_runs_to_its_end_and_the_project_is_untouched(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted(stdout=b"fine\n", effect=lambda tree: (tree / "out").write_text("x"))
        before = {path.name: path.read_bytes() for path in here.project.iterdir()}
        record = await here.engine.execute_plan(plan_of([CREATE, FIX, command("run")]), here.project)
        assert record.state is ExecutionState.COMPLETED
        assert states(here, record.id) == ["succeeded"] * 3
        assert record.head == "c3"
        assert here.content(record.id, "gcd.py") == b"def gcd(a, b):\n    return a % b\n"
        assert here.content(record.id, "out") == b"x"
        assert {path.name: path.read_bytes() for path in here.project.iterdir()} == before
        kinds = here.kinds(record.id)
        assert kinds[0] == "execution-started"
        assert kinds[-1] == "execution-completed"
        assert kinds.count("checkpoint-created") == 3
        sequences = [event.sequence for event in here.journal.events(record.id)]
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_failure_rolls_back_to_the_start_and_keeps_the_branch(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=3, effect=lambda tree: (tree / "junk").write_text("j"))
        plan = plan_of([CREATE, command("boom", "bad"), command("later")])
        record = await here.engine.execute_plan(plan, here.project)
        assert record.state is ExecutionState.FAILED
        assert record.head == "c0"
        assert "boom" in record.reason
        assert states(here, record.id) == ["rolled_back", "failed", "skipped"]
        step = here.journal.steps(record.id)[1]
        assert step.exit_code == 3
        branch = here.journal.checkpoint(record.id, "boom!failed")
        assert branch.id == step.checkpoint
        assert branch.layer is not None
        kinds = here.kinds(record.id)
        assert kinds.index("step-failed") < kinds.index("rollback-started") < kinds.index("rollback-completed")


async def test_a_set_up_that_fails_says_why_and_counts_its_own_time_only(tmp_path: Path) -> None:
    async with world(tmp_path, clock=ManualClock()) as here:
        here.environments.failure = SetupFailedError(0, "make deps", 2, "fetching\nno such package\n")
        record = await here.engine.execute_plan(plan_of([CREATE], environment={"setup": ["make deps"]}), here.project)
        assert record.state is ExecutionState.FAILED
        assert record.reason == "environment.setup[0] ('make deps') ended with exit code 2: no such package"
        assert record.run_ms == 0
        assert states(here, record.id) == ["pending"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MountError("/slots/1", "the kernel refused it", 22), "mount at /slots/1: the kernel refused it"),
        (OSError(5, "Input/output error", "/volumes/1.img"), "/volumes/1.img: Input/output error"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (SandboxUnavailableError("no room"), "sandbox unavailable: no room"),
        (OSError(), "OSError"),
    ],
)
def test_why_an_execution_could_not_go_on_is_told_without_the_name_of_a_class(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


async def test_stop_leaves_head_at_the_last_good_checkpoint(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        record = await here.engine.execute_plan(plan_of([CREATE, command("b", "bad")], on_failure="stop"), here.project)
        assert (record.state, record.head) == (ExecutionState.FAILED, "c1")
        assert "rollback-started" not in here.kinds(record.id)
        assert here.content(record.id, "sub/new.txt") == b"new\n"


async def test_continue_goes_on_without_what_needs_the_failed_step(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        here.commands["ok"] = Scripted()
        steps = [command("b", "bad"), command("needy", needs=["b"]), command("free")]
        record = await here.engine.execute_plan(plan_of(steps, on_failure="continue"), here.project)
        assert record.state is ExecutionState.FAILED
        assert states(here, record.id) == ["failed", "skipped", "succeeded"]


async def test_a_failure_goes_back_to_the_checkpoint_that_the_plan_names(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        steps = [CREATE, FIX, command("b", "bad", rollback_to="new")]
        record = await here.engine.execute_plan(plan_of(steps), here.project)
        assert record.head == "c1"
        assert states(here, record.id) == ["succeeded", "rolled_back", "failed"]


async def test_every_attempt_starts_from_the_same_checkpoint(tmp_path: Path) -> None:
    seen: list[bool] = []

    def effect(tree: Path) -> None:
        seen.append((tree / "trace").exists())
        (tree / "trace").write_text("x")

    async with world(tmp_path) as here:
        here.commands["flaky"] = Scripted(exit_code=1, effect=effect)
        step = command("f", "flaky", retry={"attempts": 3, "initial": "1ms", "max": "1ms", "jitter": "0s"})
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        assert seen == [False, False, False]
        assert here.journal.steps(record.id)[0].attempts == 3
        assert here.kinds(record.id).count("step-retrying") == 2


async def test_a_lost_sandbox_is_tried_again_without_being_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["lost"] = Scripted(verdict=Verdict.SANDBOX_UNAVAILABLE)
        plan = plan_of([command("l", "lost")], retry={"attempts": 2, "initial": "1ms", "jitter": "0s"})
        record = await here.engine.execute_plan(plan, here.project)
        step = here.journal.steps(record.id)[0]
        assert (step.attempts, step.verdict) == (2, "sandbox_unavailable")


async def test_an_edit_that_does_not_fit_fails_at_once_with_the_nearest_text(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        step = {**FIX, "replace": {"search": "return a -- b", "with": "x"}, "retry": {"attempts": 5}}
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        failed = here.journal.steps(record.id)[0]
        assert failed.attempts == 1
        assert "gcd.py" in failed.detail
        assert "line 2" in failed.detail


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"id": "x", "type": "file_create", "path": "gcd.py", "content": ""}, "already"),
        ({"id": "x", "type": "file_delete", "path": "none"}, "does not exist"),
        ({"id": "x", "type": "file_edit", "path": "none", "content": ""}, "use file_create"),
        ({"id": "x", "type": "file_edit", "path": "gcd.py", "insert": {"line": 99, "text": "x"}}, "no line 99"),
        ({"id": "x", "type": "file_edit", "path": "gcd.py", "patch": "not a patch"}, "--- a/gcd.py"),
        (
            {"id": "x", "type": "file_edit", "path": "gcd.py", "patch": "--- a/o\n+++ b/o\n@@ -1 +1 @@\n-a\n+b\n"},
            "its own file",
        ),
    ],
)
async def test_file_steps_that_cannot_be_done_say_why(tmp_path: Path, step: dict[str, object], message: str) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        assert record.state is ExecutionState.FAILED
        assert message in here.journal.steps(record.id)[0].detail


async def test_delete_overwrite_insert_and_content_reach_the_head(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        steps = [
            {"id": "d", "type": "file_delete", "path": "old.txt"},
            {"id": "o", "type": "file_create", "path": "old.txt", "content": "again\n"},
            {"id": "i", "type": "file_edit", "path": "gcd.py", "insert": {"before": "return", "text": "    # why"}},
            {"id": "c", "type": "file_edit", "path": "old.txt", "content": "whole\n"},
        ]
        record = await here.engine.execute_plan(plan_of(steps), here.project)
        assert record.state is ExecutionState.COMPLETED
        assert here.content(record.id, "old.txt") == b"whole\n"
        assert here.content(record.id, "gcd.py") == b"def gcd(a, b):\n    # why\n    return a - b\n"


async def test_a_byte_order_mark_stays_at_the_start_of_its_file(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        (here.project / "bom.txt").write_bytes(b"\xef\xbb\xbfone\n")
        insert = {"id": "x", "type": "file_edit", "path": "bom.txt", "insert": {"line": 1, "text": "zero"}}
        record = await here.engine.execute_plan(plan_of([insert]), here.project)
        assert here.content(record.id, "bom.txt") == b"\xef\xbb\xbfzero\none\n"


async def test_git_is_given_a_patch_with_the_line_endings_of_the_file(tmp_path: Path) -> None:
    given: list[str] = []

    def git(request: ExecRequest) -> Scripted:
        given.append(request.stdin)
        return Scripted()

    async with world(tmp_path, git) as here:
        (here.project / "dos.txt").write_bytes(b"a\r\nb\r\n")
        patch = "--- a/dos.txt\n+++ b/dos.txt\n@@ -1,2 +1,2 @@\n-a\n+z\n b"
        await here.engine.execute_plan(
            plan_of([{"id": "x", "type": "file_edit", "path": "dos.txt", "patch": patch}]), here.project
        )
    assert given == ["--- a/dos.txt\n+++ b/dos.txt\n@@ -1,2 +1,2 @@\n-a\r\n+z\r\n b\r\n"]


async def test_a_step_that_changes_nothing_leaves_a_checkpoint_on_the_same_layer(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        record = await here.engine.execute_plan(plan_of([CREATE, command("noop")]), here.project)
        made = {checkpoint.id: checkpoint.layer for checkpoint in here.journal.checkpoints(record.id)}
        assert made["c1"] is not None
        assert made["c2"] == made["c1"]


async def test_what_a_test_step_writes_is_not_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["t"] = Scripted(effect=lambda tree: (tree / "droppings").write_text("x"))
        record = await here.engine.execute_plan(plan_of([{"id": "t", "type": "test", "run": "t"}]), here.project)
        assert record.state is ExecutionState.COMPLETED
        assert here.journal.checkpoint(record.id, "t").layer is None


async def test_junit_tells_which_tests_failed(tmp_path: Path) -> None:
    report = (
        '<testsuite tests="2" failures="1"><testcase classname="m" name="good"/>'
        '<testcase classname="m" name="bad"><failure message="1 != 2">trace</failure></testcase></testsuite>'
    )
    async with world(tmp_path) as here:
        here.commands["t"] = Scripted(exit_code=1, effect=lambda tree: (tree / "r.xml").write_text(report))
        step = {"id": "t", "type": "test", "run": "t", "junit": "r.xml"}
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        tests = here.journal.steps(record.id)[0].tests
        assert tests is not None
        assert (tests["tests"], tests["failures"]) == (2, 1)
        assert "bad" in str(tests)


async def test_the_exit_code_decides_and_a_report_that_says_otherwise_is_noted(tmp_path: Path) -> None:
    report = '<testsuite><testcase name="bad"><failure message="no"/></testcase></testsuite>'
    async with world(tmp_path) as here:
        here.commands["t"] = Scripted(exit_code=0, effect=lambda tree: (tree / "r.xml").write_text(report))
        step = {"id": "t", "type": "test", "run": "t", "junit": "r.xml"}
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        assert record.state is ExecutionState.COMPLETED
        tests = here.journal.steps(record.id)[0].tests
        assert tests is not None
        assert (tests["failures"], tests["note"]) == (1, "the command ended with 0 although its report has failures")


async def test_a_promised_report_that_is_a_link_or_missing_fails_the_step(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["t"] = Scripted(effect=lambda tree: (tree / "r.xml").symlink_to("/etc/passwd"))
        step = {"id": "t", "type": "test", "run": "t", "junit": "r.xml"}
        record = await here.engine.execute_plan(plan_of([step]), here.project)
        assert record.state is ExecutionState.FAILED
        assert "JUnit" in here.journal.steps(record.id)[0].detail


async def test_secrets_never_reach_journal_logs_or_listeners(tmp_path: Path) -> None:
    secret = "hunter2-secret"
    async with world(tmp_path) as here:
        here.commands["leak"] = Scripted(exit_code=1, stdout=f"it is {secret}!".encode(), stderr=secret.encode())
        plan = plan_of([command("leak", "leak")], secrets=["TOKEN"])
        subscription = here.engine.bus.subscribe()
        record = await here.engine.execute_plan(plan, here.project, secrets={"TOKEN": secret})
        subscription.close()
        heard = b"".join([item.data async for item in subscription if isinstance(getattr(item, "data", None), bytes)])
        assert b"it is ***!" in heard
        everything = b"".join(path.read_bytes() for path in here.home.rglob("*") if path.is_file())
        assert secret.encode() not in everything + heard
        assert b"it is ***!" in here.journal.steps(record.id)[0].stdout_tail


async def test_a_secret_in_a_test_report_never_reaches_the_journal(tmp_path: Path) -> None:
    secret = "hunter2-secret"
    report = (
        f'<testsuite><testcase classname="m" name="of {secret}"><failure message="1 != {secret}">{secret}</failure>'
        "</testcase></testsuite>"
    )
    async with world(tmp_path) as here:
        here.commands["t"] = Scripted(exit_code=1, effect=lambda tree: (tree / "r.xml").write_text(report))
        plan = plan_of([{"id": "t", "type": "test", "run": "t", "junit": "r.xml"}], secrets=["TOKEN"])
        record = await here.engine.execute_plan(plan, here.project, secrets={"TOKEN": secret})
        tests = here.journal.steps(record.id)[0].tests
        assert tests is not None
        assert (tests["failed"][0]["name"], tests["failed"][0]["message"]) == ("of ***", "1 != ***\n***")
        everything = b"".join(path.read_bytes() for path in here.home.rglob("*") if path.is_file())
        assert secret.encode() not in everything


async def test_a_missing_or_short_secret_is_refused_before_anything_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        plan = plan_of([command("x")], secrets=["TOKEN"])
        with pytest.raises(NotFoundError, match="TOKEN"):
            await here.engine.execute_plan(plan, here.project)
        with pytest.raises(SecretTooShortError):
            await here.engine.execute_plan(plan, here.project, secrets={"TOKEN": "abc"})
        assert here.journal.executions() == []


async def test_many_executions_run_at_once_without_seeing_each_other(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        plans = [plan_of([{**CREATE, "content": f"{n}\n"}, command("run")]) for n in range(5)]
        records = await asyncio.gather(*(here.engine.execute_plan(plan, here.project) for plan in plans))
        assert {here.content(record.id, "sub/new.txt") for record in records} == {b"%d\n" % n for n in range(5)}


async def test_a_workspace_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        with pytest.raises(NotFoundError):
            await here.engine.start(plan_of([CREATE]), tmp_path / "nowhere")


async def test_hidden_files_are_not_seen_and_are_no_difference(tmp_path: Path) -> None:
    seen: list[bool] = []
    async with world(tmp_path) as here:
        (here.project / ".env").write_text("SECRET=1")
        here.commands["look"] = Scripted(effect=lambda tree: seen.append((tree / ".env").exists()))
        plan = plan_of([command("l", "look")], sandbox={"hide": [".env"]})
        record = await here.engine.execute_plan(plan, here.project)
        assert seen == [False]
        assert here.journal.checkpoint(record.id, record.head).layer is None


async def test_sandboxes_are_on_their_way_before_there_is_a_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        assert here.plain_store is not None
        foreseen: list[int] = []
        create = here.plain_store.create_volume

        def create_volume(*arguments: Any) -> None:
            foreseen.extend(len(specs) for specs in here.provider.expected.values())
            create(*arguments)

        monkeypatch.setattr(here.plain_store, "create_volume", create_volume)
        await here.engine.execute_plan(plan_of([CREATE, command("one"), command("two")]), here.project)
        assert foreseen == [2]
        assert here.provider.expected == {}


async def test_no_sandbox_is_started_for_a_plan_that_waits_for_its_turn(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["long"] = Scripted(hangs=True)
        first = await here.engine.start(plan_of([command("one", "long")]), here.project)
        second = await here.engine.start(plan_of([command("two")]), here.project)
        assert second not in here.provider.expected
        await here.engine.cancel(second, "not needed")
        await here.engine.cancel(first, "not needed")


async def test_none_waits_for_a_plan_that_is_cancelled_before_its_first_step(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        execution = await here.engine.start(plan_of([command("one"), command("two")]), here.project)
        assert len(here.provider.expected[execution]) == 2
        await here.engine.cancel(execution, "not needed")
        await here.engine.wait(execution)
        assert here.provider.expected == {}


async def test_what_was_foreseen_is_forgotten_when_there_is_no_room(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        with pytest.raises(HostDiskFullError):
            await here.engine.start(plan_of([command("one")], sandbox={"disk": "1024GiB"}), here.project)
        assert here.provider.expected == {}
        assert here.journal.executions() == []
