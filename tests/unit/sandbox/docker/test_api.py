"""The engine's API, against an engine made of a few lines that answers, refuses or falls silent as told."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from sandbox.docker import api as api_module
from sandbox.docker.api import DEFAULT_SOCKET, DockerApi, EngineCallError, engine_socket
from sandbox.errors import EngineTimeoutError, EngineUnreachableError, ImageNotFoundError, SpecRefusedError


class Engine(ThreadingMixIn, UnixStreamServer):
    """Answers by (method, last part of the path); an answer of None is silence until the engine is closed."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[tuple[str, str], tuple[int, Any] | None] = {
            ("GET", "version"): (200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12"})
        }
        self.asked: list[str] = []
        self.over = threading.Event()
        super().__init__(str(path), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Engine
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        last = self.path.partition("?")[0].rpartition("/")[2]
        answer = self.server.answers.get((self.command, last), (404, {"message": "no such thing"}))
        if answer is None:
            self.server.over.wait()
            self.close_connection = True
            return
        status, body = answer
        text = b"" if status in (204, 304) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "engine.sock")
    thread = threading.Thread(target=engine.serve_forever, args=(0.01,))
    thread.start()
    yield engine
    engine.over.set()
    engine.shutdown()
    engine.server_close()
    thread.join()


@pytest.fixture
def api(engine: Engine) -> Iterator[DockerApi]:
    api = DockerApi(str(engine.server_address))
    yield api
    api.close()


async def test_containers_are_created_from_the_call_as_it_is(api: DockerApi, engine: Engine) -> None:
    engine.answers["POST", "create"] = (201, {"Id": "abc", "Warnings": None})
    assert await api.create("name-1", {"Image": "x"}) == "abc"
    assert engine.asked[-1].startswith("POST /v1.41/containers/create?name=name-1")


async def test_an_image_that_is_not_there_is_not_found(api: DockerApi, engine: Engine) -> None:
    engine.answers["POST", "create"] = (404, {"message": "No such image: x"})
    with pytest.raises(ImageNotFoundError):
        await api.create("name-1", {"Image": "x"})
    with pytest.raises(ImageNotFoundError):
        await api.image_inspect("x")


async def test_a_refusal_carries_the_engines_status_and_words(api: DockerApi, engine: Engine) -> None:
    engine.answers["POST", "start"] = (400, {"message": "OCI runtime create failed"})
    with pytest.raises(EngineCallError, match="OCI runtime create failed") as refused:
        await api.start("abc")
    assert (refused.value.status, refused.value.call) == (400, "start")
    assert refused.value.retryable


@pytest.mark.parametrize("status", [404, 409])
async def test_what_is_gone_need_not_be_killed_removed_or_thawed(api: DockerApi, engine: Engine, status: int) -> None:
    gone = (status, {"message": "gone"})
    engine.answers |= {("POST", "kill"): gone, ("DELETE", "abc"): gone, ("POST", "unpause"): gone}
    await api.kill("abc")
    await api.remove("abc")
    await api.unpause("abc")


async def test_not_being_frozen_is_no_failure_but_failing_to_thaw_is(api: DockerApi, engine: Engine) -> None:
    engine.answers["POST", "unpause"] = (500, {"message": "Container abc is not paused"})
    await api.unpause("abc")
    engine.answers["POST", "unpause"] = (500, {"message": "cannot resume"})
    with pytest.raises(EngineCallError):
        await api.unpause("abc")


async def test_a_container_nobody_knows_is_none(api: DockerApi) -> None:
    assert await api.inspect("abc") is None


async def test_containers_are_removed_by_force_and_with_their_volumes(api: DockerApi, engine: Engine) -> None:
    engine.answers["DELETE", "abc"] = (204, None)
    await api.remove("abc")
    assert "v=True" in engine.asked[-1]
    assert "force=True" in engine.asked[-1]


