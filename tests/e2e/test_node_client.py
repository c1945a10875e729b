"""A program in another language drives a real controller: `sandstone serve`, real containers, the Node.js client."""

from __future__ import annotations

import asyncio
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.plan.parse import parse_plan
from engine.rpc.address import parse_address
from engine.rpc.client import ExecutionClient, connect
from tests.e2e.command_bench import LIMIT_S, ROOT, CommandBench, Running, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(300)]

CLIENT = ROOT / "examples/node-client"
SEEN = [
    "server: sandstone ",
    "health: SERVING",
    "reflection: grpc.health.v1.Health ",
    "bad plan: INVALID_ARGUMENT PLAN at plan.retry.attempts, plan.steps[0].run, plan.steps[1].path",
    "good plan: valid, and nothing was run",
    "no such execution: NOT_FOUND NOT_FOUND",
    "execute: ",
    "events: output arrives while the step runs",
    "pause: PAUSED in step count, 2 of 4 steps done",
    "checkpoint: c3 is called good",
    "resume: RUNNING",
    "complete: COMPLETED; ",
    "status: 4 steps succeeded; the log of count has its 40 lines, each once",
    "wrong state: FAILED_PRECONDITION WRONG_STATE, it is completed",
    "rollback: PAUSED at good, 2 steps rolled back",
    "resume after rollback: COMPLETED",
    "checkpoints: c0=start c1=write c2=edit c3=good ",
    "diff: sandstone-demo sandstone-demo/count sandstone-demo/greeting.py added",
    "export: a patch of ",
    "apply: 3 paths, after a dry run that wrote nothing",
    "undo: the directory is as it was",
    "fork: ",
    "cancel: CANCELLED in ",
    "all of it is so",
]
PLAN = """\
version: 1
name: watched
sandbox: {disk: 32MiB, memory: 256MiB}
steps:
  - {id: write, type: file_create, path: new.txt, content: "new\\n"}
  - {id: slow, type: command, run: "echo begun; sleep 4; echo ended"}
  - {id: last, type: command, run: "cat new.txt"}
"""


@pytest.fixture
def bench() -> Iterator[CommandBench]:
    if shutil.which("node") is None or not (CLIENT / "node_modules/@grpc/grpc-js").is_dir():
        pytest.fail("the Node.js client is not set up (fix: .ci/setup node)", pytrace=False)
    with command_bench() as made:
        (made.project / "kept.txt").write_text("kept\n")
        yield made


def socket_of(bench: CommandBench) -> str:
    return f"unix:{bench.directory}/run/controller.sock"


def serve(bench: CommandBench, *options: str) -> tuple[Running, list[str]]:
    """A controller that answers, and where."""
    running = bench.begin("serve", "--listen", socket_of(bench), *options)
    stdout, told = running.process.stdout, ""
    assert stdout is not None
    deadline = time.monotonic() + LIMIT_S
    while told.count("\n") < 1 + options.count("--listen"):
        assert select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0], "it does not answer"
        data = os.read(stdout.fileno(), 4096)
        if not data:
            pytest.fail(f"the controller ended: {running.ended()}, {running.stderr!r}")
        told += data.decode()
    return running, [line.removeprefix("listening on ") for line in told.splitlines()]


def stop(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    code, rest = running.ended()
    assert (code, rest) == (0, ""), running.stderr


def node(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *arguments],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT_S,
        check=False,
        env={**os.environ, **variables},
    )


def test_the_demo_drives_every_channel_and_leaves_nothing(bench: CommandBench) -> None:
    before = bench.files()
    controller, _ = serve(bench)
    done = node("demo.mjs", socket_of(bench), str(bench.project))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert [line for line, start in zip(lines, SEEN, strict=True) if not line.startswith(start)] == []
    assert done.stderr == ""
    stop(controller)
    assert bench.files() == before
    states = {found["name"]: found["state"] for found in bench.shown("status")}
    assert states == {"demo from Node.js": "completed", "fork": "completed", "long": "cancelled"}
    assert not os.path.exists(socket_of(bench).removeprefix("unix:"))


def test_the_demo_fails_and_says_where_when_something_is_not_so(bench: CommandBench) -> None:
    controller, _ = serve(bench)
    (bench.project / "sandstone-demo").write_text("in the way\n")
    done = node("demo.mjs", socket_of(bench), str(bench.project))
    assert done.returncode == 1
    assert re.fullmatch(r"not so: .+ \(demo\.mjs:\d+\)\n", done.stderr, re.DOTALL), done.stderr
    assert "all of it is so" not in done.stdout
    stop(controller)


