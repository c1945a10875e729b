"""A controller makes user namespaces in children, and gRPC, whose fork handlers start threads, stays out of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, os, sys
import grpc
from engine.rpc import server
from sandbox.workspace.privileged import swap_namespace

async def main():
    serving = grpc.aio.server()
    serving.add_insecure_port(f"unix:{sys.argv[1]}")
    await serving.start()
    print(os.readlink(f"/proc/self/fd/{await asyncio.to_thread(swap_namespace, 1000, 1000, 64000)}"))
    await serving.stop(0)

asyncio.run(main())
"""


@pytest.mark.root
def test_a_process_that_serves_can_make_a_user_namespace_and_says_nothing_of_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "socket")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith("user:["), done.stderr
    assert done.stderr == ""