async def test_what_was_prepared_is_not_asked_for_again(api: DockerApi, engine: Engine) -> None:
    engine.answers["GET", "version"] = (200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Arch": "arm64"})
    engine.answers["GET", "json"] = (200, [])
    api.prepare()
    assert await api.architecture() == "arm64"
    assert await api.list({}) == []
    assert [line.split("?")[0] for line in engine.asked] == ["GET /version", "GET /v1.41/containers/json"]


async def test_what_went_wrong_in_preparing_is_told_by_the_first_call(tmp_path: Path) -> None:
    api = DockerApi(str(tmp_path / "nobody.sock"))
    try:
        api.prepare()
        with pytest.raises(EngineUnreachableError):
            await api.architecture()
    finally:
        api.close()


async def test_containers_are_listed_by_label_in_any_state(api: DockerApi, engine: Engine) -> None:
    engine.answers["GET", "json"] = (200, [{"Id": "abc"}])
    assert await api.list({"sandstone": "s"}) == [{"Id": "abc"}]
    assert "all=1" in engine.asked[-1]
    assert "sandstone%3Ds" in engine.asked[-1]


async def test_an_engine_that_says_nothing_is_given_up_in_time(
    api: DockerApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answers["GET", "json"] = (200, [])
    await api.list({})
    monkeypatch.setattr(api_module, "QUICK", timedelta(seconds=1))
    engine.answers["GET", "json"] = None
    with pytest.raises(EngineTimeoutError, match="inspect"):
        await api.inspect("abc")


async def test_a_stuck_creation_holds_no_kill_up(
    api: DockerApi, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when every thread that makes containers is stuck."""
    monkeypatch.setattr(api_module, "SLOW", timedelta(seconds=1))
    engine.answers |= {("POST", "create"): None, ("POST", "kill"): (204, None)}
    stuck = [asyncio.create_task(api.create(f"name-{number}", {"Image": "x"})) for number in range(8)]
    await asyncio.sleep(0)
    async with asyncio.timeout(0.9):
        await api.kill("abc")
    outcomes = await asyncio.gather(*stuck, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {EngineTimeoutError}


async def test_a_connection_that_nobody_waits_for_any_more_is_closed(
    api: DockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attach stream that nobody reads wedges the engine."""
    ours, theirs = socket.socketpair()
    asked, given_up = threading.Event(), threading.Event()

    def connect_late(client: object, container: str) -> socket.socket:
        asked.set()
        assert given_up.wait(10)
        return ours

    monkeypatch.setattr(api_module, "_attach", connect_late)
    attaching = asyncio.create_task(api.attach("abc"))
    assert await asyncio.to_thread(asked.wait, 10)
    attaching.cancel()
    await asyncio.gather(attaching, return_exceptions=True)
    given_up.set()
    theirs.settimeout(10)
    with theirs:
        assert await asyncio.to_thread(theirs.recv, 1) == b""
    assert ours.fileno() == -1


async def test_an_engine_that_is_away_is_unreachable(tmp_path: Path) -> None:
    api = DockerApi(str(tmp_path / "nothing.sock"))
    with pytest.raises(EngineUnreachableError, match=r"nothing\.sock"):
        await api.info()
    api.close()


@pytest.mark.parametrize(("oldest", "spoken"), [("1.12", "v1.41"), ("1.41", "v1.41"), ("1.44", "v1.44")])
async def test_the_oldest_version_that_both_speak_is_spoken(
    api: DockerApi, engine: Engine, oldest: str, spoken: str
) -> None:
    engine.answers["GET", "version"] = (200, {"ApiVersion": "1.52", "MinAPIVersion": oldest})
    engine.answers["GET", "info"] = (200, {})
    await api.info()
    assert engine.asked[-1].startswith(f"GET /{spoken}/info")


def test_only_a_local_socket_is_an_engine() -> None:
    assert engine_socket({}) == DEFAULT_SOCKET
    assert engine_socket({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}) == "/run/user/1000/docker.sock"
    for other in ("tcp://10.0.0.1:2375", "ssh://host", "unix://relative", "npipe:////./pipe/x"):
        with pytest.raises(SpecRefusedError):
            engine_socket({"DOCKER_HOST": other})
