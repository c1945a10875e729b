"""Which files a set-up gets to see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.docker import mentioned
from sandbox.docker.mentioned import mentioned_files
from sandbox.errors import SpecRefusedError


def names(*commands: str, workspace: Path) -> list[str]:
    return [os.fsdecode(file.path) for file in mentioned_files(commands, workspace)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("requirements.txt", "dev/extra.txt", "package.json", "go.mod", "install.sh", "other.txt", "a b.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "pip install -rrequirements.txt",
        "pip install --requirement=requirements.txt",
        "pip install -r ./requirements.txt",
        "pip install -r 'requirements.txt'",
        "cat <requirements.txt>/dev/null",
        "test -f requirements.txt;true",
        "true&&cat requirements.txt",
    ],
)
def test_a_path_that_stands_alone_in_a_command_is_mentioned(command: str, workspace: Path) -> None:
    assert names(command, workspace=workspace) == ["requirements.txt"]


@pytest.mark.parametrize(
    "command",
    [
        "echo my-requirements.txt",
        "cat ../requirements.txt",
        "cat /requirements.txt",
        "ls dev",
        "cat requirements.txt.bak",
        "cat nothing.txt",
        "",
    ],
)
def test_nothing_else_is(command: str, workspace: Path) -> None:
    assert names(command, workspace=workspace) == []


def test_what_a_package_manager_reads_without_being_told_is_mentioned(workspace: Path) -> None:
    assert names("npm ci", "/usr/bin/go mod download", workspace=workspace) == ["go.mod", "package.json"]


def test_requirements_files_bring_what_they_include_from_where_they_stand(workspace: Path) -> None:
    (workspace / "requirements.txt").write_text("six\n-r dev/extra.txt\n--constraint=other.txt # why\n")
    (workspace / "dev/extra.txt").write_text("-c ../other.txt\n-r ../../outside.txt\n-r extra.txt\n")
    found = names("pip install -r requirements.txt", workspace=workspace)
    assert found == ["dev/extra.txt", "other.txt", "requirements.txt"]


def test_a_link_is_no_file_of_the_workspace(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("secret")
    (workspace / "link.txt").symlink_to(outside)
    (workspace / "linked").symlink_to(outside.parent)
    assert names("cat link.txt linked/secret.txt", workspace=workspace) == []


def test_a_fifo_is_not_waited_for(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    assert names("cat pipe", workspace=workspace) == []


def test_a_hidden_path_does_not_exist(workspace: Path) -> None:
    found = mentioned_files(["cat requirements.txt other.txt"], workspace, lambda path: path == b"other.txt")
    assert [file.path for file in found] == [b"requirements.txt"]


def test_content_and_the_executable_bit_are_taken(workspace: Path) -> None:
    (workspace / "install.sh").chmod(0o755)
    (file,) = mentioned_files(["sh install.sh"], workspace)
    assert (file.content, file.executable) == (b"install.sh", True)


def test_a_file_beyond_the_bound_is_refused_by_name(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentioned, "FILE_LIMIT_BYTES", 4)
    with pytest.raises(SpecRefusedError, match=r"other\.txt.*4 bytes"):
        names("cat other.txt", workspace=workspace)


def test_all_of_them_together_are_bounded(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mentioned, "TOTAL_LIMIT_BYTES", 20)
    with pytest.raises(SpecRefusedError, match="20 bytes"):
        names("cat other.txt requirements.txt", workspace=workspace)
