"""Which files a check looks at: the whole workspace, or what was named. Pure.

Named by the plan (`paths`): each must exist, a directory stands for all that is in it. Named by what a step
changed (`changed`): files that are gone count as nothing. What is named is looked at, also when the project's
own configuration would leave it out; that is how ruff and mypy treat files on their command lines.

Names go to the tools one a line in a file of UTF-8 text: ruff and mypy read nothing else. Names that are not UTF-8
or that some reader of lines would split cannot be handed over; they are found when the whole workspace is checked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.errors import PathRefusedError
from sandbox.workspace.display import display

_SPLITS_LINES: Final = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
"""Control characters and Unicode's line and paragraph separators, in UTF-8: a superset of what
`str.splitlines`, with which mypy reads its argument files, takes for the end of a line."""

CHECKED_SUFFIXES: Final = (
    b".py", b".pyi", b".json", b".toml", b".yaml", b".yml", b".sh", b".bash", b".sql", b".css", b".html", b".htm",
    b".js", b".mjs", b".cjs", b".jsx", b".ts", b".mts", b".cts", b".tsx", b".go", b".rs", b".java", b".c",
    b".dockerfile", b".vue", b".svelte", b".astro", b".jinja", b".jinja2", b".j2", b".djhtml", b".ejs", b".hbs",
    b".handlebars", b".mustache", b".twig", b".env", b".ini", b".cfg", b".conf", b".properties", b".xml", b".txt",
    b".md", b".pem", b".key", b".tf", b".rb", b".php", b".cs", b".kt", b".pyw", b".xhtml",
)  # fmt: skip
"""What the names of files end in that some check looks at; other changed files concern none."""

_CHECKED_NAMES: Final = re.compile(rb"(?:.*/)?(?:Dockerfile|Containerfile)(?:\.[^/]*)?", re.DOTALL)

SKIPPED_DIRECTORIES: Final = (
    ".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache",
    ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__", "__pypackages__", "node_modules", "site-packages", "venv",
)  # fmt: skip
"""Directories that hold no code of the project: not looked into, unless named. ruff skips them all by default."""

_SKIPPED: Final = frozenset(name.encode() for name in SKIPPED_DIRECTORIES)


@dataclass(frozen=True, slots=True)
class Selection:
    """names: relative paths, None for the whole workspace. must_exist: a name that is not there is a fault.

    unspeakable: names of files that a check should look at and that cannot be handed to a tool. since_commit: only
    what differs from the commit that the workspace is at, which is found out inside the sandbox; `names` is None.
    """

    names: tuple[bytes, ...] | None = None
    must_exist: bool = False
    unspeakable: tuple[bytes, ...] = ()
    since_commit: bool = False

    @property
    def whole(self) -> bool:
        return self.names is None

    def listing(self) -> str:
        """The names, one a line, each starting with `./`; "" for the whole workspace."""
        lines = (b"./" + name + b"\n" for name in self.names or ())
        return b"".join(lines).decode("utf-8")


def select(changed: Sequence[bytes] | None, paths: Sequence[str] | None, *, since_commit: bool = False) -> Selection:
    """The selection that these name: `paths` when given, else `changed` when given, else the whole workspace.

    since_commit: of the whole workspace only what differs from its commit.

    paths: files and directories. changed: files; directories and files that concern no check may be among them,
    and so may those in skipped directories (what a package manager installed), which are not looked at.

    Raises:
      PathRefusedError: a path is absolute, has `..` or is empty, or one of `paths` cannot be handed to a tool.
    """
    if paths is not None:
        named = [path.encode("utf-8", "surrogateescape") for path in paths]
        if b"." in named:
            return Selection()
        for name in named:
            if not _speakable(name):
                raise PathRefusedError(display(name), "has a name that cannot be handed to a tool")
        return Selection(_unique(named), must_exist=True)
    if changed is None:
        return Selection(since_commit=since_commit)
    files = {name for name in changed if _concerns_a_check(name)}
    good = {name for name in files if _speakable(name)}
    return Selection(_unique(good), unspeakable=tuple(sorted(files - good)))


def _concerns_a_check(name: bytes) -> bool:
    known = name.lower().endswith(CHECKED_SUFFIXES) or _CHECKED_NAMES.fullmatch(name)
    return bool(known) and not _SKIPPED & {*name.split(b"/")}


def _speakable(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _SPLITS_LINES.search(name)


def _unique(names: Collection[bytes]) -> tuple[bytes, ...]:
    for name in names:
        parts = name.split(b"/")
        if not name or name.startswith(b"/") or b".." in parts:
            raise PathRefusedError(display(name), "is not a relative path inside the workspace")
    return tuple(sorted({name.rstrip(b"/") for name in names}))
