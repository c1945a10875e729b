"""Which files of the workspace a set-up gets to see: those that its commands mention.

The rule, which docs/install.md repeats: a regular file of the workspace is *mentioned* when its path, relative
to the workspace, stands in a command as a word of its own (quotes, `=`, `<`, `;` and the like end a word; `./` in
front and an option letter glued on, as in `-rdev.txt`, are taken off); when a package manager that is called reads
it without being told (the table below); or when a mentioned requirements file includes it (`-r`, `-c`). Links are
not followed, hidden paths do not exist. Nothing else of the workspace reaches the set-up or its result's digest.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.errors import PathRefusedError, SpecRefusedError, TreeRefusedError
from sandbox.spec import MIB
from sandbox.workspace.beneath import open_regular, opened, read_regular
from sandbox.workspace.edit import check_path

FILE_LIMIT_BYTES: Final = 8 * MIB
TOTAL_LIMIT_BYTES: Final = 32 * MIB
COUNT_LIMIT: Final = 256

READ_BY: Final = {
    "bundle": ("Gemfile", "Gemfile.lock"),
    "cargo": ("Cargo.toml", "Cargo.lock"),
    "composer": ("composer.json", "composer.lock"),
    "go": ("go.mod", "go.sum"),
    "npm": ("package.json", "package-lock.json", "npm-shrinkwrap.json"),
    "pdm": ("pyproject.toml", "pdm.lock"),
    "pipenv": ("Pipfile", "Pipfile.lock"),
    "pnpm": ("package.json", "pnpm-lock.yaml"),
    "poetry": ("pyproject.toml", "poetry.lock"),
    "uv": ("pyproject.toml", "uv.lock"),
    "yarn": ("package.json", "yarn.lock"),
}
"""What package managers read without being told."""

_WORD: Final = re.compile(r"[^\s'\"`;|&<>()=,${}\[\]*?!\\]+")
_GLUED_OPTION: Final = re.compile(r"^-[A-Za-z]")
_REQUIREMENTS: Final = re.compile(r"\.(txt|in)$")
_INCLUDE: Final = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#;]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MentionedFile:
    """path: relative to the workspace, bytes as on disk."""

    path: bytes
    content: bytes
    executable: bool


def nothing_hidden(path: bytes) -> bool:
    """The rule of a workspace without `hide`."""
    return False


def mentioned_files(
    commands: Sequence[str], workspace: Path, hidden: Callable[[bytes], bool] = nothing_hidden
) -> tuple[MentionedFile, ...]:
    """The files that `commands` mention, by path.

    Raises SpecRefusedError: one is larger than FILE_LIMIT_BYTES, all of them than TOTAL_LIMIT_BYTES, or there are
    more than COUNT_LIMIT. TreeRefusedError: the workspace is not a directory.
    """
    found: dict[bytes, MentionedFile] = {}
    with opened(workspace) as root:
        waiting = list(_candidates(commands))
        while waiting:
            path = waiting.pop()
            if path in found or hidden(path):
                continue
            if (file := _read(root, path)) is not None:
                found[path] = file
                _check_bounds(found.values())
                waiting += _included(file)
    return tuple(found[path] for path in sorted(found))


def _candidates(commands: Iterable[str]) -> Iterator[bytes]:
    for command in commands:
        for word in _WORD.findall(command):
            names = [word, _GLUED_OPTION.sub("", word), *READ_BY.get(posixpath.basename(word), ())]
            yield from filter(None, map(_legal, names))


def _included(file: MentionedFile) -> Iterator[bytes]:
    name = file.path.decode("utf-8", errors="surrogateescape")
    if not _REQUIREMENTS.search(name):
        return
    text = file.content.decode("utf-8", errors="replace")
    for other in _INCLUDE.findall(text):
        if path := _legal(posixpath.normpath(posixpath.join(posixpath.dirname(name), other))):
            yield path


def _legal(word: str) -> bytes:
    """`word` as a path of the workspace; empty when it cannot be one."""
    try:
        return check_path(word.removeprefix("./"))
    except PathRefusedError:
        return b""


def _read(root: int, path: bytes) -> MentionedFile | None:
    """The file; None when there is no regular file of this name: then the word was something else."""
    try:
        descriptor = open_regular(root, path)
    except PathRefusedError:
        return None
    try:
        executable = bool(os.fstat(descriptor).st_mode & stat.S_IXUSR)
    finally:
        os.close(descriptor)
    try:
        return MentionedFile(path, read_regular(root, path, FILE_LIMIT_BYTES), executable)
    except TreeRefusedError as error:
        raise SpecRefusedError("environment.setup", f"it mentions {error}") from error


def _check_bounds(files: Iterable[MentionedFile]) -> None:
    sizes = [len(file.content) for file in files]
    if sum(sizes) > TOTAL_LIMIT_BYTES or len(sizes) > COUNT_LIMIT:
        reason = f"it mentions more than {COUNT_LIMIT} files or {TOTAL_LIMIT_BYTES} bytes"
        raise SpecRefusedError("environment.setup", reason)
