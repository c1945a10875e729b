"""Images that steps run in: the runner, which is built here, and the user's own, which are looked at.

Nothing is ever pulled for a step: a name is resolved to the id of a local image, and the id is what runs. The
runner is built from its recipe (`recipe.py`) and tagged `sandstone/runner:<recipe's digest>` and `:latest`; while
an image with that label is there, building is a no-op. Whether an image has a /bin/sh cannot be seen without
running it: the gate finds out when the first container of it starts, and says ImageRefusedError.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from sandbox.docker.image_api import BuildRefusedError, ImageApi
from sandbox.docker.policy import STORE_LABEL
from sandbox.docker.programs import Progress, Tail, silent
from sandbox.errors import ImageBuildError, ImageNotFoundError, ImageRefusedError

# What builds is imported by what builds: most commands only look a name up.
if TYPE_CHECKING:
    from sandbox.docker.recipe import Recipe

RUNNER: Final = "sandstone/runner"
RECIPE_LABEL: Final = "sandstone.image"
ENVIRONMENT_LABEL: Final = "sandstone.env"
BASE_LABEL: Final = "sandstone.base"

_TAG_CHARACTERS: Final = 32
_NEAR: Final = 3
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}


class Currency(StrEnum):
    """Whether the runner's image is the one that this version of sandstone would build."""

    MISSING = "missing"
    STALE = "stale"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class ImageState:
    """The runner's image. size_bytes: on disk, its own layers. base: id of what it was built from.

    recipe is what would be built now; built_recipe what was. Empty and 0 where there is no image.
    """

    currency: Currency
    recipe: str
    image_id: str = ""
    built_recipe: str = ""
    base: str = ""
    size_bytes: int = 0
    created: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """A local image that steps can use, by id; with what its configuration would otherwise decide.

    env: `NAME=value` entries. volumes: paths of its VOLUME lines. entrypoint: overridden in every sandbox.
    """

    image_id: str
    name: str
    architecture: str
    size_bytes: int
    env: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PrunedImage:
    """An image that was, or would be, removed. size_bytes counts what it shares with others, too."""

    image_id: str
    names: tuple[str, ...]
    size_bytes: int