class Watcher:
    """`watch.mjs` over one execution, read as it prints."""

    def __init__(self, bench: CommandBench, execution_id: str) -> None:
        self._child = subprocess.Popen(
            ["node", "watch.mjs", socket_of(bench), execution_id],
            cwd=CLIENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._told = b""

    @property
    def lines(self) -> list[str]:
        return self._told.decode().splitlines()

    def until(self, text: str) -> None:
        """Read until it has printed `text`."""
        deadline = time.monotonic() + LIMIT_S
        stdout = self._child.stdout
        assert stdout is not None
        while text.encode() not in self._told:
            assert select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0], self.lines
            read = os.read(stdout.fileno(), 65536)
            assert read, f"ended: {self.lines} {self._child.communicate()}"
            self._told += read

    def ended(self) -> tuple[int, bytes]:
        """Exit code and standard error."""
        rest, complaints = self._child.communicate(timeout=LIMIT_S)
        self._told += rest
        return self._child.returncode, complaints

    def abandon(self) -> None:
        self._child.kill()
        self._child.communicate()


@pytest.fixture
def watch(bench: CommandBench) -> Iterator[Callable[[str], Watcher]]:
    """Begins to watch an execution; nobody watches when the test has ended."""
    begun: list[Watcher] = []

    def begin(execution_id: str) -> Watcher:
        begun.append(Watcher(bench, execution_id))
        return begun[-1]

    yield begin
    for watcher in begun:
        watcher.abandon()


def ask(bench: CommandBench, call: Any) -> Any:
    """What our own client gets from the controller."""

    async def asked() -> Any:
        async with connect(parse_address(socket_of(bench))) as client:
            return await call(client)

    return asyncio.run(asked())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_watcher_goes_on_through_the_end_of_the_controller_and_the_next_one(
    bench: CommandBench, watch: Callable[[str], Watcher], end: signal.Signals
) -> None:
    def begin(client: ExecutionClient) -> Any:
        return client.start(parse_plan(PLAN, "plan"), bench.project)

    controller, _ = serve(bench)
    execution_id = ask(bench, begin)
    watcher = watch(execution_id)
    watcher.until("step-started slow")
    controller.process.send_signal(end)
    controller.ended()
    again, _ = serve(bench)
    watcher.until("execution-paused")
    ask(bench, lambda client: client.resume(execution_id))
    assert watcher.ended() == (0, b"")
    assert [line.split()[0] for line in watcher.lines] == [str(number + 1) for number in range(len(watcher.lines))]
    assert watcher.lines[-1].endswith(" execution-completed")
    kinds = [" ".join(line.split()[1:]) for line in watcher.lines]
    assert kinds.count("execution-resumed") == kinds.count("execution-paused") == 1
    assert kinds.count("step-completed write") == kinds.count("step-completed slow") == 1
    stop(again)


def test_a_port_takes_the_client_with_the_token_and_no_other(bench: CommandBench) -> None:
    files = bench.directory
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", files / "key.pem", "-out", files / "cert.pem", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    token = "a-token-of-more-than-sixteen-bytes"
    (files / "token").write_text(token)
    for name in ("key.pem", "token"):
        (files / name).chmod(0o600)
    security = [f"--tls-cert={files}/cert.pem", f"--tls-key={files}/key.pem", f"--token-file={files}/token"]
    controller, addresses = serve(bench, "--listen", "localhost:0", *security)
    assert addresses[0] == socket_of(bench)
    authority = str(files / "cert.pem")
    known = node("watch.mjs", addresses[1], "nothing", SANDSTONE_TOKEN=token, SANDSTONE_AUTHORITY=authority)
    assert (known.returncode, known.stderr) == (1, "NOT_FOUND NOT_FOUND: no execution is called 'nothing'\n")
    other = node("watch.mjs", addresses[1], "nothing", SANDSTONE_TOKEN="another", SANDSTONE_AUTHORITY=authority)
    assert other.returncode == 1
    assert other.stderr.startswith("UNAUTHENTICATED UNAUTHENTICATED: ")
    stop(controller)


def test_the_python_of_the_readme_runs_a_plan(bench: CommandBench) -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = code.replace("unix:/tmp/me/sandstone.sock", socket_of(bench))
    (bench.directory / "plan.yaml").write_text(PLAN.replace("sleep 4", "true"))
    program = (
        "import asyncio\nfrom pathlib import Path\n"
        "from engine.plan.parse import parse_plan\n"
        "from engine.rpc.address import parse_address\nfrom engine.rpc.client import connect\n"
        f"async def main():\n{textwrap.indent(code, '    ')}\nasyncio.run(main())\n"
    )
    controller, _ = serve(bench)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=bench.directory,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "data=b'begun\\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "completed"
    stop(controller)
