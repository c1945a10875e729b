"""`sandstone serve`: the controller, in the foreground, until a signal stops it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.escape import one_line
from engine.cli.exits import Exit, UsageError
from engine.cli.session import Session

if TYPE_CHECKING:
    from engine.rpc.address import Address
    from engine.rpc.server import Security


async def serve(session: Session) -> Exit:
    """`sandstone serve`. The first signal stops it in order; executions are paused and can be resumed."""
    from engine.controller import control, place_taken

    arguments, output = session.arguments, session.output
    addresses = _addresses(arguments.listen)
    security = await asyncio.to_thread(_security, arguments, addresses)
    stop = asyncio.Event()

    def ready(taken: Sequence[Address]) -> None:
        told = [str(address) for address in taken]
        if arguments.json:
            output.result_json({"pid": os.getpid(), "listening": told})
        else:
            for address in told:
                output.result(f"listening on {one_line(address)}")
        output.flush()

    def stopping() -> None:
        output.note("stopping: executions are paused; a second signal leaves at once")
        stop.set()

    with session.interrupts.doing(stopping):
        async with place_taken(arguments.home) as place, session.open() as application:
            await control(application, place, addresses, stop=stop, ready=ready, security=security)
    return Exit.DONE


def _addresses(given: Sequence[str]) -> list[Address]:
    from engine.rpc.address import UnixAddress, default_socket, parse_address

    if not given:
        return [UnixAddress(default_socket(os.environ, os.geteuid()))]
    try:
        return [parse_address(text) for text in given]
    except ValueError as error:
        raise UsageError(one_line(str(error)), "example: --listen unix:/run/user/1000/sandstone.sock") from error


def _security(arguments: object, addresses: Sequence[Address]) -> Security | None:
    """What a port needs; blocking. Raises UsageError: it is not given, or given for no port."""
    from engine.rpc.address import TcpAddress
    from engine.rpc.server import read_security

    names = ("tls_cert", "tls_key", "token_file")
    given: list[Path | None] = [getattr(arguments, name) for name in names]
    if not any(isinstance(address, TcpAddress) for address in addresses):
        if any(given):
            raise UsageError("--tls-cert, --tls-key and --token-file are for a port", "--listen HOST:PORT")
        return None
    certificate, key, token = given
    if certificate is None or key is None or token is None:
        raise UsageError(
            "a port needs TLS and a token, and there is no way without them",
            "give --tls-cert FILE --tls-key FILE --token-file FILE, or use the unix socket",
        )
    return read_security(certificate, key, token, getattr(arguments, "tls_client_ca", None))