class ImageBuilder:
    """Builds the runner's image and resolves names. Lives on one event loop; `close` ends its threads."""

    def __init__(self, api: ImageApi | None = None, cache: Path | None = None) -> None:
        self._api = api if api is not None else ImageApi()
        self._cache = cache

    async def resolve(self, image: str) -> ResolvedImage:
        """The local image called `image` (name, name:tag, digest or id), checked.

        Raises:
          ImageNotFoundError: no such local image; `near` has names alike.
          ImageRefusedError: made for another operating system or processor.
          SandboxUnavailableError: the engine is away.
        """
        try:
            facts = await self._api.image_inspect(image)
        except ImageNotFoundError as error:
            raise ImageNotFoundError(image, await self._near(image)) from error
        return _resolved(image, facts, await self._architecture())

    async def state(self) -> ImageState:
        """Whether the runner's image is there and current. Raises SandboxUnavailableError."""
        return await self._state(await self.recipe())

    async def ensure_runner(self, progress: Progress = silent) -> ImageState:
        """The runner's image, built where it is missing or stale. Errors as `build`."""
        return await self.build(progress)

    async def build(self, progress: Progress = silent, *, force: bool = False) -> ImageState:
        """Build the runner's image, unless it is current; `force`: in any case, with newer packages of its base.

        Raises:
          ImageBuildError: no base, no wheels, or a step of the build failed.
          SandboxUnavailableError: the engine is away.
        """
        from sandbox.docker.turns import turn

        recipe = await self.recipe()
        state = await self._state(recipe)
        if state.currency is Currency.CURRENT and not force:
            return state
        async with turn(self.cache_directory() / "image.lock"):
            state = await self._state(recipe)
            if state.currency is not Currency.CURRENT or force:
                await self._build(recipe, progress, force)
        return await self._state(recipe)

    async def prune_environments(
        self, store_id: str, keep: Collection[str], before: datetime, *, dry_run: bool = False
    ) -> list[PrunedImage]:
        """Remove environments that store `store_id` made.

        keep: ids of images that executions still need. before: only what was made earlier (timezone-aware). What
        the engine still needs itself (a container, another image on top) stays, and is not in the answer.
        """
        made = await self._api.images([f"{STORE_LABEL}={store_id}", ENVIRONMENT_LABEL])
        return await self._prune(made, keep, before, dry_run)

    async def prune_runners(
        self, keep: Collection[str], before: datetime, *, dry_run: bool = False
    ) -> list[PrunedImage]:
        """Remove images of runner and variants that newer ones replaced, of all stores; as `prune_environments`."""
        built = await self._api.images([f"{STORE_LABEL}=runner"])
        replaced = [image for image in built if not any(name.endswith(":latest") for name in _names(image))]
        return await self._prune(replaced, keep, before, dry_run)

    async def write_context(self, target: Path, progress: Progress = silent) -> None:
        """Write the build context as a tar file, to build with other tools (`docker build - < FILE`)."""
        from sandbox.docker.recipe import fetch_wheels, write_context

        recipe = await self.recipe()
        wheels = await fetch_wheels(recipe, self.cache_directory(), progress)
        with target.open("wb+") as archive:
            await asyncio.to_thread(write_context, recipe, wheels, archive)

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._api.close()

    # -- inside ----------------------------------------------------------------------------------

    def cache_directory(self) -> Path:
        """Where fetched things and locks are."""
        from sandbox.docker.recipe import cache_directory

        return self._cache if self._cache is not None else cache_directory()

    async def recipe(self) -> Recipe:
        """What the runner's image is made of, for this engine's architecture. Raises SandboxUnavailableError."""
        from sandbox.docker.recipe import read_recipe

        return read_recipe(str((await self._api.info()).get("Architecture") or platform.machine()))

    async def _architecture(self) -> str:
        machine = await self._api.architecture() or platform.machine()
        return _ARCHITECTURES.get(machine, machine)

    async def _state(self, recipe: Recipe) -> ImageState:
        return await self.state_of(RUNNER, recipe.digest)

    async def state_of(self, name: str, digest: str) -> ImageState:
        """Whether the image `name:latest` was built from the recipe with this digest."""
        try:
            facts = await self._api.image_inspect(f"{name}:latest")
        except ImageNotFoundError:
            return ImageState(Currency.MISSING, digest)
        labels = (facts.get("Config") or {}).get("Labels") or {}
        built = str(labels.get(RECIPE_LABEL, ""))
        return ImageState(
            Currency.CURRENT if built == digest else Currency.STALE,
            digest,
            image_id=str(facts["Id"]),
            built_recipe=built,
            base=str(labels.get(BASE_LABEL, "")),
            size_bytes=int(facts.get("Size") or 0),
            created=str(facts.get("Created", "")),
        )

    async def build_context(
        self,
        name: str,
        digest: str,
        context: IO[bytes],
        arguments: Mapping[str, str],
        progress: Progress,
        *,
        force: bool,
    ) -> None:
        """Build the tar `context` (its argument BASE is what it stands on) and call the result `name`.

        Raises ImageBuildError: a step of the build failed.
        """
        tail = Tail()

        def report(line: str) -> None:
            tail.add(line)
            progress(line)

        try:
            built = await self._api.build(
                context,
                arguments=arguments,
                labels={STORE_LABEL: "runner", RECIPE_LABEL: digest, BASE_LABEL: arguments["BASE"]},
                no_cache=force,
                progress=report,
            )
        except BuildRefusedError as error:
            fix = "see the output above it; the build needs the machine's way to a Debian mirror"
            raise ImageBuildError("building the image", error.reason, fix, tail.text()) from error
        # Only a finished image gets the names, the one that says "current" last.
        await self._api.tag(built, name, digest[:_TAG_CHARACTERS])
        await self._api.tag(built, name, "latest")

    async def _build(self, recipe: Recipe, progress: Progress, force: bool) -> None:
        import tempfile

        from sandbox.docker.base import STAGE_LABEL, find_base
        from sandbox.docker.network import proxies
        from sandbox.docker.recipe import fetch_wheels, write_context

        wheels = await fetch_wheels(recipe, self.cache_directory(), progress)
        base = await find_base(self._api, progress)
        with tempfile.TemporaryFile(prefix="sandstone-context-") as context:
            await asyncio.to_thread(write_context, recipe, wheels, context)
            arguments = {"BASE": base, **proxies()}
            await self.build_context(RUNNER, recipe.digest, context, arguments, progress, force=force)
        for stage in await self._api.images([f"{STAGE_LABEL}=packages"]):
            if not _names(stage):
                await self._api.remove_image(str(stage["Id"]))

    async def _prune(
        self, images: Sequence[Mapping[str, Any]], keep: Collection[str], before: datetime, dry_run: bool
    ) -> list[PrunedImage]:
        pruned = []
        for image in images:
            image_id, names = str(image["Id"]), tuple(_names(image))
            if image_id in keep or int(image["Created"]) >= before.timestamp():
                continue
            if dry_run or await self._remove(image_id, names):
                pruned.append(PrunedImage(image_id, names, int(image.get("Size") or 0)))
        return pruned

    async def _remove(self, image_id: str, names: Sequence[str]) -> bool:
        for name in names or [image_id]:
            await self._api.remove_image(name)
        try:
            await self._api.image_inspect(image_id)
        except ImageNotFoundError:
            return True
        return False

    async def _near(self, image: str) -> Sequence[str]:
        import difflib

        known = {name for local in await self._api.images() for name in _names(local)}
        known |= {name.removesuffix(":latest") for name in known}
        return difflib.get_close_matches(image, sorted(known), n=_NEAR)


def _names(image: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in image.get("RepoTags") or [] if name != "<none>:<none>"]


def _resolved(name: str, facts: Mapping[str, Any], architecture: str) -> ResolvedImage:
    system = str(facts.get("Os", "linux"))
    made_for = str(facts.get("Architecture", architecture))
    if system != "linux" or made_for != architecture:
        raise ImageRefusedError(name, f"it is made for {system}/{made_for}, this machine is linux/{architecture}")
    config = facts.get("Config") or {}
    return ResolvedImage(
        image_id=str(facts["Id"]),
        name=name,
        architecture=made_for,
        size_bytes=int(facts.get("Size") or 0),
        env=tuple(config.get("Env") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        labels=dict(config.get("Labels") or {}),
    )
