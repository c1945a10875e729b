"""The image that the runner's image stands on: a small Debian, from wherever this machine can get one.

In order: a local `debian:bookworm-slim`; the same from its registry, when one answers in time; else one made
here by mmdebstrap from the machine's Debian mirror, with the needed packages in it. Which one it was is in the
built image's label `sandstone.base`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from sandbox.docker.image_api import ImageApi
from sandbox.docker.policy import STORE_LABEL
from sandbox.docker.programs import Progress, run_program
from sandbox.docker.recipe import BASE, PACKAGES, SUITE
from sandbox.errors import ImageBuildError, ImageNotFoundError, SandboxUnavailableError

MADE: Final = ("sandstone/base", SUITE)
"""Repository and tag of a base made here."""

STAGE_LABEL: Final = "sandstone.stage"

_REGISTRY_SILENCE: Final = timedelta(seconds=20)
_BOOTSTRAP_LIMIT: Final = timedelta(minutes=20)
_LEFT_OUT: Final = ("doc", "man", "locale", "info", "lintian", "bug")


async def find_base(api: ImageApi, progress: Progress) -> str:
    """Id of the base image, fetched or made where it is missing.

    Raises ImageBuildError: there is no way to one; `fix` says what would be.
    """
    for name in (BASE, ":".join(MADE)):
        if found := await _local(api, name):
            return found
    refusal = await _pull(api, progress)
    if not refusal:
        return str((await api.image_inspect(BASE))["Id"])
    progress(f"no registry has {BASE} ({refusal}); making one with mmdebstrap")
    await _make(api, refusal, progress)
    return str((await api.image_inspect(":".join(MADE)))["Id"])


async def _local(api: ImageApi, name: str) -> str:
    try:
        return str((await api.image_inspect(name))["Id"])
    except ImageNotFoundError:
        return ""


async def _pull(api: ImageApi, progress: Progress) -> str:
    """Why it could not be pulled; empty when it was."""
    repository, _, tag = BASE.partition(":")
    progress(f"fetching {BASE}")
    try:
        await api.pull(repository, tag, silence=_REGISTRY_SILENCE, progress=progress)
    except SandboxUnavailableError as error:
        return error.reason
    return ""


async def _make(api: ImageApi, refusal: str, progress: Progress) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise ImageBuildError(
            "getting the base image",
            f"no registry has {BASE} ({refusal}) and mmdebstrap is not installed",
            f"docker pull {BASE}, or apt-get install mmdebstrap",
        )
    with tempfile.TemporaryDirectory(prefix="sandstone-base-") as scratch:
        archive = Path(scratch) / "base.tar"
        ended = await run_program(
            bootstrap_command(program, archive, os.geteuid() == 0),
            limit=_BOOTSTRAP_LIMIT,
            progress=progress,
            environment=_bootstrap_environment(os.environ, scratch),
        )
        if ended.exit_code != 0:
            raise ImageBuildError(
                "making the base image",
                "mmdebstrap took longer than 20 minutes" if ended.exit_code is None else "mmdebstrap failed",
                f"check the machine's way to a Debian mirror, or docker pull {BASE}",
                ended.output_tail,
            )
        labels = f"LABEL {STORE_LABEL}=base {STAGE_LABEL}=base"
        await api.import_tar(archive, *MADE, changes=[labels, 'CMD ["/bin/sh"]'])


def bootstrap_command(program: str, archive: Path, root: bool) -> Sequence[str]:
    """mmdebstrap's argv. Without root it needs user namespaces (package uidmap); nothing else differs."""
    return [
        program,
        "--variant=minbase",
        f"--mode={'root' if root else 'unshare'}",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
        "--skip=cleanup/apt/cache",
        SUITE,
        str(archive),
    ]


def _bootstrap_environment(environment: Mapping[str, str], scratch: str) -> Mapping[str, str]:
    """mmdebstrap makes its tree in TMPDIR; ours, so that a broken-off run leaves nothing behind."""
    return {**environment, "TMPDIR": scratch}
