"""The scripted provider's own ways; the rules of every provider are in tests/conformance."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.memory import InMemorySandboxProvider, Scripted, script_of
from sandbox.spec import ExecRequest, ResourceUsage, SandboxSpec, Verdict
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.layer import DiskLimit, LayerKey, VolumeId

SPEC = SandboxSpec("sha256:" + "1" * 64)


@pytest.fixture
def layer(store: CopyingLayerStore) -> LayerKey:
    store.prepare(LayerKey("key-1"), None, VolumeId("run-1"))
    return LayerKey("key-1")


@pytest.fixture
def store(tmp_path: Path) -> CopyingLayerStore:
    (tmp_path / "base").mkdir()
    store = CopyingLayerStore(tmp_path / "store")
    store.create_volume(VolumeId("run-1"), tmp_path / "base", DiskLimit(bytes=1 << 20, inodes=100))
    return store


def provider(store: CopyingLayerStore, tmp_path: Path, script: dict[str, Scripted]) -> InMemorySandboxProvider:
    return InMemorySandboxProvider(store, script_of(dict(script)), tmp_path / "mounts")


async def test_a_command_that_is_not_in_the_script_is_a_program_that_is_not_there(
    store: CopyingLayerStore, layer: LayerKey, tmp_path: Path
) -> None:
    sandbox = await provider(store, tmp_path, {}).claim(SPEC, layer)
    result = await sandbox.run(ExecRequest("make"))
    assert (result.exit_code, result.verdict) == (127, None)


async def test_a_scripted_limit_is_a_verdict_with_usage(
    store: CopyingLayerStore, layer: LayerKey, tmp_path: Path
) -> None:
    act = Scripted(exit_code=0, verdict=Verdict.OUT_OF_MEMORY, usage=ResourceUsage(oom_kills=1))
    sandbox = await provider(store, tmp_path, {"make": act}).claim(SPEC, layer)
    result = await sandbox.run(ExecRequest("make"))
    assert (result.exit_code, result.verdict, result.usage.oom_kills) == (0, Verdict.OUT_OF_MEMORY, 1)
    assert not result.ok


async def test_what_is_expected_can_be_looked_at(store: CopyingLayerStore, tmp_path: Path) -> None:
    one = provider(store, tmp_path, {})
    one.expect("run", [SPEC, SPEC])
    assert one.expected == {"run": (SPEC, SPEC)}
    one.expect("run", [])
    assert one.expected == {}


async def test_a_frozen_sandbox_says_nothing_until_it_is_thawed(
    store: CopyingLayerStore, layer: LayerKey, tmp_path: Path
) -> None:
    sandbox = await provider(store, tmp_path, {"make": Scripted(stdout=b"on\n")}).claim(SPEC, layer)
    await sandbox.freeze()
    said: list[bytes] = []
    running = asyncio.create_task(sandbox.run(ExecRequest("make"), lambda _, chunk: said.append(chunk)))
    await asyncio.sleep(0)
    assert said == []
    await sandbox.thaw()
    assert (await running).ok
    assert said == [b"on\n"]
