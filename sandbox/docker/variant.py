"""Image variants: the runner with heavy tools for single checks, built on first use over the runner's image.

A variant is a directory of `sandbox/docker/variants`: a Dockerfile whose base is the runner, and `npm.lock` with what
is fetched on the host. Its recipe is these and the runner's recipe, so that a new runner makes its variants stale.
The name is `sandstone/VARIANT`, tagged like the runner's.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sandbox.docker.image import RUNNER, Currency, ImageBuilder, ImageState
from sandbox.docker.network import proxies
from sandbox.docker.npm import NpmPackage, fetch_package, locked_packages
from sandbox.docker.programs import Progress, silent
from sandbox.docker.recipe import member
from sandbox.errors import ImageNotFoundError

VARIANTS: Final = ("web",)
"""The names that there are."""

_DIRECTORY: Final = Path(__file__).resolve().parent / "variants"


@dataclass(frozen=True, slots=True)
class VariantRecipe:
    """runner: digest of the runner's recipe. packages: fetched on the host."""

    name: str
    runner: str
    dockerfile: bytes
    npm_lock: bytes
    architecture: str

    @property
    def digest(self) -> str:
        """sha256 (hex) of everything that decides the content, but for the newest packages of the base."""
        known = hashlib.sha256()
        for part in (self.runner.encode(), self.dockerfile, self.npm_lock, self.architecture.encode()):
            known.update(b"%d\n" % len(part) + part)
        return known.hexdigest()

    @property
    def packages(self) -> list[NpmPackage]:
        """What is fetched from npm."""
        return locked_packages(self.npm_lock, self.architecture)


def read_variant(name: str, runner: str, architecture: str) -> VariantRecipe:
    """The recipe of this installation.

    Raises ImageNotFoundError: there is no such variant; `near` has those that exist.
    """
    if name not in VARIANTS:
        raise ImageNotFoundError(f"sandstone/{name}", VARIANTS)
    directory = _DIRECTORY / name
    lock = (directory / "npm.lock").read_bytes()
    return VariantRecipe(name, runner, (directory / "Dockerfile").read_bytes(), lock, architecture)


class VariantBuilder:
    """Builds variants; keeps nothing but what the engine keeps."""

    def __init__(self, images: ImageBuilder) -> None:
        self._images = images

    async def state(self, name: str) -> ImageState:
        """Whether the variant is there and current.

        Raises ImageNotFoundError: there is no such variant. SandboxUnavailableError: the engine is away.
        """
        recipe = await self._recipe(name)
        return await self._images.state_of(f"sandstone/{name}", recipe.digest)

    async def build(self, name: str, progress: Progress = silent, *, force: bool = False) -> ImageState:
        """Build it, and the runner below it, unless it is current; `force`: in any case, with newer packages.

        Raises:
          ImageNotFoundError: there is no such variant.
          ImageBuildError: something cannot be fetched, or a step of the build failed.
          SandboxUnavailableError: the engine is away.
        """
        from sandbox.docker.turns import turn

        state = await self.state(name)
        if state.currency is Currency.CURRENT and not force:
            return state
        await self._images.build(progress)
        async with turn(self._images.cache_directory() / f"image-{name}.lock"):
            state = await self.state(name)
            if state.currency is not Currency.CURRENT or force:
                await self._build(await self._recipe(name), progress, force)
        return await self.state(name)

    async def _recipe(self, name: str) -> VariantRecipe:
        runner = await self._images.recipe()
        return read_variant(name, runner.digest, runner.architecture)

    async def _build(self, recipe: VariantRecipe, progress: Progress, force: bool) -> None:
        progress(f"building the image variant {recipe.name}")
        with tempfile.TemporaryDirectory(prefix="sandstone-variant-") as scratch:
            for package in recipe.packages:
                progress(f"fetching {package.name}")
                await asyncio.to_thread(fetch_package, package, Path(scratch) / package.file)
            with tempfile.TemporaryFile(prefix="sandstone-context-") as context:
                await asyncio.to_thread(_write_context, recipe, Path(scratch), context)
                await self._images.build_context(
                    f"sandstone/{recipe.name}",
                    recipe.digest,
                    context,
                    {"BASE": f"{RUNNER}:latest", **proxies()},
                    progress,
                    force=force,
                )


def _write_context(recipe: VariantRecipe, packages: Path, target: IO[bytes]) -> None:
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member("Dockerfile", len(recipe.dockerfile)), io.BytesIO(recipe.dockerfile))
        for package in sorted(packages.iterdir()):
            data = package.read_bytes()
            archive.addfile(member(f"packages/{package.name}", len(data)), io.BytesIO(data))
    target.seek(0)
