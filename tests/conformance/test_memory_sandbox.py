"""`InMemorySandboxProvider` keeps the rules of every provider."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.memory import InMemorySandboxProvider, Scripted
from sandbox.spec import ExecRequest, ResourceUsage, SandboxSpec
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerName, VolumeId
from tests.conformance import sandbox_suite as suite

VOLUME = VolumeId("run-1")


def play(request: ExecRequest) -> Scripted:
    """What the suite's commands do."""
    match request.command:
        case suite.TWO_STREAMS:
            return Scripted(stdout=b"to stdout", stderr=b"to stderr\n")
        case suite.EXIT_7:
            return Scripted(exit_code=7)
        case suite.WRITE:
            return Scripted(effect=lambda tree: (tree / "made.txt").write_bytes(b"written") and None)
        case suite.HANG:
            return Scripted(stdout=b"started\n", hangs=True)
        case suite.USE:
            return Scripted(stdout=b"used\n", hangs=True, usage=ResourceUsage(timedelta(milliseconds=5), 1 << 20))
        case suite.FLOOD:
            return Scripted(stdout=b"0123456789\n" * 1000, hangs=True)
        case suite.SHOW_ENVIRONMENT:
            return Scripted(stdout=f"{request.env['GREETING']}|{request.secrets['TOKEN']}".encode())
        case suite.SHOW_STDIN:
            return Scripted(stdout=request.stdin.encode())
        case suite.SHOW_CWD:
            return Scripted(stdout=f"{request.cwd}\n".encode())
        case suite.ARGV:
            return Scripted(stdout=" ".join(suite.ARGV[1:]).encode() + b"\n")
        case unknown:
            raise AssertionError(unknown)


class TestInMemorySandboxProvider(suite.SandboxSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> CopyingLayerStore:
        base = tmp_path / "base"
        base.mkdir()
        store = CopyingLayerStore(tmp_path / "store")
        store.create_volume(VOLUME, base, DiskLimit(bytes=1 << 20, inodes=1000))
        return store

    @pytest.fixture
    def spec(self) -> SandboxSpec:
        return SandboxSpec("sha256:" + "1" * 64)

    @pytest.fixture
    async def provider(
        self, store: CopyingLayerStore, spec: SandboxSpec, tmp_path: Path
    ) -> AsyncIterator[InMemorySandboxProvider]:
        provider = InMemorySandboxProvider(store, play, tmp_path / "mounts", images={spec.image_id})
        yield provider
        await provider.close()

    @pytest.fixture
    def new_layer(self, store: CopyingLayerStore) -> Callable[[], LayerKey]:
        numbers = itertools.count()

        def make() -> LayerKey:
            key = LayerKey(f"key-{next(numbers)}")
            store.prepare(key, None, VOLUME)
            return key

        return make

    @pytest.fixture
    def committed_layer(self, store: CopyingLayerStore) -> LayerKey:
        store.prepare(LayerKey("sealed-key"), None, VOLUME)
        store.commit(LayerKey("sealed-key"), LayerName("sealed"))
        return LayerKey("sealed")

    @pytest.fixture
    def read(self, store: CopyingLayerStore, tmp_path: Path) -> Callable[[LayerKey, str], bytes | None]:
        def read(layer: LayerKey, path: str) -> bytes | None:
            place = tmp_path / f"look-{layer}"
            place.mkdir()
            file = store.mount(layer, place) / path
            return file.read_bytes() if file.exists() else None

        return read
