"""Fetches single npm packages that hold programs: from this machine's registry, checked against their integrity.

Only what needs no installing: a tarball with a program for one architecture. No npm is needed, and no script is run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.docker.network import npm_registry, trusted_certificates
from sandbox.errors import ImageBuildError
from sandbox.spec import MIB

DEFAULT_REGISTRY: Final = "https://registry.npmjs.org/"
MAX_BYTES: Final = 128 * MIB
_TIMEOUT_S: Final = 120


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """One package. integrity: `sha512-` and the digest in base64, as npm's own lock files have it."""

    name: str
    version: str
    integrity: str

    @property
    def file(self) -> str:
        """The tarball's name in a registry."""
        return f"{self.name.rpartition('/')[2]}-{self.version}.tgz"


def locked_packages(lock: bytes, architecture: str) -> list[NpmPackage]:
    """Those of a lock that are for `architecture` (as the kernel names it), or for any."""
    return [
        NpmPackage(entry["name"], entry["version"], entry["integrity"])
        for entry in json.loads(lock)
        if entry["architecture"] in (architecture, "any")
    ]


def fetch_package(package: NpmPackage, target: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Write the tarball to `target`. Blocking.

    Raises ImageBuildError: it cannot be had, is larger than MAX_BYTES, or is not the one that the lock names.
    """
    registry = npm_registry(environment) or DEFAULT_REGISTRY
    address = f"{registry.rstrip('/')}/{package.name}/-/{package.file}"
    try:
        context = ssl.create_default_context(cadata=trusted_certificates(environment) or None)
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S, context=context) as answer:
            data = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise _failure(package, f"the registry does not give it: {error}") from error
    if len(data) > MAX_BYTES:
        raise _failure(package, f"it is larger than {MAX_BYTES >> 20} MiB")
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")
    if not hmac.compare_digest(digest, package.integrity):
        raise _failure(package, "it is not the one that the lock names")
    target.write_bytes(data)


def _failure(package: NpmPackage, reason: str) -> ImageBuildError:
    return ImageBuildError(
        f"fetching {package.name}",
        reason,
        "check the machine's way to its npm registry (NPM_CONFIG_REGISTRY, HTTPS_PROXY, NODE_EXTRA_CA_CERTS)",
    )
