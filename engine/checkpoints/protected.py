"""What may come from a step into the user's directory, by name and kind: pure rules.

Four answers (`Guard`): a name that can only be meant to deceive is never applied; the metadata of a
version control system only when it is named as such; files that run by themselves on the user's machine
only when a pattern of `--allow` matches them; files that run when the user builds, tests or starts the
project are applied and listed. Names are compared as the most careless file system would: without
regard to case, to characters that HFS+ ignores, to what Windows drops at the end of a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sandbox.workspace.manifest import EntryKind

if TYPE_CHECKING:
    import pathspec


class Guard(StrEnum):
    """NEVER: no pattern allows it. METADATA: a pattern must spell `Verdict.spell`. NAMED: any pattern that
    matches. LATER: applied, and listed as running on the user's machine later."""

    NEVER = "never"
    METADATA = "metadata"
    NAMED = "named"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a path is not simply applied. spell: the part that a pattern must contain, for METADATA."""

    guard: Guard
    reason: str
    spell: str = ""


METADATA: Final = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", ".sl", "_darcs"})
"""Names at any depth: hooks, filters and aliases in there run on the next command of their tool."""

SELF_RUNNING_DIRECTORIES: Final = frozenset(
    {
        ".vscode", ".idea", ".vs", ".fleet", ".zed", ".devcontainer", ".circleci", ".buildkite", ".woodpecker",
        ".teamcity", ".husky", ".githooks", ".lefthook", ".direnv", ".cursor", ".claude", ".continue", ".mvn",
        ".mise",
    }
)  # fmt: skip
"""Directories, at any depth, whose files an editor, a hook manager or a CI service runs unasked."""

_SELF_RUNNING_PATHS: Final = re.compile(
    r"""(?:^|/)(?:
      \.(?:github|gitea|forgejo)/(?:workflows|actions)/.+
    | \.cargo/config(?:\.toml)?
    | \.config/(?:mise|direnv)/.+
    | \.yarn/(?:plugins|releases|sdks)/.+
    | \.gitlab/ci/.+
    | \.gradle/init\.d/.+ | init\.gradle(?:\.kts)?
    )$""",
    re.VERBOSE,
)

_MAY_HOLD: Final = frozenset({".github", ".gitea", ".forgejo", ".gitlab", ".cargo", ".config", ".yarn", ".gradle"})
"""As a link each of them could bring in such paths from a directory that is called otherwise."""

SELF_RUNNING_FILES: Final = frozenset(
    {
        ".envrc", ".autoenv", ".autoenv.zsh", ".gitlab-ci.yml", ".gitlab-ci.yaml", ".travis.yml",
        "azure-pipelines.yml", "bitbucket-pipelines.yml", ".drone.yml", "appveyor.yml", ".appveyor.yml",
        ".cirrus.yml", ".woodpecker.yml", "jenkinsfile", "cloudbuild.yaml", "buildspec.yml",
        ".pre-commit-config.yaml", "lefthook.yml", ".lefthook.yml", "lefthook-local.yml", ".huskyrc",
        ".huskyrc.json", ".huskyrc.js", ".gitmodules", ".gitconfig", ".lfsconfig", ".hgsub", ".npmrc", ".yarnrc",
        ".yarnrc.yml", ".pnpmfile.cjs", "pnpmfile.js", ".mise.toml", "mise.toml", ".mise.local.toml",
        ".devcontainer.json", ".mcp.json", "sitecustomize.py", "usercustomize.py", ".exrc", ".vimrc", ".nvimrc",
        ".nvim.lua", ".lvimrc", ".dir-locals.el", ".dir-locals-2.el", ".gdbinit", ".lldbinit", ".bashrc",
        ".bash_profile", ".bash_login", ".bash_logout", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin",
        ".login", ".cshrc", ".pythonrc", ".pdbrc", ".pdbrc.py", ".irbrc", ".pryrc", ".watchmanconfig", ".inputrc",
    }
)  # fmt: skip
"""File names, at any depth, that a shell, editor, package manager, interpreter or CI service acts upon unasked."""

_SELF_RUNNING_SUFFIXES: Final = (".pth", ".code-workspace")

_RUNS_LATER: Final = re.compile(
    r"""^(?:
      package\.json | setup\.(?:py|cfg) | pyproject\.toml | conftest\.py | noxfile\.py | tox\.ini | pytest\.ini
    | (?:gnu)?makefile | .+\.(?:mk|cmake|gemspec|ps1|bat|cmd) | cmakelists\.txt | build\.rs | cargo\.toml
    | (?:build|settings)\.gradle(?:\.kts)? | gradlew | mvnw | pom\.xml | build\.xml | rakefile | gemfile
    | dockerfile(?:\..+)? | .+\.dockerfile | containerfile | (?:docker-)?compose(?:\..+)?\.ya?ml | vagrantfile
    | justfile | \.justfile | taskfile\.ya?ml | procfile | requirements.*\.txt | \.gitattributes | \.bazelrc
    | (?:module|workspace)(?:\.bazel)? | meson\.build | configure(?:\.ac)? | manage\.py | __main__\.py
    | (?:webpack|vite|vitest|rollup|babel|jest|eslint|next|nuxt|svelte|tailwind|postcss|gulp|grunt)
      (?:file|\.config)?\.[cm]?[jt]s
    | \.(?:eslintrc|babelrc|prettierrc)(?:\.[cm]?js)?
    )$""",
    re.VERBOSE,
)

_SHORT_NAME: Final = re.compile(r"^(?:git|gi[0-9a-f]{4})~[0-9]+$")
"""What Windows may call `.git`, besides its name."""

_BARE_PARTS: Final = frozenset({b"HEAD", b"objects", b"refs", b"config", b"hooks"})
_IGNORED: Final = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\ufe00-\ufe0f]")


@lru_cache(maxsize=4096)
def folded(part: bytes) -> str:
    """One part of a path as the most careless file system compares it."""
    text = unicodedata.normalize("NFKC", part.decode("utf-8", "surrogateescape"))
    if not text.isascii():
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = unicodedata.normalize("NFKC", _IGNORED.sub("", text).casefold())
    return text.casefold().split(":", 1)[0].rstrip(" .")


def judge(path: bytes, kind: EntryKind, mode: int = 0) -> Verdict | None:
    """What the name, the kind and the mode of a new or changed entry say; None: nothing against it.

    Directories are judged by name only where they would be a tool's metadata: on their own the others
    do nothing.
    """
    verdict = judge_metadata(path)
    if verdict is not None or kind is EntryKind.DIRECTORY:
        return verdict
    if kind not in (EntryKind.FILE, EntryKind.SYMLINK):
        return Verdict(Guard.NEVER, f"is a {kind.value}: only files, directories and symbolic links are applied")
    parts = [folded(part) for part in path.split(b"/")]
    if _runs_by_itself(parts, kind):
        return Verdict(Guard.NAMED, "runs by itself on your machine")
    if _RUNS_LATER.match(parts[-1]):
        return Verdict(Guard.LATER, "runs when you build, test or install")
    if kind is EntryKind.FILE and mode & 0o111:
        return Verdict(Guard.LATER, "can be executed")
    return None


def judge_metadata(path: bytes) -> Verdict | None:
    """The answer for a path in the metadata of a version control system, also when it goes by a disguised name."""
    for part in path.split(b"/"):
        # A backslash separates on Windows: `.git\hooks` is one name here and two there.
        for piece in part.split(b"\\"):
            name = folded(piece)
            if name in METADATA and piece == name.encode() and piece == part:
                return Verdict(Guard.METADATA, f"is metadata of version control ({name})", name)
            if name in METADATA or _SHORT_NAME.match(name):
                return Verdict(Guard.NEVER, "is another way to write the name of a version control directory")
    return None


def _runs_by_itself(parts: Sequence[str], kind: EntryKind) -> bool:
    if any(part in SELF_RUNNING_DIRECTORIES for part in parts[:-1]):
        return True
    name = parts[-1]
    if name in SELF_RUNNING_FILES or name in SELF_RUNNING_DIRECTORIES or name.endswith(_SELF_RUNNING_SUFFIXES):
        return True
    if kind is EntryKind.SYMLINK and name in _MAY_HOLD:
        return True
    return _SELF_RUNNING_PATHS.search("/".join(parts)) is not None


def bare_candidates(paths: Iterable[bytes]) -> set[bytes]:
    """Directories (b"": the root) of which `paths` touch what a bare repository consists of."""
    found = set()
    for path in paths:
        parts = path.split(b"/")
        found |= {b"/".join(parts[:at]) for at, part in enumerate(parts) if part in _BARE_PARTS}
    return found


def bare_markers(top: bytes) -> list[bytes]:
    """What must be in the directory `top` for git to take it for a repository, and obey the config in it."""
    return [top + b"/" + mark if top else mark for mark in (b"HEAD", b"objects", b"refs")]


def judge_link(path: bytes, target: bytes) -> Verdict | None:
    """The answer for a symbolic link at `path` with the text `target`.

    Only a target that surely stays inside passes: relative, with `..` at its beginning only and no more of
    them than `path` is deep. (A `..` further on would start from wherever a link on the way leads.)
    """
    if target.startswith(b"/"):
        return Verdict(Guard.NAMED, "is a symbolic link to an absolute path")
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    climbs = 0
    while climbs < len(parts) and parts[climbs] == b"..":
        climbs += 1
    if climbs > path.count(b"/"):
        return Verdict(Guard.NAMED, "is a symbolic link that leads out of the directory")
    if b".." in parts[climbs:]:
        return Verdict(Guard.NAMED, "is a symbolic link with .. after a name, which may lead out of the directory")
    return None


class Allowance:
    """The patterns that the user named with `--allow`, in the language of .gitignore."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises ValueError: not a pattern."""
        from engine.checkpoints.gitignore import spec_of

        self._spec = spec_of(patterns)
        self._spelled = [(spec_of([pattern]), frozenset(pattern.strip("/").split("/"))) for pattern in patterns]

    def permits(self, path: bytes, verdict: Verdict) -> bool:
        """Whether `path` may be applied in spite of `verdict`."""
        match verdict.guard:
            case Guard.LATER:
                return True
            case Guard.NAMED:
                return self.names(path)
            case Guard.METADATA:
                return any(_matches(spec, path) for spec, parts in self._spelled if verdict.spell in parts)
            case Guard.NEVER:
                return False

    def names(self, path: bytes) -> bool:
        """Whether a pattern matches `path`."""
        return _matches(self._spec, path)


def _matches(spec: pathspec.GitIgnoreSpec, path: bytes) -> bool:
    """`dir/**` stands for the directory as well as for what is in it."""
    text = path.decode("utf-8", "surrogateescape")
    return bool(spec.match_file(text) or spec.match_file(text + "/x"))


ORDINARY_MODE: Final = 0o755


def normal_mode(mode: int, before: int | None) -> int:
    """The mode that is applied: of what the step left, what is ordinary (0755) or was there before.

    Setuid, setgid and sticky are never taken over; write permission for group and others only where the
    user's own entry had it.
    """
    return mode & (ORDINARY_MODE | ((before or 0) & 0o777))
