"""Decisions of the image builder, over an engine that only remembers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.docker.image import RECIPE_LABEL, RUNNER, Currency, ImageBuilder
from sandbox.docker.image_api import ImageApi
from sandbox.docker.recipe import read_recipe
from sandbox.errors import ImageNotFoundError, ImageRefusedError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOREVER = datetime(2027, 1, 1, tzinfo=UTC)


class RememberedImages(ImageApi):
    """Images by id; `in_use` are those that the engine would not remove."""

    def __init__(self, *images: dict[str, Any], machine: str = "x86_64") -> None:
        super().__init__("/nonexistent.sock")
        self.known = {image["Id"]: image for image in images}
        self.in_use: set[str] = set()
        self.machine = machine

    async def architecture(self) -> str:
        return self.machine

    async def info(self) -> dict[str, Any]:
        return {"Architecture": self.machine}

    async def image_inspect(self, image: str) -> dict[str, Any]:
        for found in self.known.values():
            names = found["RepoTags"]
            if image == found["Id"] or image in names or f"{image}:latest" in names:
                return found
        raise ImageNotFoundError(image)

    async def images(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        def has(image: dict[str, Any], label: str) -> bool:
            name, _, value = label.partition("=")
            return image["Labels"].get(name) == value if value else name in image["Labels"]

        return [image for image in self.known.values() if all(has(image, label) for label in labels)]

    async def remove_image(self, image: str) -> None:
        for found in list(self.known.values()):
            if image in (found["Id"], *found["RepoTags"]) and found["Id"] not in self.in_use:
                found["RepoTags"] = [name for name in found["RepoTags"] if name != image]
                if not found["RepoTags"]:
                    del self.known[found["Id"]]


def image(number: int, *names: str, **labels: str) -> dict[str, Any]:
    return {
        "Id": f"sha256:{number:064}",
        "RepoTags": list(names),
        "Labels": labels,
        "Created": int(NOON.timestamp()),
        "Size": 100,
        "Os": "linux",
        "Architecture": "amd64",
        "Config": {"Labels": labels, "Env": ["A=1"], "Volumes": {"/data": {}}, "Entrypoint": ["/entry"]},
    }


Making = Callable[..., ImageBuilder]


@pytest.fixture
def making(tmp_path: Path) -> Making:
    return lambda api: ImageBuilder(api, tmp_path)


async def test_a_resolved_image_tells_what_its_configuration_would_decide(making: Making) -> None:
    found = await making(RememberedImages(image(1, "mine:latest"))).resolve("mine")
    assert (found.env, found.volumes, found.entrypoint) == (("A=1",), ("/data",), ("/entry",))
    assert found.image_id == f"sha256:{1:064}"


@pytest.mark.parametrize(("system", "architecture"), [("linux", "arm64"), ("windows", "amd64")])
async def test_an_image_for_another_platform_is_refused(making: Making, system: str, architecture: str) -> None:
    other = {**image(1, "mine:latest"), "Os": system, "Architecture": architecture}
    with pytest.raises(ImageRefusedError, match=f"{system}/{architecture}"):
        await making(RememberedImages(other)).resolve("mine")


async def test_an_unknown_name_comes_with_names_alike_and_others_do_not(making: Making) -> None:
    api = RememberedImages(image(1, "python:3.12-slim"), image(2, "alpine:latest"))
    with pytest.raises(ImageNotFoundError) as caught:
        await making(api).resolve("python:3.13-slim")
    assert caught.value.near == ("python:3.12-slim",)


async def test_an_image_is_current_exactly_when_it_was_built_from_this_recipe(making: Making) -> None:
    digest = read_recipe("x86_64").digest
    own = {RECIPE_LABEL: digest}
    assert (await making(RememberedImages()).state()).currency is Currency.MISSING
    current = RememberedImages(image(1, f"{RUNNER}:latest", **own))
    assert (await making(current).state()).currency is Currency.CURRENT
    other_machine = RememberedImages(image(1, f"{RUNNER}:latest", **own), machine="aarch64")
    assert (await making(other_machine).state()).currency is Currency.STALE


async def test_a_current_image_is_not_built_again(making: Making, tmp_path: Path) -> None:
    api = RememberedImages(image(1, f"{RUNNER}:latest", **{RECIPE_LABEL: read_recipe("x86_64").digest}))
    lines: list[str] = []
    assert (await making(api).ensure_runner(lines.append)).currency is Currency.CURRENT
    assert (lines, os.listdir(tmp_path)) == ([], [])


async def test_pruning_runners_spares_the_current_one_what_is_kept_and_what_is_in_use(making: Making) -> None:
    runners = [
        image(1, f"{RUNNER}:latest", f"{RUNNER}:abc", sandstone="runner"),
        image(2, f"{RUNNER}:old", sandstone="runner"),
        image(3, sandstone="runner"),
        image(4, sandstone="runner"),
        image(5, "mine:latest"),
    ]
    api = RememberedImages(*runners)
    api.in_use.add(runners[3]["Id"])
    builder = making(api)
    assert await builder.prune_runners([], NOON) == []
    pruned = await builder.prune_runners([runners[2]["Id"]], FOREVER)
    assert [(image.image_id, image.names) for image in pruned] == [(runners[1]["Id"], (f"{RUNNER}:old",))]
    assert set(api.known) == {runners[index]["Id"] for index in (0, 2, 3, 4)}
