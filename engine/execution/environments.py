"""Where an execution gets its image: the interface between plans and whatever builds images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.plan.model import Environment


class Environments(Protocol):
    """Turns a plan's `environment` into the id of a local image."""

    async def resolve(self, environment: Environment) -> str:
        """The image that steps (or the set-up) start from, checked. Quick; nothing is built.

        Raises:
          ImageNotFoundError, ImageRefusedError, SandboxUnavailableError.
        """
        ...

    async def prepare(
        self, environment: Environment, image_id: str, workspace: Path, hidden: Callable[[bytes], bool]
    ) -> str:
        """The image with the set-up's commands run in it; from the cache where there is one.

        hidden: paths of the workspace that do not exist for the plan.

        Raises:
          SetupFailedError, SpecRefusedError, SandboxUnavailableError.
        """
        ...
