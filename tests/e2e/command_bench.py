"""Drives the installed `sandstone` command as users do: as a process, over a throw-away store and project."""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Protocol, TypeVar
from urllib.parse import quote

from tests.conftest import disk_directory
from tests.leftovers import ENGINE_SOCKET, ask_engine

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 100
"""No command of these tests may take longer."""

_SCRIPT = Path(sys.executable).with_name("sandstone")
PROGRAM: Final = (
    [str(_SCRIPT)]
    if _SCRIPT.exists()
    else [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
)

Done = subprocess.CompletedProcess[str]


@dataclass
class CommandBench:
    """A store, a project and the command. command: what to run in place of PROGRAM, as another user for instance."""

    directory: Path
    command: Sequence[str] = field(default_factory=lambda: PROGRAM)
    variables: Mapping[str, str] = field(default_factory=dict)
    begun: list[Running] = field(default_factory=list)
    copied: sqlite3.Connection | None = None
    """The copy of the journal that is looked at now, see `one_copy`."""

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def project(self) -> Path:
        return self.directory / "project"

    def environment(self) -> dict[str, str]:
        dropped = ("NO_COLOR", "FORCE_COLOR", "CI")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {**kept, "PYTHONPATH": str(ROOT), "SANDSTONE_HOME": str(self.home), **self.variables}

    def __call__(self, *arguments: str | Path, expect: int | None = 0, stdin: str = "") -> Done:
        """Run `sandstone ARGUMENTS` to its end."""
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env=self.environment(),
            cwd=self.project,
        )
        if expect is not None:
            assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def shown(self, *arguments: str | Path, expect: int | None = 0, stdin: str = "") -> Any:
        """What `sandstone ARGUMENTS --json` prints."""
        return json.loads(self(*arguments, "--json", expect=expect, stdin=stdin).stdout)

    def run(self, plan: str, *options: str | Path, expect: int | None = 0) -> Any:
        """The outcome of `sandstone run - --json`."""
        return self.shown("run", "-", "--quiet", *options, expect=expect, stdin=plan)

    def events(self, execution_id: str = "last") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("events", execution_id, "--json").stdout.splitlines()]

    def start(self, plan: str, *options: str) -> Running:
        """`sandstone run - --json` in its own process group, not waited for."""
        return self.begin("run", "-", "--json", *options, stdin=plan)

    def begin(self, *arguments: str, stdin: str = "") -> Running:
        """`sandstone ARGUMENTS` in its own process group, not waited for."""
        child = subprocess.Popen(
            [*self.command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            cwd=self.project,
            start_new_session=True,
        )
        assert child.stdin is not None
        child.stdin.write(stdin.encode())
        child.stdin.close()
        child.stdin = None
        running = Running(child)
        self.begun.append(running)
        return running

    # -- what is there ---------------------------------------------------------------------------

    def files(self) -> dict[str, tuple[str, str]]:
        """Every path of the project with its mode and what it holds."""
        return tree(self.project)

    @property
    def engine_socket(self) -> str:
        """Where the engine that the command uses listens."""
        return self.variables.get("DOCKER_HOST", "").removeprefix("unix://") or ENGINE_SOCKET

    @property
    def store_id(self) -> str:
        path = self.home / "store-id"
        return path.read_text().split()[0] if path.exists() else ""

    def left(self, beside: int | None = None) -> list[str]:
        """Everything of this store that is on the machine but should not be when no command of it runs.

        beside: process id of one that does, and drives nothing; what waits in its name is not counted.
        """
        lease = self._lease_of(beside)
        found = []
        if self.store_id:
            wanted = quote(json.dumps({"label": [f"sandstone={self.store_id}"]}))
            rows = ask_engine(f"/containers/json?all=1&filters={wanted}", self.engine_socket)
            rows = [row for row in rows if not lease or row["Labels"]["sandstone.lease"] != lease]
            found += [f"container {row['Names'][0]} {row['State']}" for row in rows]
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            target = line.split()[4]
            if target.startswith(f"{self.home}/") and not (lease and target == f"{self.home}/mnt"):
                found.append(f"mount {target}")
        for device in os.listdir("/sys/block"):
            try:
                backing = Path("/sys/block", device, "loop/backing_file").read_text().strip()
            except OSError:
                continue
            if backing.startswith(f"{self.home}/"):
                found.append(f"loop device {device} on {backing}")
        for place in ("leases", "mnt/slots", "mnt/volumes"):
            directory = self.home / place
            if directory.is_dir():
                names = [name for name in os.listdir(directory) if not lease or name.partition("-")[0] != lease]
                found += [f"{place}/{name}" for name in names]
        return found

    def _lease_of(self, process: int | None) -> str:
        """Name of the lease that it holds; "" of no process."""
        if process is None:
            return ""
        (held,) = [path for path in (self.home / "leases").iterdir() if path.read_text().strip() == str(process)]
        return held.name

    def rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a copy of the journal, taken while nobody writes to it: nothing of ours is asked."""
        with self.one_copy() as copy:
            return copy.execute(question, values).fetchall()

    @contextmanager
    def one_copy(self) -> Iterator[sqlite3.Connection]:
        """For the block, `rows` are those of one copy. Precondition: nobody writes to the journal meanwhile."""
        if self.copied is not None:
            yield self.copied
            return
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            for path in self.home.glob("journal.db*"):
                shutil.copy(path, directory)
            self.copied = sqlite3.connect(f"{directory}/journal.db")
            try:
                yield self.copied
            finally:
                self.copied.close()
                self.copied = None


class Process(Protocol):
    """Those parts of `subprocess.Popen` that are used here."""

    pid: int
    returncode: int | None

    @property
    def stderr(self) -> IO[bytes] | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def communicate(self, *, timeout: float | None = None) -> tuple[bytes, bytes]: ...


@dataclass
class Running:
    """A command that runs."""

    process: Process
    stderr: bytes = b""

    def until(self, text: str, limit_s: float = LIMIT_S) -> None:
        """Read standard error until `text` was seen."""
        deadline = time.monotonic() + limit_s
        while text.encode() not in self.stderr:
            assert time.monotonic() < deadline, f"no {text!r} in {self.stderr!r}"
            assert self._read(deadline), f"ended without {text!r}: {self.stderr!r}"

    def until_or_end(self, text: str) -> None:
        """Read standard error until `text` was seen or the command ends."""
        deadline = time.monotonic() + LIMIT_S
        while text.encode() not in self.stderr and self._read(deadline):
            assert time.monotonic() < deadline, f"no {text!r} in {self.stderr!r}"

    def for_another(self, seconds: float) -> None:
        """Read standard error for that long, or until the command ends."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(deadline):
            pass

    def at_a_moment(self, draw: random.Random, steps: int) -> str:
        """Return at a random moment of a run of so many steps: soon after the start or in any step. Says when."""
        if draw.random() < 0.3:
            seconds = draw.uniform(0, 1.5)
            self.for_another(seconds)
            return f"{seconds:.3f} s after the start"
        wanted, seconds = draw.randint(1, steps), draw.uniform(0, 0.25)
        self.until_or_end(f"[{wanted}/{steps}]")
        self.for_another(seconds)
        return f"{seconds:.3f} s after step {wanted} was named"

    def _read(self, deadline: float) -> bool:
        """Take what is there to read before the deadline; False at the end of standard error."""
        stream = self.process.stderr
        assert stream is not None
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return True
        data = os.read(stream.fileno(), 65536)
        self.stderr += data
        return bool(data)

    def abandon(self) -> None:
        """Kill it if it still runs, and let go of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code and standard output."""
        try:
            stdout, rest = self.process.communicate(timeout=LIMIT_S)
        finally:
            self.process.kill()
            self.process.wait()
        self.stderr += rest
        assert self.process.returncode is not None
        return self.process.returncode, stdout.decode()


def tree(directory: Path) -> dict[str, tuple[str, str]]:
    """Path -> mode and content (digest, link target, or `directory`)."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = f"-> {os.readlink(path)}"
        elif path.is_dir():
            content = "directory"
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(directory))] = (f"{status.st_mode:o}", content)
    return found


Bench = TypeVar("Bench", bound=CommandBench)


@contextmanager
def command_bench(make: Callable[[Path], Bench] = CommandBench) -> Iterator[Bench]:  # type: ignore[assignment]
    """A bench in a fresh directory on a real disk; at the end nothing of its store may be left on the machine."""
    bench = make(Path(tempfile.mkdtemp(prefix="sandstone-e2e-", dir=disk_directory())))
    bench.project.mkdir()
    try:
        yield bench
        assert bench.left() == []
    finally:
        for running in bench.begun:
            running.abandon()
        if bench.left() and bench.home.exists():
            bench("gc", "--all", expect=None)
        if not bench.left():
            shutil.rmtree(bench.directory)
