"""Finds secrets in text files; part of the `security` check, and a program of its own.

Runs as `python3 -I PROGRAMS secrets SKIPPED [LISTING]`. Looks for tokens of known form, private keys, passwords in
addresses, literals given to names of secrets, and strings too random to be anything else. What is found is never
printed: a message has the kind, the first four characters at most, and the length.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from engine.validation.programs import secret_patterns as patterns
from engine.validation.programs.looking import Report, arguments_of, look

MAX_TEXT = 1 << 20
MAX_LINE = 2_000
RULE = "hardcoded-secret"

LOCK_FILES = frozenset(
    (
        b"package-lock.json",
        b"npm-shrinkwrap.json",
        b"yarn.lock",
        b"pnpm-lock.yaml",
        b"poetry.lock",
        b"Pipfile.lock",
        b"uv.lock",
        b"pdm.lock",
        b"Cargo.lock",
        b"composer.lock",
        b"Gemfile.lock",
        b"go.sum",
        b"flake.lock",
        b"bun.lock",
        b"deno.lock",
        b"mix.lock",
        b"packages.lock.json",
        b".secrets.baseline",
    )
)
LEFT_OUT = re.compile(rb"(?i)[.-]min\.(?:js|css)$|\.(?:map|svg|lock|sum|csv|tsv|po|pot|ipynb|patch|diff)$")
BINARY = re.compile(
    rb"(?i)\.(?:png|jpe?g|gif|ico|webp|pdf|zip|gz|tgz|xz|bz2|whl|so|dll|exe|woff2?|ttf|otf|eot|mp[34]|pyc|class|jar)$"
)

CONFIGURATION = re.compile(
    rb"(?i)(?:^|/)(?:\.env[^/]*|dockerfile[^/]*|\.npmrc|\.pypirc|\.netrc)$|\.(?:env|ini|cfg|conf|properties|ya?ml|tfvars)$"
)
"""Files in which values need no quotes."""

MODEL = re.compile(
    rb"(?i)(?:example|sample|template|dist|default)[^/]*$|(?:^|/)(?:examples?|docs?)/|\.(?:md|rst|txt|adoc)$"
)
TESTS = re.compile(
    rb"(?i)(?:^|/)(?:tests?|__tests__|spec|specs|fixtures|__mocks__|testdata|e2e)/|(?:^|/)test_[^/]*$|[._-](?:test|spec)\.\w+$"
)
PROSE = re.compile(rb"(?i)\.(?:md|rst|txt|adoc|html?|css|scss|less)$")

ALLOWED = re.compile(
    r"pragma:\s*allowlist[ -]secret|\bnosec\b|gitleaks:allow|noqa:[^\n]*\bS10[5-7]\b|eslint-disable-line\b[^\n]*secret"
)
ALLOWED_NEXT = re.compile(r"pragma:\s*allowlist nextline secret|eslint-disable-next-line\b[^\n]*secret")
WORTH = re.compile(r"[A-Za-z0-9+/_=-]{16}|://|PRIVATE KEY")

_detectors: list[tuple[str, Any]] | None = None


def check(data: bytes, path: bytes, report: Report) -> None:
    """Report the secrets in one file. Never raises, whatever the bytes; never prints a secret."""
    if b"\0" in data[:4096]:
        return
    if len(data) > MAX_TEXT:
        report.add("not-analysed", "not searched for secrets: too large", path, "info", category="security")
        return
    text = data.decode("utf-8", "replace")
    Search(path, report).run(text)


class Search:
    """One file's search. At most one finding a line: the most certain one."""

    def __init__(self, path: bytes, report: Report) -> None:
        self.path = path
        self.report = report
        self.detectors = detectors()
        self.model = bool(MODEL.search(path))
        self.tests = bool(TESTS.search(path))
        self.mild = "warning" if self.model or self.tests else "error"
        self.unquoted = bool(CONFIGURATION.search(path))
        self.prose = bool(PROSE.search(path))

    def run(self, text: str) -> None:
        offset, before, skipped = 0, "", 0
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > MAX_LINE:
                skipped += 1
            elif not ALLOWED.search(line) and not ALLOWED_NEXT.search(before):
                self.look_at(text, offset, number, line)
            offset += len(line) + 1
            before = line
        if skipped:
            message = f"not searched for secrets: {skipped} lines of more than {MAX_LINE} characters"
            self.report.add("not-analysed", message, self.path, "info", category="security")

    def look_at(self, text: str, offset: int, number: int, line: str) -> None:
        if WORTH.search(line):
            found = patterns.known(line, self.detectors)
            if found is not None:
                self.add(number, found[0], found[1], found[2], "error")
                return
            header = patterns.PRIVATE_KEY.search(line)
            if header and patterns.KEY_BODY.match(text, offset + header.end()):
                self.add(number, header.start(), "private key", "", self.mild)
                return
            url = patterns.address(line)
            if url is not None:
                self.add(number, url[0], "password in an address", url[1], "warning" if url[2] else self.mild)
                return
        if not self.model and not self.prose:
            for column, name, value in patterns.assignments(line, self.unquoted):
                if not self.tests or any(it.isdigit() for it in value):
                    self.add(number, column, f"literal in {name[:40]}", value, self.mild)
                    return
            chance = patterns.random_string(line) if WORTH.search(line) else None
            if chance is not None:
                self.add(number, chance[0], "random string that may be a key", chance[1], "warning")

    def add(self, line: int, column: int, kind: str, value: str, severity: str) -> None:
        message = f"{kind}{shown(value)}: read it from the environment or a vault, and replace it where it was used"
        more = {"line": line, "column": column + 1, "category": "security", "reference": "CWE-798"}
        self.report.add(RULE, message, self.path, severity, **more)


def shown(value: str) -> str:
    """What may be told of a secret: no more than a quarter of it, four characters at most, and its length."""
    if not value:
        return ""
    return f" ({value[: min(4, len(value) // 4)]}…, {len(value)} characters)"


def detectors() -> list[tuple[str, Any]]:
    """The detectors, made once."""
    global _detectors
    if _detectors is None:
        _detectors = patterns.plugins()
    return _detectors


def takes(path: bytes) -> bool:
    """The file is text that may hold secrets: no lock file, nothing minified or generated."""
    name = os.path.basename(path)
    return name not in LOCK_FILES and not LEFT_OUT.search(name) and not BINARY.search(name)


def checker(path: bytes) -> Callable[[bytes, bytes, Report], None] | None:
    return check if takes(path) else None


def main(arguments: list[str]) -> None:
    notes = [] if detectors() else ["detect-secrets is not in the image: only the built-in patterns are used"]
    look(*arguments_of(arguments), checker, notes)
