"""Fetching a package of npm from a real registry on this machine: what is taken, what is refused and how it is said."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sandbox.docker import npm
from sandbox.docker.network import npm_registry
from sandbox.docker.npm import NpmPackage, fetch_package, locked_packages
from sandbox.docker.recipe import NPM_LOCK, read_recipe
from sandbox.errors import ImageBuildError

CONTENT = b"a tarball"


def package(data: bytes = CONTENT) -> NpmPackage:
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    return NpmPackage("@scope/tool-linux", "1.2.3", f"sha512-{digest}")


class _Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/npm/@scope/tool-linux/-/tool-linux-1.2.3.tgz"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(CONTENT if found else b"")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/npm/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_the_lock_names_is_written(registry: str, tmp_path: Path) -> None:
    fetch_package(package(), tmp_path / "a.tgz", {"NPM_CONFIG_REGISTRY": registry})
    assert (tmp_path / "a.tgz").read_bytes() == CONTENT


def test_something_else_under_its_name_is_refused(registry: str, tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match="not the one that the lock names") as refused:
        fetch_package(package(b"other"), tmp_path / "a.tgz", {"NPM_CONFIG_REGISTRY": registry})
    assert "@scope/tool-linux" in str(refused.value)
    assert "NPM_CONFIG_REGISTRY" in refused.value.fix
    assert not (tmp_path / "a.tgz").exists()


@pytest.mark.parametrize("elsewhere", ["absent/", "http://127.0.0.1:1/", "no address"])
def test_a_registry_that_has_it_not_is_told(registry: str, tmp_path: Path, elsewhere: str) -> None:
    address = registry + elsewhere if elsewhere == "absent/" else elsewhere
    with pytest.raises(ImageBuildError, match="the registry does not give it"):
        fetch_package(package(), tmp_path / "a.tgz", {"NPM_CONFIG_REGISTRY": address})


def test_a_flood_is_refused(registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "MAX_BYTES", len(CONTENT) - 1)
    with pytest.raises(ImageBuildError, match="larger than"):
        fetch_package(package(), tmp_path / "a.tgz", {"NPM_CONFIG_REGISTRY": registry})


def test_the_registry_is_the_one_that_npm_would_ask(tmp_path: Path) -> None:
    user, machine = tmp_path / "user", tmp_path / "machine"
    environment = {"NPM_CONFIG_USERCONFIG": str(user), "NPM_CONFIG_GLOBALCONFIG": str(machine)}
    assert npm_registry(environment) == ""
    machine.write_text("fund=false\nregistry=https://machine.example/\n")
    assert npm_registry(environment) == "https://machine.example/"
    user.write_text("registry = https://old.example/\nregistry = https://user.example/\n")
    assert npm_registry(environment) == "https://user.example/"
    assert npm_registry({**environment, "npm_config_registry": "https://said.example/"}) == "https://said.example/"


def test_the_lock_has_each_program_for_each_architecture_and_no_address() -> None:
    lock = read_recipe("x86_64").locks[NPM_LOCK]
    assert b"://" not in lock
    for architecture in ("x86_64", "aarch64"):
        (found,) = locked_packages(lock, architecture)
        assert found.name.startswith("@typescript/typescript-linux-")
        assert found.integrity.startswith("sha512-")
