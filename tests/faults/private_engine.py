"""A container engine of the tests' own, to be killed: nothing of it is shared with the machine's engine."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import disk_directory
from tests.leftovers import ask_engine

IMAGE: Final = "sandstone-test:busybox"
_PROGRAMS: Final = ("sh", "cat", "echo", "sleep", "test", "seq", "rm", "mkdir", "true")
_LIMIT_S: Final = 60


class PrivateEngine:
    """`dockerd` and the `containerd` under it, in a directory of their own. Start with `start`, end with `close`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._config = directory / "daemon.json"
        self._config.write_text("{}")
        self.socket = str(directory / "engine.sock")
        self._containerd_socket = directory / "containerd.sock"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start what does not run, and wait until it answers."""
        here = self._directory
        if not self._runs("containerd"):
            self._spawn(
                "containerd",
                ["--root", f"{here}/containerd", "--state", f"{here}/state", "--address", str(self._containerd_socket)],
            )
            wait_until(self._containerd_socket.exists, "containerd's socket")
        if not self._runs("dockerd"):
            # In a network of its own: `--bridge=none` takes the machine's docker0 away.
            self._spawn(
                "dockerd",
                [
                    *("--data-root", f"{here}/data", "--exec-root", f"{here}/exec", "--pidfile", f"{here}/pid"),
                    *("--containerd", str(self._containerd_socket), "--config-file", str(self._config)),
                    *("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"),
                    *("-H", f"unix://{self.socket}"),
                ],
            )
        wait_until(self.answers, "an answer of dockerd")

    def _spawn(self, program: str, arguments: Sequence[str]) -> None:
        with (self._directory / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                ["unshare", "--net", "--", program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _runs(self, program: str) -> bool:
        return program in self._processes and self._processes[program].poll() is None

    def answers(self) -> bool:
        try:
            return bool(ask_engine("/_ping", self.socket) == "OK")
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL to dockerd; containers go on for now, as they do."""
        self._processes["dockerd"].kill()
        self._processes["dockerd"].wait()

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> Any:
        return ask_engine(path, self.socket, method, body)

    def containers(self, state: str = "running") -> list[dict[str, Any]]:
        found = self.ask(f'/containers/json?all=1&filters={{"status":["{state}"]}}')
        return [row for row in found if isinstance(row, dict)]

    def processes_of(self, container: str) -> list[int]:
        """PID 1 of the container, as the host sees it."""
        return [int(self.ask(f"/containers/{container}/json")["State"]["Pid"])]

    def shim_of(self, container: str) -> int:
        """The process that containerd has for this container."""
        (pid,) = self.processes_of(container)
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    def make_image(self, name: str = IMAGE) -> None:
        """A small image: busybox and its links."""
        binary = Path(str(shutil.which("busybox"))).read_bytes()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("bin/busybox")
            entry.size, entry.mode = len(binary), 0o755
            tar.addfile(entry, io.BytesIO(binary))
            for program in _PROGRAMS:
                link = tarfile.TarInfo(f"bin/{program}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        repository, _, tag = name.partition(":")
        self.ask(f"/images/create?fromSrc=-&repo={repository}&tag={tag}", "POST", archive.getvalue())

    def close(self) -> None:
        """End both; every container is dead afterwards, and nothing is mounted any more."""
        if self._runs("dockerd"):
            for row in self.ask("/containers/json?all=1"):
                self.ask(f"/containers/{row['Id']}?force=1&v=1", "DELETE")
        for program in ("dockerd", "containerd"):
            if self._runs(program):
                self._processes[program].send_signal(signal.SIGTERM)
                try:
                    self._processes[program].wait(_LIMIT_S)
                except subprocess.TimeoutExpired:
                    self._processes[program].kill()
                    self._processes[program].wait()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            target = line.split()[4]
            if target.startswith(f"{self._directory}/"):
                subprocess.run(["umount", target], check=True)


def wait_until(true: Callable[[], object], what: str, limit_s: float = _LIMIT_S) -> None:
    """Look until it is true; there is nothing that would tell of it."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"no {what} within {limit_s} s"
        time.sleep(0.02)


@contextmanager
def private_engine() -> Iterator[PrivateEngine]:
    """One that runs and has the image. Skips the test where that cannot be."""
    missing = [program for program in ("dockerd", "containerd", "busybox") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"a second container engine needs root and {', '.join(missing) or 'root'} (fix: .ci/setup testing)")
    directory = Path(tempfile.mkdtemp(prefix="sandstone-engine-", dir=disk_directory()))
    engine = PrivateEngine(directory)
    bridges = _bridges()
    try:
        engine.start()
        engine.make_image()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(directory)
    assert _bridges() >= bridges, "the machine's own engine has lost a network"


def _bridges() -> set[str]:
    """The machine's bridges that have a name of the engine's."""
    return {name for name in os.listdir("/sys/class/net") if name.startswith(("docker", "br-"))}
