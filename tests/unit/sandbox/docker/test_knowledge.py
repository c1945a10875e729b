"""What is learnt of an engine."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.docker.knowledge import EngineHost, EngineKnowledge
from sandbox.docker.policy import ImageFacts
from sandbox.errors import ImageNotFoundError, ImageRefusedError

INFO = {"CgroupVersion": "2", "NCPU": 8, "Architecture": "x86_64", "Runtimes": {"runc": {}, "runsc": {}}}


class FakeEngine:
    """Counts how often it is asked."""

    def __init__(self, info: dict[str, Any], images: dict[str, dict[str, Any]]) -> None:
        self._info = info
        self._images = images
        self.asked: list[str] = []

    async def info(self) -> dict[str, Any]:
        self.asked.append("info")
        return self._info

    async def image_inspect(self, image: str) -> dict[str, Any]:
        self.asked.append(image)
        if image not in self._images:
            raise ImageNotFoundError(image)
        return self._images[image]


def knowledge(engine: FakeEngine) -> EngineKnowledge:
    return EngineKnowledge(engine)  # type: ignore[arg-type]


async def test_the_host_is_asked_once() -> None:
    engine = FakeEngine(INFO, {})
    known = knowledge(engine)
    assert await known.host() == await known.host() == EngineHost(2, 8, "amd64", frozenset({"runc", "runsc"}))
    assert engine.asked == ["info"]


async def test_an_engine_that_names_no_version_has_version_1() -> None:
    assert (await knowledge(FakeEngine({}, {})).host()).cgroup_version == 1


async def test_an_image_is_asked_for_once() -> None:
    config = {"Env": ["A=1"], "Volumes": {"/b": {}, "/a": {}}}
    engine = FakeEngine(INFO, {"x": {"Architecture": "amd64", "Config": config}})
    known = knowledge(engine)
    assert await known.image("x") == await known.image("x") == ImageFacts("x", ("A=1",), ("/a", "/b"))
    assert engine.asked == ["info", "x"]


async def test_an_image_without_configuration_is_one_with_none() -> None:
    engine = FakeEngine(INFO, {"x": {"Config": {"Env": None, "Volumes": None}}})
    assert await knowledge(engine).image("x") == ImageFacts("x")


async def test_an_image_for_another_machine_is_refused() -> None:
    engine = FakeEngine(INFO, {"x": {"Architecture": "arm64"}})
    with pytest.raises(ImageRefusedError, match="arm64"):
        await knowledge(engine).image("x")


async def test_an_image_that_was_not_there_is_asked_for_again() -> None:
    engine = FakeEngine(INFO, {})
    known = knowledge(engine)
    for _ in range(2):
        with pytest.raises(ImageNotFoundError):
            await known.image("x")
    assert engine.asked.count("x") == 2
