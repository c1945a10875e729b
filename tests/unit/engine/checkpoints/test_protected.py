"""What is applied, what must be named, what never comes: by name and kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.checkpoints.planning import NoteKind
from engine.checkpoints.protected import (
    Allowance,
    Guard,
    Verdict,
    folded,
    judge,
    judge_link,
    judge_metadata,
    normal_mode,
)
from engine.errors import ApplyRefusedError
from sandbox.workspace.manifest import EntryKind
from tests.unit.engine.checkpoints.project_bench import Bench, facts


def guard(path: str, kind: EntryKind = EntryKind.FILE, mode: int = 0o644) -> Guard | None:
    verdict = judge(path.encode("utf-8", "surrogateescape"), kind, mode)
    return None if verdict is None else verdict.guard


@pytest.mark.parametrize(
    "path",
    [".git", ".git/config", ".git/hooks/pre-commit", "vendor/x/.git/config", "sub/.git", ".hg/hgrc", "a/.svn/b"],
)
def test_metadata_of_version_control_must_be_spelled(path: str) -> None:
    assert guard(path) is Guard.METADATA


@pytest.mark.parametrize(
    "path",
    [
        ".GIT/config", ".Git/hooks/x", "git~1/config", "GIT~1", "gi7eba~1/x", ".git /config", ".git./x", ".git...",
        ".git::$INDEX_ALLOCATION/config", ".g\u200cit/config", "\ufeff.git/x", ".gi\u202et", ".ｇｉｔ/x",
        ".git\\hooks\\pre-commit", "a\\.git\\config", ".GIT\\x", ".g\u034fit",
    ],
)  # fmt: skip
def test_a_disguised_name_of_metadata_is_never_applied(path: str) -> None:
    assert guard(path) is Guard.NEVER
    verdict = judge_metadata(path.encode())
    assert verdict is not None
    assert not Allowance(["**", "*", ".git/**", path]).permits(path.encode(), verdict)


@pytest.mark.parametrize(
    "path",
    [
        ".envrc", "sub/.envrc", ".vscode/tasks.json", ".vscode/deep/x", ".idea/workspace.xml", ".ENVRC",
        ".github/workflows/ci.yml", ".github/actions/a/action.yml", ".gitlab-ci.yml", ".circleci/config.yml",
        ".husky/pre-commit", ".pre-commit-config.yaml", ".devcontainer/devcontainer.json", ".cargo/config.toml",
        ".cargo/config", ".npmrc", ".yarnrc.yml", ".yarn/plugins/x.cjs", ".mise.toml", "lib/sitecustomize.py",
        "usercustomize.py", "site-packages/evil.pth", ".gitmodules", ".mcp.json", "x.code-workspace", "Jenkinsfile",
    ],
)  # fmt: skip
def test_what_runs_by_itself_must_be_named(path: str) -> None:
    assert guard(path) is Guard.NAMED


@pytest.mark.parametrize(
    "path",
    ["package.json", "setup.py", "sub/conftest.py", "Makefile", "GNUmakefile", "rules.mk", "Dockerfile", "build.rs",
     "pyproject.toml", ".gitattributes", "docker-compose.yml", "requirements-dev.txt", "vite.config.ts"],
)  # fmt: skip
def test_what_runs_later_is_applied_and_told(path: str) -> None:
    assert guard(path) is Guard.LATER


@pytest.mark.parametrize(
    "path", ["main.py", ".gitignore", ".github/CODEOWNERS", "git/x", "agit~1", ".gitkeep", "docs/pth", ".config/x"]
)
def test_ordinary_files_are_not_judged(path: str) -> None:
    assert guard(path) is None


def test_an_executable_file_is_told() -> None:
    assert guard("tool", mode=0o755) is Guard.LATER


@pytest.mark.parametrize("kind", [EntryKind.FIFO, EntryKind.SOCKET, EntryKind.CHARDEV, EntryKind.BLOCKDEV])
def test_special_files_are_never_applied(kind: EntryKind) -> None:
    assert guard("x", kind) is Guard.NEVER


def test_a_link_in_the_place_of_a_configuration_directory_must_be_named() -> None:
    assert guard(".vscode", EntryKind.SYMLINK) is Guard.NAMED
    assert guard(".github", EntryKind.SYMLINK) is Guard.NAMED
    assert guard(".vscode", EntryKind.DIRECTORY) is None


@pytest.mark.parametrize(
    ("path", "target", "safe"),
    [
        (b"l", b"file", True), (b"l", b"./a/b", True), (b"d/l", b"../file", True), (b"a/b/l", b"../../x", True),
        (b"l", b"/etc/passwd", False), (b"l", b"../x", False), (b"d/l", b"../../x", False), (b"l", b"a/../b", False),
        (b"d/l", b"x/../../y", False), (b"l", b"..", False), (b"d/l", b"..", True), (b"l", b"./../x", False),
    ],
)  # fmt: skip
def test_a_link_that_may_lead_out_must_be_named(path: bytes, target: bytes, safe: bool) -> None:
    assert (judge_link(path, target) is None) is safe


def test_metadata_is_permitted_only_by_a_pattern_that_spells_it() -> None:
    verdict = Verdict(Guard.METADATA, "", ".git")
    for patterns, permitted in [
        (["**"], False), ([".git/**"], True), ([".git/info/exclude"], False), ([".git/config"], True),
        (["*/config"], False), (["config"], False), ([".git"], True),
    ]:  # fmt: skip
        assert Allowance(patterns).permits(b".git/config", verdict) is permitted, patterns
    assert Allowance([".git/**"]).permits(b".git", verdict)


def test_modes_keep_what_is_ordinary_and_what_was_there() -> None:
    assert normal_mode(0o6777, None) == 0o755
    assert normal_mode(0o666, 0o664) == 0o664
    assert normal_mode(0o4755, 0o4755) == 0o755
    assert normal_mode(0o600, 0o644) == 0o600


def test_folding_is_that_of_the_most_careless_file_system() -> None:
    assert folded("CAFÉ . ".encode()) == folded("cafe\u0301".encode())
    assert folded(b"name:stream") == "name"


def step_writes(bench: Bench, *paths: str) -> None:
    bench.start()
    for path in paths:
        target = bench.head / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")
    bench.seal()


def test_one_protected_path_stops_everything_until_it_is_named(bench: Bench) -> None:
    step_writes(bench, ".envrc", "fine", ".git/hooks/pre-commit")
    before = facts(bench.project)
    with pytest.raises(ApplyRefusedError) as caught:
        bench.apply()
    assert {path for path, _ in caught.value.entries} == {".envrc", ".git", ".git/hooks", ".git/hooks/pre-commit"}
    with pytest.raises(ApplyRefusedError):
        bench.apply("**")
    assert facts(bench.project) == before
    report = bench.apply(".envrc", ".git/**")
    assert facts(bench.project) == facts(bench.head)
    later = {note.path for note in report.notes if note.kind is NoteKind.RUNS_LATER}
    assert {b".envrc", b".git/hooks/pre-commit"} <= later


def test_a_directory_made_to_look_like_a_repository_must_be_spelled(bench: Bench) -> None:
    step_writes(bench, "fixture/HEAD", "fixture/objects/x", "fixture/refs/x", "fixture/config", "half/HEAD")
    with pytest.raises(ApplyRefusedError) as caught:
        bench.apply("**")
    assert {path.split("/")[0] for path, _ in caught.value.entries} == {"fixture"}
    bench.apply("fixture/**")
    assert (bench.project / "fixture/config").exists()


def test_a_repository_that_was_there_is_not_reconfigured_unnamed(bench: Bench) -> None:
    for name in ("objects", "refs"):
        (bench.project / "bare.git" / name).mkdir(parents=True)
    (bench.project / "bare.git/HEAD").write_text("ref")
    step_writes(bench, "bare.git/config")
    with pytest.raises(ApplyRefusedError):
        bench.apply()


def test_metadata_is_not_deleted_unnamed(bench: Bench) -> None:
    (bench.project / ".git").mkdir()
    (bench.project / ".git/config").write_text("x")
    bench.start()
    (bench.head / ".git/config").unlink()
    (bench.head / ".git").rmdir()
    bench.seal()
    with pytest.raises(ApplyRefusedError):
        bench.apply()
    assert (bench.project / ".git/config").exists()


def test_a_link_out_of_the_project_is_applied_only_when_named(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    os.symlink("/etc", bench.head / "out")
    bench.seal()
    with pytest.raises(ApplyRefusedError, match="absolute"):
        bench.apply()
    bench.apply("out")
    assert os.readlink(bench.project / "out") == "/etc"


def test_names_that_some_file_systems_fold_are_told(bench: Bench) -> None:
    step_writes(bench, "README", "readme", "\u00e9", "e\u0301")
    report = bench.apply()
    assert {note.path for note in report.notes if note.kind is NoteKind.COLLISION} == {b"README", "e\u0301".encode()}
