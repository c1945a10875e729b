"""The rules of `SandboxProvider` and `Sandbox`, as one suite that every implementation passes.

A test module subclasses `SandboxSuite` and gives the fixtures `provider`, `spec` (of a sandbox that can be had),
`new_layer` (makes an active layer), `new_view`, `committed_layer` and `read` (what a file of a layer holds, None
when it is not there; after the sandbox is closed). The commands are the constants below: containers run them, a
scripted provider plays them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.errors import (
    ImageNotFoundError,
    LayerKindError,
    LayerNotFoundError,
    SandboxUnavailableError,
    SpecRefusedError,
)
from sandbox.sandbox import SandboxProvider
from sandbox.spec import ExecRequest, ResourceUsage, SandboxSpec, Stream, Verdict
from sandbox.workspace.layer import LayerKey

TWO_STREAMS = "printf 'to stdout'; printf 'to stderr\\n' >&2"
EXIT_7 = "exit 7"
WRITE = "printf written >made.txt"
HANG = "echo started; sleep 600"
USE = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo used; sleep 600"
FLOOD = "while :; do echo 0123456789012345678901234567890123456789; done"
SHOW_ENVIRONMENT = 'printf "%s|%s" "$GREETING" "$TOKEN"'
SHOW_STDIN = "cat"
SHOW_CWD = "pwd"
ARGV = ("/bin/echo", "$HOME", "a  b", "it's")

LONG = timedelta(seconds=60)
SHORT = timedelta(milliseconds=300)


class SandboxSuite:
    """See the module's docstring."""

    async def test_output_comes_exactly_and_by_stream(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        live: dict[Stream, bytes] = dict.fromkeys(Stream, b"")

        def sink(stream: Stream, chunk: bytes) -> None:
            live[stream] += chunk

        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(TWO_STREAMS), sink)
        assert result.ok
        assert (result.stdout.text(), result.stderr.text()) == (b"to stdout", b"to stderr\n")
        assert live == {Stream.STDOUT: b"to stdout", Stream.STDERR: b"to stderr\n"}

    async def test_the_commands_own_exit_code_is_the_result(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(EXIT_7))
        assert (result.exit_code, result.verdict, result.ok) == (7, None, False)

    async def test_an_argv_runs_without_a_shell(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(ARGV))
        assert result.stdout.text() == b"$HOME a  b it's\n"

    async def test_environment_and_secrets_reach_the_command(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        request = ExecRequest(SHOW_ENVIRONMENT, env={"GREETING": "it's\n$(here)"}, secrets={"TOKEN": "x'\"y"})
        result = await sandbox.run(request)
        assert result.stdout.text() == b"it's\n$(here)|x'\"y"

    async def test_stdin_is_what_was_asked_and_then_ends(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(SHOW_STDIN, stdin="no newline at the end: '%s\\n"))
        assert result.stdout.text() == b"no newline at the end: '%s\\n"

    async def test_without_stdin_the_command_reads_nothing(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(SHOW_STDIN, timeout=LONG))
        assert (result.ok, result.stdout.text()) == (True, b"")

    async def test_the_command_starts_in_the_workspace(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(SHOW_CWD))
        assert result.stdout.text() == b"/workspace\n"

    async def test_what_the_command_writes_is_in_the_layer(
        self,
        provider: SandboxProvider,
        spec: SandboxSpec,
        new_layer: Callable[[], LayerKey],
        read: Callable[[LayerKey, str], bytes | None],
    ) -> None:
        layer = new_layer()
        sandbox = await provider.claim(spec, layer)
        await sandbox.run(ExecRequest(WRITE))
        await sandbox.close()
        assert read(layer, "made.txt") == b"written"

    async def test_a_layer_shows_nothing_of_another(
        self,
        provider: SandboxProvider,
        spec: SandboxSpec,
        new_layer: Callable[[], LayerKey],
        read: Callable[[LayerKey, str], bytes | None],
    ) -> None:
        first, second = new_layer(), new_layer()
        for layer, command in ((first, WRITE), (second, EXIT_7)):
            sandbox = await provider.claim(spec, layer)
            await sandbox.run(ExecRequest(command))
            await sandbox.close()
        assert read(second, "made.txt") is None

    async def test_at_the_time_limit_everything_is_killed(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(HANG, timeout=SHORT))
        assert (result.exit_code, result.verdict) == (None, Verdict.TIMEOUT)
        assert result.stdout.text() == b"started\n"
        assert result.run_time >= SHORT
        assert result.detail

    async def test_one_byte_over_the_output_limit_ends_the_attempt(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(FLOOD, timeout=LONG, output_limit_bytes=1000))
        assert (result.exit_code, result.verdict) == (None, Verdict.OUTPUT_LIMIT)
        assert result.stdout.total_bytes + result.stderr.total_bytes == 1000

    async def test_output_of_exactly_the_limit_is_fine(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        result = await sandbox.run(ExecRequest(TWO_STREAMS, output_limit_bytes=len(b"to stdoutto stderr\n")))
        assert result.ok

    async def test_kill_ends_a_running_command(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
        await started.wait()
        await sandbox.kill()
        result = await running
        assert (result.exit_code, result.verdict) == (None, Verdict.KILLED)

    async def test_kill_ends_a_frozen_command(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
        await started.wait()
        await sandbox.freeze()
        await sandbox.kill()
        assert (await running).verdict is Verdict.KILLED

    async def test_a_freeze_does_not_hold_up_a_kill(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        """At the same time, and after it."""
        sandbox = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
        await started.wait()
        async with asyncio.timeout(10):
            await asyncio.gather(sandbox.freeze(), sandbox.kill(), sandbox.freeze())
            assert (await running).verdict is Verdict.KILLED
            await sandbox.freeze()

    async def test_usage_is_told_while_the_command_runs_and_then_as_in_its_result(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        assert sandbox.usage() == ResourceUsage()
        started = asyncio.Event()
        running = asyncio.create_task(sandbox.run(ExecRequest(USE), lambda *_: started.set()))
        await started.wait()
        await sandbox.freeze()
        live = sandbox.usage()
        assert live.cpu_time is not None
        assert live.cpu_time > timedelta(0)
        assert live.memory_peak_bytes is not None
        assert live.memory_peak_bytes > 0
        await sandbox.kill()
        result = await running
        assert sandbox.usage() == result.usage
        assert result.usage.cpu_time is not None
        assert result.usage.cpu_time >= live.cpu_time

    async def test_frozen_time_is_not_counted(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        """While frozen, the limit passes several times over by the event loop's clock."""
        sandbox = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        limit = timedelta(seconds=1)
        running = asyncio.create_task(sandbox.run(ExecRequest(HANG, timeout=limit), lambda *_: started.set()))
        await started.wait()
        await sandbox.freeze()
        await sandbox.freeze()
        done, _ = await asyncio.wait({running}, timeout=2 * limit.total_seconds())
        assert not done
        await sandbox.thaw()
        await sandbox.thaw()
        result = await running
        assert result.verdict is Verdict.TIMEOUT
        assert limit <= result.run_time < 2 * limit

    async def test_a_sandbox_is_used_once(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        await sandbox.run(ExecRequest(EXIT_7))
        with pytest.raises(SandboxUnavailableError):
            await sandbox.run(ExecRequest(EXIT_7))

    async def test_close_works_at_any_time_and_any_number_of_times(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        unused = await provider.claim(spec, new_layer())
        await unused.close()
        await unused.close()
        running = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        attempt = asyncio.create_task(running.run(ExecRequest(HANG), lambda *_: started.set()))
        await started.wait()
        await asyncio.gather(running.close(), running.close())
        assert (await attempt).verdict is Verdict.KILLED

    @pytest.mark.parametrize("cwd", ["/", "/etc", "/workspace/../etc", "workspace", "/workspaces", "/workspace/\0"])
    async def test_a_cwd_outside_the_workspace_is_refused(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey], cwd: str
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        with pytest.raises(SpecRefusedError):
            await sandbox.run(ExecRequest(EXIT_7, cwd=cwd))

    async def test_a_name_that_cannot_be_passed_is_refused(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        with pytest.raises(SpecRefusedError):
            await sandbox.run(ExecRequest(EXIT_7, env={"A B": "x"}))

    async def test_an_image_that_is_not_there_is_not_found(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        with pytest.raises(ImageNotFoundError):
            await provider.claim(replace(spec, image_id="sha256:" + "0" * 64), new_layer())

    async def test_a_network_is_refused(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        with pytest.raises(SpecRefusedError):
            await provider.claim(replace(spec, network="setup"), new_layer())

    async def test_a_layer_that_is_not_there_is_not_found(self, provider: SandboxProvider, spec: SandboxSpec) -> None:
        with pytest.raises(LayerNotFoundError):
            await provider.claim(spec, LayerKey("no-such-layer"))

    async def test_a_committed_layer_cannot_be_claimed(
        self, provider: SandboxProvider, spec: SandboxSpec, committed_layer: LayerKey
    ) -> None:
        with pytest.raises(LayerKindError):
            await provider.claim(spec, committed_layer)

    async def test_after_a_refused_layer_the_next_claim_works(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        with pytest.raises(LayerNotFoundError):
            await provider.claim(spec, LayerKey("no-such-layer"))
        sandbox = await provider.claim(spec, new_layer())
        assert (await sandbox.run(ExecRequest(EXIT_7))).exit_code == 7

    async def test_expecting_changes_nothing_that_a_caller_can_see(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        provider.expect("run-1", [spec, spec, replace(spec, image_id="sha256:" + "0" * 64)])
        sandbox = await provider.claim(spec, new_layer())
        provider.expect("run-1", [])
        assert (await sandbox.run(ExecRequest(EXIT_7))).exit_code == 7

    async def test_a_closed_provider_has_no_sandboxes(
        self, provider: SandboxProvider, spec: SandboxSpec, new_layer: Callable[[], LayerKey]
    ) -> None:
        sandbox = await provider.claim(spec, new_layer())
        started = asyncio.Event()
        attempt = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
        await started.wait()
        await provider.close()
        await provider.close()
        assert (await attempt).verdict is Verdict.KILLED
        with pytest.raises(SandboxUnavailableError):
            await provider.claim(spec, new_layer())
