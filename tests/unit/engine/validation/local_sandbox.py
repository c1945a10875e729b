"""A stand-in for the sandbox: runs requests as local processes over a directory, so that the driver runs for real.

It isolates nothing; only the tests' own files are checked with it. Everything it started is killed at the end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from engine.validation.service import ValidationService
from engine.validation.validator import ToolPlaces
from sandbox.spec import CapturedOutput, ExecRequest, ExecResult, Verdict

MINUTE = timedelta(seconds=60)


@dataclass
class LocalSandbox:
    """Runs one request at a time; keeps the requests it got."""

    scratch: Path
    path: str = os.environ.get("PATH", "/usr/bin:/bin")
    env: Mapping[str, str] = field(default_factory=dict)
    requests: list[ExecRequest] = field(default_factory=list)

    async def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        self.requests.append(request)
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *request.command,
            cwd=request.cwd,
            env={"PATH": self.path, "TMPDIR": str(self.scratch), **self.env},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        verdict = None
        given = request.stdin.encode("utf-8", "surrogateescape")
        talk = asyncio.ensure_future(process.communicate(given))
        done, _ = await asyncio.wait({talk}, timeout=request.timeout.total_seconds())
        if not done:
            verdict = Verdict.TIMEOUT
            os.killpg(process.pid, signal.SIGKILL)
        out, err = await talk
        spent = timedelta(seconds=time.monotonic() - started)
        return ExecResult(process.returncode, verdict, CapturedOutput(out), CapturedOutput(err), spent)


class Bench:
    """A workspace, a directory of tools and a service over both."""

    def __init__(self, base: Path, tools: Path | None = None) -> None:
        self.root = base / "workspace"
        self.tools = tools or base / "tools"
        self.root.mkdir()
        self.tools.mkdir(exist_ok=True)
        scratch = base / "scratch"
        scratch.mkdir()
        self.run = LocalSandbox(scratch)
        self.service = ValidationService(places=ToolPlaces(str(self.root), str(self.tools)))

    def file(self, name: str | bytes, text: str | bytes = "") -> Path:
        """Write a file of the workspace."""
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def tool(self, name: str, script: str) -> None:
        """Put a shell script among the image's tools."""
        path = self.tools / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
