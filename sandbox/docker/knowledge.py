"""What an engine says of itself, its machine and its images; asked once and remembered.

An image is named by its id, which never changes its meaning, so what was learnt of it stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.docker.api import DockerApi
from sandbox.docker.policy import ImageFacts
from sandbox.errors import ImageRefusedError

_GO_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class EngineHost:
    """The machine that the engine runs on. architecture: in the engine's words for images ("amd64")."""

    cgroup_version: int
    cpus: int
    architecture: str
    runtimes: frozenset[str]


class EngineKnowledge:
    """Asks when it must, remembers what it was told."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api
        self._host: EngineHost | None = None
        self._images: dict[str, ImageFacts] = {}
        self._asking = asyncio.Lock()

    async def host(self) -> EngineHost:
        """The engine's machine. Raises SandboxUnavailableError."""
        async with self._asking:
            if self._host is None:
                self._host = _host(await self._api.info())
            return self._host

    async def image(self, image_id: str) -> ImageFacts:
        """What policy must know of an image.

        Raises ImageNotFoundError; ImageRefusedError: it is for another architecture; SandboxUnavailableError.
        """
        facts = self._images.get(image_id)
        if facts is None:
            host = await self.host()
            found = await self._api.image_inspect(image_id)
            built_for = str(found.get("Architecture") or host.architecture)
            if built_for != host.architecture:
                raise ImageRefusedError(image_id, f"it is for {built_for}, this host is {host.architecture}")
            config = found.get("Config") or {}
            facts = ImageFacts(image_id, tuple(config.get("Env") or ()), tuple(sorted(config.get("Volumes") or ())))
            self._images[image_id] = facts
        return facts


def _host(info: Mapping[str, Any]) -> EngineHost:
    architecture = str(info.get("Architecture", ""))
    return EngineHost(
        # Engines older than 20.10 say nothing, and know only version 1.
        cgroup_version=int(info.get("CgroupVersion") or 1),
        cpus=int(info.get("NCPU") or 1),
        architecture=_GO_ARCHITECTURES.get(architecture, architecture),
        runtimes=frozenset(info.get("Runtimes") or ()),
    )
