"""Results of checks kept by content: the same files, tools and question have the same answer, and nothing runs.

What a result depends on is its key: every file of the view, the image, the check's script and programs, the code that
reads what they print, and what was asked for. The files' part is made inside the sandbox, by one `tar` of the view
through `sha256sum`, because the host opens no file of it. An image without GNU tar, or a view that takes longer than
`IDENTITY_LIMIT`, has no identity, and nothing is kept of it. Never kept are a check that gave no answer, and one that
runs the project itself (`Check.writes`): its result hangs on the sandbox's limits and on chance, too, and a retry must
be one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from engine.validation.archive import pack
from engine.validation.finding import Finding, Severity
from engine.validation.selection import Selection
from engine.validation.validator import Check, CheckResult, CheckStatus, ToolPlaces
from sandbox.spec import MIB, ExecRequest, ExecResult

IDENTITY_LIMIT: Final = timedelta(seconds=10)
MAX_ENTRIES: Final = 1000
"""Results kept; those that were not used for the longest time go first."""

MAX_ENTRY_BYTES: Final = 4 * MIB

AS_BEFORE: Final = "not run again: nothing that it depends on has changed"
"""The note of a result that was kept."""

_LOG: Final = logging.getLogger(__name__)
_CODE: Final = hashlib.sha256(
    b"".join(
        entry.read_bytes()
        for entry in sorted(files("engine.validation").iterdir(), key=lambda it: it.name)
        if entry.name.endswith(".py")
    )
).hexdigest()
"""Another version may read the same output otherwise. Read at import, so that no file is read on an event loop."""

_DIGEST: Final = re.compile(rb"\A([0-9a-f]{64})  -\n\Z")

# What git writes for itself when one looks at a repository is no content; objects are told by their names in refs.
_IDENTITY: Final = """\
PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C
export PATH LC_ALL
state=$(mktemp) || exit 70
{
  tar --sort=name --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner \\
    --anchored --exclude=./.git/objects --exclude=./.git/index --exclude=./.git/logs -cf - . 2>/dev/null
  echo $? >"$state"
} | sha256sum
read -r status <"$state"
exit "$status"
"""


class ResultCache(Protocol):
    """Keeps results under keys; may forget any at any time. Methods block, and never raise for what was kept badly."""

    def get(self, key: str) -> CheckResult | None:
        """What was kept under `key`."""
        ...

    def put(self, key: str, result: CheckResult) -> None:
        """Keep it. A result that cannot be kept is not."""
        ...


class NoCache:
    """Keeps nothing."""

    def get(self, key: str) -> CheckResult | None:
        return None

    def put(self, key: str, result: CheckResult) -> None:
        return None


class DirectoryCache:
    """One file a result, in a directory that only its owner may enter; safe with several processes at once."""

    def __init__(self, directory: Path, *, entries: int = MAX_ENTRIES) -> None:
        self._directory = directory
        self._entries = entries

    def get(self, key: str) -> CheckResult | None:
        path = self._directory / key
        try:
            with path.open("rb") as stream:
                result = _result_from(json.loads(stream.read(MAX_ENTRY_BYTES + 1)))
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("a kept result of a check cannot be read, so the check runs: %s", error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return result

    def put(self, key: str, result: CheckResult) -> None:
        data = json.dumps(_result_json(result)).encode()
        if len(data) > MAX_ENTRY_BYTES:
            return
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            made = self._directory / f".{key}.{secrets.token_hex(4)}"
            try:
                made.touch(mode=0o600)
                made.write_bytes(data)
                made.replace(self._directory / key)
            finally:
                made.unlink(missing_ok=True)
            self._forget()
        except OSError as error:
            _LOG.warning("the result of a check cannot be kept: %s", error)

    def _forget(self) -> None:
        """Remove the least used of what is too much."""
        kept = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process was quicker
                    kept.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path))
        for _, path in sorted(kept)[: max(0, len(kept) - self._entries)]:
            Path(path).unlink(missing_ok=True)


class Kept:
    """What a cache holds of one view, in one image."""

    def __init__(self, cache: ResultCache, view: tuple[str, ...], selection: Selection, places: ToolPlaces) -> None:
        self._cache = cache
        self._view = view
        self._asked = [*selection.listing().split("\n"), str(selection.since_commit), places.root, places.tools]

    async def of(self, check: Check) -> CheckResult | None:
        """What is kept of this check, with a note that says so."""
        if check.writes:
            return None
        found = await asyncio.to_thread(self._cache.get, self._key(check))
        if found is None:
            return None
        return replace(found, note=f"{found.note}; {AS_BEFORE}" if found.note else AS_BEFORE)

    async def keep(self, check: Check, result: CheckResult) -> None:
        """Keep `result` if it is an answer that nothing but its key decides."""
        if result.status is not CheckStatus.ERROR and not check.writes:
            await asyncio.to_thread(self._cache.put, self._key(check), result)

    def _key(self, check: Check) -> str:
        programs = hashlib.sha256(pack(frozenset(check.programs))).hexdigest() if check.programs else ""
        parts = [_CODE, *self._view, check.name, check.script(), programs, *self._asked]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def identity_request(places: ToolPlaces, timeout: timedelta) -> ExecRequest:
    """The request that tells a view's files apart from all others."""
    return ExecRequest(
        command=("/bin/sh", "-c", _IDENTITY),
        cwd=places.root,
        timeout=min(timeout, IDENTITY_LIMIT),
        output_limit_bytes=4096,
    )


def read_identity(result: ExecResult) -> str | None:
    """The digest that it printed; None when there is no identity to be had. Total."""
    if result.verdict is not None or result.exit_code != 0 or result.stdout.omitted_bytes:
        return None
    said = _DIGEST.match(result.stdout.head + result.stdout.tail)
    return said[1].decode("ascii") if said else None


def _result_json(result: CheckResult) -> dict[str, Any]:
    # The subject, too: fingerprints are not made yet.
    findings = [{**finding.to_json(), "subject": finding.subject} for finding in result.findings]
    return {**result.to_json(), "findings": findings}


def _result_from(value: dict[str, Any]) -> CheckResult:
    return CheckResult(
        check=value["check"],
        status=CheckStatus(value["status"]),
        findings=tuple(Finding.from_json(finding) for finding in value["findings"]),
        note=value["note"],
        files=value["files"],
        fails_on=Severity(value["fails_on"]),
        cut=value["cut"],
    )
