"""Removes what dead controllers of a store left behind: their containers and slots.

A controller holds a lease for as long as it lives; its containers carry the lease's name as a label, its slots
begin with it. Whoever starts on a store next removes what belongs to leases that nobody holds. Containers of
other stores, and of leases that live, are never touched. Mounts are the layer store's to clean up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox.docker.api import DockerApi
from sandbox.docker.policy import LEASE_LABEL, STORE_LABEL
from sandbox.errors import SandboxUnavailableError
from sandbox.failpoints import SandboxPoint, reached

_LOG: Final = logging.getLogger(__name__)

LeaseCheck = Callable[[str], bool]
"""Says whether a lease is held by a live process. Blocks."""


async def reap(api: DockerApi, store_id: str, slots: Path, is_live: LeaseCheck) -> list[str]:
    """Remove dead controllers' containers of this store, then their slots; returns ids and slot names.

    Raises SandboxUnavailableError: the engine does not answer. A single container that it will not remove is
    logged and left for the next time.
    """
    rows = await api.list({STORE_LABEL: store_id})
    leases = {row["Id"]: str(row["Labels"].get(LEASE_LABEL, "")) for row in rows}
    dead = await asyncio.to_thread(lambda: {lease for lease in set(leases.values()) if not is_live(lease)})
    removed = []
    for container, lease in leases.items():
        if lease in dead and await _remove(api, container):
            removed.append(container)
            reached(SandboxPoint.REAPED_ONE)
    removed += await asyncio.to_thread(_remove_slots, slots, is_live)
    reached(SandboxPoint.REAPED)
    return removed


async def _remove(api: DockerApi, container: str) -> bool:
    try:
        await api.remove(container)
    except SandboxUnavailableError as error:
        _LOG.warning("container %s of a dead process stays: %s", container[:12], error)
        return False
    return True


def _remove_slots(slots: Path, is_live: LeaseCheck) -> list[str]:
    removed = []
    for slot in sorted(slots.iterdir()) if slots.is_dir() else []:
        lease, _, number = slot.name.rpartition("-")
        if not lease or not number.isdigit() or is_live(lease):
            continue
        try:
            slot.rmdir()
        except OSError as error:
            _LOG.info("slot %s stays for now: %s", slot.name, error)
            continue
        removed.append(slot.name)
    return removed
