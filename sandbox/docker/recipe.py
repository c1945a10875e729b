"""What the runner's image is made of: the Dockerfile, lock files, and the wheels and tarballs that the locks name.

The *recipe* is what decides the content; its digest is the image's tag and label, so that an image is current
exactly when it was built from this recipe. All is fetched on the host: wheels with pip, which checks each one against
the sha256 in its lock, tarballs of npm by their integrity; kept by recipe under `$XDG_CACHE_HOME/sandstone/wheels`.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

from sandbox.docker.npm import fetch_package, locked_packages
from sandbox.docker.programs import Progress, run_program
from sandbox.errors import ImageBuildError
from sandbox.spec import MIB

BASE: Final = "debian:bookworm-slim"
SUITE: Final = "bookworm"
PACKAGES: Final = ("ca-certificates", "git", "python3")
"""What a base made without a registry must have; the Dockerfile installs the same on one that was pulled."""

WHEEL_LOCKS: Final = ("tools.lock", "run.lock")
NPM_LOCK: Final = "npm.lock"
LOCKS: Final = (*WHEEL_LOCKS, NPM_LOCK)
CONTEXT_LIMIT_BYTES: Final = 512 * MIB

_RUNNER: Final = Path(__file__).resolve().parent / "runner"
_PYTHON: Final = "3.11"
_GLIBC_MINOR: Final = 36
"""Of the base: wheels for any glibc up to 2.36 fit."""

_FETCH_LIMIT: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Recipe:
    """architecture: the engine's, as the kernel names it (`x86_64`, `aarch64`)."""

    dockerfile: bytes
    locks: Mapping[str, bytes]
    architecture: str

    @property
    def digest(self) -> str:
        """sha256 (hex) of everything that decides the image's content."""
        known = hashlib.sha256()
        for name, content in (
            ("base", BASE.encode()),
            ("architecture", self.architecture.encode()),
            ("Dockerfile", self.dockerfile),
            *sorted(self.locks.items()),
        ):
            known.update(f"{name} {len(content)}\n".encode())
            known.update(content)
        return known.hexdigest()


def read_recipe(architecture: str) -> Recipe:
    """The recipe of this installation. (In a source tree the Dockerfile there is a link to the one at the top.)"""
    locks = {name: (_RUNNER / name).read_bytes() for name in LOCKS}
    return Recipe((_RUNNER / "Dockerfile").read_bytes(), locks, architecture)


def cache_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where fetched things are kept; all of it can be deleted at any time."""
    cache = environment.get("XDG_CACHE_HOME", "")
    parent = Path(cache) if cache.startswith("/") else Path(environment.get("HOME") or "/root") / ".cache"
    return parent / "sandstone"


async def fetch_wheels(recipe: Recipe, cache: Path, progress: Progress) -> Path:
    """The directory with wheels and tarballs of `recipe`, fetched where it is missing. Complete or not there at all.

    pip finds its index, proxies and certificates as it always does on this machine.

    Raises ImageBuildError: a wheel cannot be had, or is not the one that its lock names.
    """
    wanted = hashlib.sha256(b"".join(recipe.locks[name] for name in LOCKS) + recipe.architecture.encode())
    target = cache / "wheels" / wanted.hexdigest()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    progress("fetching the tools of the image")
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as scratch:
        await _download(recipe, Path(scratch), progress)
        for package in locked_packages(recipe.locks[NPM_LOCK], recipe.architecture):
            await asyncio.to_thread(fetch_package, package, Path(scratch) / "wheels" / package.file)
        fetched = Path(scratch) / "wheels"
        try:
            fetched.rename(target)
        except OSError:
            # Another process was quicker: the same locks, the same content.
            if not target.is_dir():
                raise
    return target


async def _download(recipe: Recipe, scratch: Path, progress: Progress) -> None:
    arguments = []
    for name in WHEEL_LOCKS:
        lock = scratch / name
        lock.write_bytes(recipe.locks[name])
        arguments += ["-r", str(lock)]
    ended = await run_program(
        [
            *_pip(),
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            f"--python-version={_PYTHON}",
            "--implementation=cp",
            *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
            *(f"--platform={platform}" for platform in _platforms(recipe.architecture)),
            f"--dest={scratch / 'wheels'}",
            *arguments,
        ],
        limit=_FETCH_LIMIT,
        progress=progress,
    )
    if ended.exit_code != 0:
        raise ImageBuildError(
            "fetching the image's tools",
            "pip took longer than 10 minutes" if ended.exit_code is None else "pip failed",
            "check the machine's way to its package index (PIP_INDEX_URL, HTTPS_PROXY, PIP_CERT)",
            ended.output_tail,
        )


def _pip() -> list[str]:
    """A pip: this interpreter's, else the one that Python carries for new environments.

    Raises ImageBuildError: neither is there.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    bundled = importlib.util.find_spec("ensurepip")
    for place in (bundled.submodule_search_locations or []) if bundled else []:
        for wheel in sorted((Path(place) / "_bundled").glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
    raise ImageBuildError("fetching the image's tools", "this Python has no pip", f"install pip for {sys.executable}")


def _platforms(architecture: str) -> list[str]:
    """Tags of the wheels that fit the base. pip takes a newer tag not to mean the older ones."""
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(_GLIBC_MINOR, 4, -1)]
    return [*tags, *(f"{old}_{architecture}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux"))]


def write_context(recipe: Recipe, wheels: Path, target: IO[bytes]) -> None:
    """The build context as a tar: the same bytes for the same recipe. `target` is left at its start.

    Raises ImageBuildError: larger than CONTEXT_LIMIT_BYTES.
    """
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        locks = [(name, recipe.locks[name]) for name in sorted(WHEEL_LOCKS)]
        for name, content in (("Dockerfile", recipe.dockerfile), *locks):
            archive.addfile(member(name, len(content)), io.BytesIO(content))
        for wheel in sorted(wheels.iterdir()):
            size = wheel.stat().st_size
            if target.tell() + size > CONTEXT_LIMIT_BYTES:
                raise ImageBuildError("writing the build context", f"larger than {CONTEXT_LIMIT_BYTES} bytes")
            with wheel.open("rb") as content_of:
                archive.addfile(member(f"wheels/{wheel.name}", size), content_of)
    target.seek(0)


def member(name: str, size: int) -> tarfile.TarInfo:
    """A file of a build context: the same for the same name and size."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member
