"""How this machine reaches the network, as far as a container that sets something up must know it.

Proxies, certificates and package indexes are read from where the machine's own tools read them, and come out as
environment variables. They often hold passwords: they are handed to a build or a set-up only, over a channel that
is not kept in any image. What only makes sense on this machine (a `file://` index, a directory of wheels, an
address of the machine itself) is left out and named, so that the user can be told.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sandbox.errors import SpecRefusedError
from sandbox.spec import MIB

PROXY_NAMES: Final = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")

_CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_CA_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
CA_TOLD: Final = (
    *_CA_VARIABLES,
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
)
"""Variables by which tools in a container are told where the certificates are."""

_CA_LIMIT_BYTES: Final = 8 * MIB

_URL_SETTINGS: Final = ("index-url", "extra-index-url")
_PIP_SETTINGS: Final = (*_URL_SETTINGS, "trusted-host", "default-timeout", "timeout", "retries")
_URL_VARIABLES: Final = (
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "NPM_CONFIG_REGISTRY",
    "GOPROXY",
)
_GO_WORDS: Final = ("direct", "off")
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """variables: to be set in the container. certificates: PEM text, empty when the machine has none.

    left_out: one line each about a setting that makes no sense in a container, without its value.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificates: str = field(default="", repr=False)
    left_out: tuple[str, ...] = ()


def proxies(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The machine's proxies, under both spellings of each name, because every tool reads only one."""
    found = {}
    for name in PROXY_NAMES:
        value = environment.get(name) or environment.get(name.upper()) or ""
        if value:
            found[name] = value
            found[name.upper()] = value
    return found


def network_settings(
    environment: Mapping[str, str] = os.environ, pip_files: Iterable[Path] | None = None
) -> NetworkSettings:
    """Everything of this machine's way to the network that a set-up may use.

    pip_files: pip's configuration files, the strongest last; the usual ones of this machine by default.

    Raises SpecRefusedError: a certificate file that is named cannot be read.
    """
    left_out: list[str] = []
    variables = dict(proxies(environment))
    files = pip_configuration_files(environment) if pip_files is None else pip_files
    variables |= _pip_variables(files, environment, left_out)
    for name in _URL_VARIABLES:
        value = environment.get(name) or environment.get(name.lower()) or ""
        if kept := _reachable(name, value, left_out):
            variables[name] = kept
    if "NPM_CONFIG_REGISTRY" not in variables and (registry := _npm_registry(environment, left_out)):
        variables["NPM_CONFIG_REGISTRY"] = registry
    left_out += [
        f"{name}: the address of the machine itself cannot be reached from a container"
        for name in PROXY_NAMES
        if name != "no_proxy" and urlsplit(variables.get(name, "")).hostname in _LOCAL_HOSTS
    ]
    return NetworkSettings(variables, _certificates(environment), tuple(left_out))


def pip_configuration_files(environment: Mapping[str, str]) -> list[Path]:
    """Where pip keeps its settings on Linux, the strongest last."""
    home = Path(environment.get("HOME") or "/root")
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    system = [Path(part) / "pip/pip.conf" for part in (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    files = [*reversed(system), Path("/etc/pip.conf"), home / ".pip/pip.conf", config_home / "pip/pip.conf"]
    files.append(Path(sys.prefix) / "pip.conf")
    chosen = environment.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    return [*files, Path(chosen)] if chosen else files


def _pip_variables(files: Iterable[Path], environment: Mapping[str, str], left_out: list[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, PermissionError):
            left_out.append(f"{file}: cannot be read")
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name in _PIP_SETTINGS:
        if value := environment.get(_pip_variable(name), ""):
            settings[name] = value
    found = {}
    for name in _PIP_SETTINGS:
        value = settings.get(name, "")
        kept = _reachable(name, value, left_out) if name in _URL_SETTINGS else " ".join(value.split())
        if kept:
            found[_pip_variable(name)] = kept
    if settings.get("find-links") or environment.get("PIP_FIND_LINKS"):
        left_out.append("find-links: a place on this machine cannot be reached from a container")
    return found


def _pip_variable(setting: str) -> str:
    return "PIP_" + setting.upper().replace("-", "_")


def _reachable(name: str, value: str, left_out: list[str]) -> str:
    """Those of the addresses in `value` (separated by blanks; by commas for Go) that a container can reach."""
    separator = "," if name == "GOPROXY" else " "
    kept = []
    for word in filter(None, re.split(r"[\s,]+" if separator == "," else r"\s+", value)):
        # uv's may have a name in front: `inner=https://...`.
        address = urlsplit(word[word.find("=http") + 1 :])
        if word in _GO_WORDS or (address.scheme in ("http", "https") and address.hostname not in _LOCAL_HOSTS):
            kept.append(word)
        else:
            left_out.append(f"{name}: a place on this machine cannot be reached from a container")
    return separator.join(kept)


def npm_registry(environment: Mapping[str, str] = os.environ) -> str:
    """The npm registry of this machine's user, "" when none is named."""
    named = environment.get("NPM_CONFIG_REGISTRY") or environment.get("npm_config_registry") or ""
    return named or _configured_registry(environment, [])


def _npm_registry(environment: Mapping[str, str], left_out: list[str]) -> str:
    return _reachable("npm registry", _configured_registry(environment, left_out), left_out)


def _configured_registry(environment: Mapping[str, str], left_out: list[str]) -> str:
    """`registry=` of npm's settings, the user's before the machine's; tokens stay where they are."""
    user = Path(environment.get("NPM_CONFIG_USERCONFIG") or Path(environment.get("HOME") or "/root") / ".npmrc")
    machine = Path(environment.get("NPM_CONFIG_GLOBALCONFIG") or "/etc/npmrc")
    for file in (user, machine):
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError):
            left_out.append(f"{file}: cannot be read")
            continue
        for line in reversed(lines):
            name, _, value = line.partition("=")
            if name.strip() == "registry":
                return value.strip()
    return ""


def trusted_certificates(environment: Mapping[str, str] = os.environ) -> str:
    """Whom this machine trusts, as PEM text; "" when it has no list of its own."""
    return _certificates(environment)


def _certificates(environment: Mapping[str, str]) -> str:
    named = [(name, environment[name]) for name in _CA_VARIABLES if environment.get(name)]
    for name, path in named or [("", path) for path in _CA_FILES if Path(path).is_file()]:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                text = file.read(_CA_LIMIT_BYTES + 1)
        except OSError as error:
            raise SpecRefusedError(name or "certificates", f"{path}: {error.strerror}") from error
        if len(text) > _CA_LIMIT_BYTES:
            raise SpecRefusedError(name or "certificates", f"{path}: larger than {_CA_LIMIT_BYTES} bytes")
        return text
    return ""
