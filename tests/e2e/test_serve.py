"""`sandstone serve` as a real process: commands and clients use it, it stops in order, and survives its own death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.execution.control import PauseMode
from engine.journal.states import ExecutionState
from engine.plan.parse import parse_plan
from engine.rpc.address import UnixAddress
from engine.rpc.client import connect
from tests.e2e.command_bench import PROGRAM, CommandBench, command_bench
from tests.e2e.serving import Serving, first_object

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

HEAD = "version: 1\nsandbox: {disk: 32MiB, memory: 128MiB}\nsteps:\n"
QUICK = HEAD + "  - {id: a, type: command, run: echo 1 > a}\n"
SLOW = HEAD + (
    "  - {id: before, type: command, run: echo 1 > a}\n"
    "  - {id: slow, type: command, run: 'echo 2 >> a; echo here; test -e go || sleep 60'}\n"
    "  - {id: after, type: command, run: 'cat a'}\n"
)


@pytest.fixture
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "kept.txt").write_text("kept\n")
        yield made


def only(bench: CommandBench) -> Any:
    (found,) = bench.shown("status")
    return bench.shown("status", found["execution_id"])


async def in_the_slow_step(address: UnixAddress, bench: CommandBench) -> str:
    """Start the slow plan; its id when the slow step has said that it is there."""
    async with connect(address) as client:
        execution_id = await client.start(parse_plan(SLOW), bench.project)
        async for heard in client.watch(execution_id, include_output=True):
            if any(b"here" in chunk.data for chunk in heard.output):
                return execution_id
    raise AssertionError("it ended without a word")


def test_commands_use_the_controller_and_it_leaves_nothing(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        assert serving.told["listening"] == [str(serving.address)]
        outcome = bench.run(QUICK)
        assert outcome["state"] == "completed"
        events = [json.loads(line) for line in bench("events", "last", "--json").stdout.splitlines()]
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        assert bench.shown("rollback", "last")["head"] == "c0"
        assert bench.shown("resume", "last", "--quiet")["state"] == "completed"
        assert bench.shown("checkpoint", "last", "mine")["name"] == "mine"
        assert bench.shown("fork", "last", "--from", "c0", "--quiet")["state"] == "completed"
        assert bench.shown("apply", "last")["added"][0]["path"] == "a"
        assert (bench.project / "a").read_text() == "1\n"
        bench("apply", "last", "--undo")
        assert not (bench.project / "a").exists()
        assert serving.end() == 0
    assert bench.left() == []


def test_a_second_controller_of_a_store_is_refused_and_the_first_goes_on(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        other = bench.begin("serve", "--listen", f"unix:{bench.directory}/run/other.sock")
        code, _ = other.ended()
        assert code == 3
        assert f"process {serving.running.process.pid}".encode() in other.stderr
        assert bench.run(QUICK)["state"] == "completed"
        assert serving.end() == 0
    assert bench.left() == []


def test_a_stop_leaves_what_runs_paused_and_the_next_controller_goes_on(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        execution_id = asyncio.run(in_the_slow_step(serving.address, bench))
        assert serving.end() == 0
    assert bench.left() == []
    found = only(bench)
    assert (found["state"], found["error"]) == ("paused", "the controller was stopped")
    assert [step["state"] for step in found["steps"]] == ["succeeded", "pending", "pending"]
    (bench.project / "go").write_text("")
    with Serving(bench) as serving:
        assert bench.shown("resume", execution_id, "--quiet")["steps"][2]["stdout_tail"] == "1\n2\n"
        assert serving.end() == 0
    assert bench.left() == []


def test_a_killed_controller_loses_nothing_and_watchers_go_on_after_its_restart(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        execution_id = asyncio.run(in_the_slow_step(serving.address, bench))
        before = [json.loads(line) for line in bench("events", execution_id, "--json").stdout.splitlines()]
        serving.end(signal.SIGKILL)
    (bench.project / "go").write_text("")
    with Serving(bench) as serving:
        found = only(bench)
        assert found["state"] == "paused"
        assert "interrupted" in found["error"]
        assert [step["state"] for step in found["steps"]] == ["succeeded", "pending", "pending"]

        async def finish() -> list[int]:
            async with connect(serving.address) as client:
                await client.resume(execution_id)
                heard = [heard async for heard in client.watch(execution_id, after=len(before))]
                return [event.sequence for each in heard for event in each.events]

        sequences = asyncio.run(finish())
        assert sequences == list(range(len(before) + 1, len(before) + 1 + len(sequences)))
        assert only(bench)["state"] == "completed"
        assert serving.end() == 0
    assert bench.left() == []


def test_pause_freezes_and_cancel_ends_from_the_command_line(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        execution_id = asyncio.run(in_the_slow_step(serving.address, bench))
        assert bench.shown("pause", execution_id, "--now")["state"] == "paused"
        assert bench.shown("progress", execution_id)["state"] == "paused"
        assert bench.shown("cancel", execution_id)["state"] == "cancelled"
        kinds = [json.loads(line)["kind"] for line in bench("events", execution_id, "--json").stdout.splitlines()]
        assert kinds.count("execution-cancelled") == 1
        assert kinds[-1] == "execution-cancelled"
        assert serving.end() == 0
    assert bench.left() == []


def test_a_run_whose_controller_dies_says_so(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        running = bench.start(SLOW)
        running.until("slow (command)")
        serving.end(signal.SIGKILL)
        code, _ = running.ended()
        assert code == 3
        assert b"controller is gone" in running.stderr
    assert only(bench)["state"] == "paused"
    assert bench.left() == []


def test_ctrl_c_at_a_run_cancels_the_execution_and_not_the_controller(bench: CommandBench) -> None:
    with Serving(bench) as serving:
        running = bench.start(SLOW)
        running.until("slow (command)")
        running.process.send_signal(signal.SIGINT)
        code, stdout = running.ended()
        assert (code, json.loads(stdout)["state"]) == (130, "cancelled")
        assert bench.run(QUICK)["state"] == "completed"
        assert serving.end() == 0
    assert bench.left() == []


def test_executions_on_one_workspace_have_each_its_own_view(bench: CommandBench) -> None:
    plans = [HEAD + f"  - {{id: a, type: command, run: 'echo {n} >> kept.txt; cat kept.txt'}}\n" for n in range(4)]

    async def all_at_once(address: UnixAddress) -> list[bytes]:
        async with connect(address) as client:
            ids = [await client.start(parse_plan(plan), bench.project) for plan in plans]
            outputs = []
            for execution_id in ids:
                record = await client.wait(execution_id)
                assert record.state is ExecutionState.COMPLETED, record.reason
                outputs.append((await client.get_status(execution_id))[1][0].stdout_tail)
            return outputs

    with Serving(bench) as serving:
        outputs = asyncio.run(all_at_once(serving.address))
        assert outputs == [f"kept\n{n}\n".encode() for n in range(4)]
        assert serving.end() == 0
    assert (bench.project / "kept.txt").read_text() == "kept\n"
    assert bench.left() == []


def test_a_frozen_step_prints_nothing_and_its_clock_stands(bench: CommandBench) -> None:
    counting = HEAD.replace("memory: 128MiB", "memory: 128MiB, timeout: 20s") + (
        "  - {id: count, type: command, run: 'i=0; while test $i -lt 400; do echo $i; i=$((i+1)); sleep 0.01; done'}\n"
    )

    async def freeze(address: UnixAddress) -> None:
        async with connect(address) as client:
            execution_id = await client.start(parse_plan(counting), bench.project)
            async for heard in client.watch(execution_id, include_output=True):
                if heard.output:
                    break
            await client.pause(execution_id, PauseMode.NOW)
            before = await client.get_progress(execution_id)
            again = await client.get_progress(execution_id)
            assert again.state is ExecutionState.PAUSED
            assert again.elapsed_ms == before.elapsed_ms
            assert again.output_bytes == before.output_bytes
            await client.resume(execution_id)
            record = await client.wait(execution_id)
            assert record.state is ExecutionState.COMPLETED
            _, steps = await client.get_status(execution_id)
            assert steps[0].stdout_tail.endswith(b"\n399\n")
            assert steps[0].attempts == 1
            assert steps[0].usage["cpu_ms"] > 0
            assert steps[0].usage["disk_bytes"] is not None

    with Serving(bench) as serving:
        asyncio.run(freeze(serving.address))
        assert serving.end() == 0
    assert bench.left() == []


def test_the_default_socket_is_private(bench: CommandBench, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "SANDSTONE_HOME": str(bench.home)}
    with subprocess.Popen([*PROGRAM, "serve", "--json"], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(first_object(process.stdout))
        path = runtime / "sandstone/controller.sock"
        assert told["listening"] == [f"unix:{path}"]
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not path.exists()
