"""Clients and the controller's restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.errors import NotFoundError
from engine.rpc.address import UnixAddress
from engine.rpc.client import connect
from engine.rpc.server import serving
from engine.rpc.status import ControllerGoneError
from tests.fakes.controller_world import backend_of
from tests.fakes.engine_world import world

NOBODY = "0" * 32


async def test_a_new_client_is_answered_at_once_whatever_an_older_one_found_dead(tmp_path: Path) -> None:
    """Both had shared one connection inside gRPC, and with it a second's wait before it is tried again."""
    address = UnixAddress(tmp_path / "s" / "c.sock")
    address.path.parent.mkdir(mode=0o700)
    (tmp_path / "world").mkdir()
    async with world(tmp_path / "world") as here, connect(address) as old:
        backend = await asyncio.to_thread(backend_of, here)
        for _ in range(2):  # each time it is to wait longer
            with pytest.raises(ControllerGoneError):
                await old.get_status(NOBODY)
        async with serving(backend, [address], settle=here.engine.close), connect(address) as new:
            with pytest.raises(NotFoundError):
                await new.get_status(NOBODY)
