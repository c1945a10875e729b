"""The driver in a real container as steps have them: read-only, no rights, a small image, no tools but those given."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from engine.validation.service import ValidationService
from engine.validation.validator import CheckStatus, ToolPlaces
from sandbox.spec import SANDBOX_UID, CapturedOutput, ExecRequest, ExecResult
from tests.images import plain_image
from tests.unit.engine.validation.local_sandbox import MINUTE

pytestmark = [pytest.mark.docker]

FAKE_RUFF = """#!/bin/sh
case "$*" in *--show-files*) echo /workspace/a.py; exit 0 ;; esac
id -u >&2; pwd >&2; echo "HOME=$HOME PATH=$PATH" >&2
exit 2
"""


class Containers:
    """Runs requests in containers of the plain image that tests have; all of them are removed at the end."""

    def __init__(self, root: Path, tools: Path) -> None:
        self.client = docker.from_env()
        self.label = f"validation-test-{uuid.uuid4().hex}"
        self.volumes = {
            str(root): {"bind": "/workspace", "mode": "ro"},
            str(tools): {"bind": "/opt/tools/bin", "mode": "ro"},
            # A base that was made on the machine has a Python; here none is wanted.
            "/dev/null": {"bind": "/usr/bin/python3", "mode": "ro"},
        }

    async def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        return await asyncio.to_thread(self.run, request)

    def run(self, request: ExecRequest) -> ExecResult:
        container: Container = self.client.containers.run(
            plain_image(),
            ["/bin/sh", "-c", 'printf "%s" "$1" | { shift; "$@"; }', "sh", request.stdin, *request.command],
            detach=True,
            working_dir=request.cwd,
            user=str(SANDBOX_UID),
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": "size=64m"},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            labels={"sandstone": self.label},
            volumes=self.volumes,
        )
        code = container.wait(timeout=request.timeout.total_seconds())["StatusCode"]
        out, err = container.logs(stdout=True, stderr=False), container.logs(stdout=False, stderr=True)
        return ExecResult(code, None, CapturedOutput(out), CapturedOutput(err), timedelta(0))

    def close(self) -> None:
        for container in self.client.containers.list(all=True, filters={"label": f"sandstone={self.label}"}):
            container.remove(force=True)
        self.client.close()


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    root, tools = tmp_path / "workspace", tmp_path / "tools"
    for made in (tmp_path, root, tools):
        made.mkdir(exist_ok=True)
        made.chmod(0o755)
    (root / "a.py").write_text("x = 1\n")
    (tools / "ruff").write_text(FAKE_RUFF)
    (tools / "ruff").chmod(0o755)
    running = Containers(root, tools)
    yield running
    running.close()


async def test_the_driver_needs_nothing_but_a_plain_image_and_tmp(containers: Containers) -> None:
    report = await ValidationService(places=ToolPlaces()).check(
        ["syntax", "lint", "type"], containers, None, None, MINUTE
    )
    assert [result.status for result in report.results] == [CheckStatus.ERROR] * 3
    assert [finding.rule for finding in report.findings if finding.check != "lint"] == ["tool-missing"] * 2
    (lint,) = [finding for finding in report.findings if finding.check == "lint"]
    assert f"{SANDBOX_UID}\n/workspace\nHOME=/tmp/tmp." in lint.message
    assert "/home PATH=/usr/local/sbin:" in lint.message
