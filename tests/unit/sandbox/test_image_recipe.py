"""What decides the runner image's content, and the build context."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.docker import recipe as recipes
from sandbox.docker.recipe import LOCKS, WHEEL_LOCKS, Recipe, cache_directory, fetch_wheels, read_recipe, write_context
from sandbox.errors import ImageBuildError
from sandbox.spec import SANDBOX_UID

RECIPE = Recipe(b"FROM scratch\n", {"tools.lock": b"a==1", "run.lock": b"b==2", "npm.lock": b"[]"}, "x86_64")


def test_the_digest_changes_with_everything_that_decides_the_content() -> None:
    others = [
        replace(RECIPE, dockerfile=b"FROM other\n"),
        replace(RECIPE, architecture="aarch64"),
        replace(RECIPE, locks={**RECIPE.locks, "run.lock": b"b==3"}),
        # The border between two parts is part of the digest.
        replace(RECIPE, locks={**RECIPE.locks, "tools.lock": b"a==1b==2", "run.lock": b""}),
    ]
    assert len({RECIPE.digest, *(other.digest for other in others)}) == len(others) + 1


def test_the_digest_does_not_depend_on_the_order_of_the_locks() -> None:
    assert replace(RECIPE, locks=dict(reversed(RECIPE.locks.items()))).digest == RECIPE.digest


def test_every_requirement_of_the_locks_is_pinned_by_version_and_hash_and_names_no_index() -> None:
    locks = read_recipe("x86_64").locks
    for name in WHEEL_LOCKS:
        text = locks[name].decode()
        assert "://" not in text
        assert "--index" not in text
        entries = re.split(r"\n(?=\S)", text.strip())
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9-]+==\S+ ", entry), entry
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_dockerfile_makes_the_user_that_steps_run_as() -> None:
    text = read_recipe("x86_64").dockerfile.decode()
    assert f"--gid {SANDBOX_UID} sandbox" in text
    assert f"--uid {SANDBOX_UID} --gid {SANDBOX_UID}" in text


def test_the_dockerfile_needs_nothing_that_only_one_builder_has() -> None:
    lines = [line for line in read_recipe("x86_64").dockerfile.decode().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "--mount" in line or "<<" in line or "--link" in line or "--chmod" in line]


def _wheels(directory: Path) -> Path:
    wheels = directory / "wheels"
    wheels.mkdir()
    (wheels / "b-2-py3-none-any.whl").write_bytes(b"bb")
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"a")
    return wheels


def test_the_context_is_the_same_bytes_each_time_and_holds_exactly_what_the_dockerfile_copies(tmp_path: Path) -> None:
    wheels = _wheels(tmp_path)
    first, second = io.BytesIO(), io.BytesIO()
    write_context(RECIPE, wheels, first)
    (wheels / "a-1-py3-none-any.whl").touch()
    write_context(RECIPE, wheels, second)
    assert hashlib.sha256(first.read()).digest() == hashlib.sha256(second.read()).digest()
    first.seek(0)
    with tarfile.open(fileobj=first) as archive:
        names = archive.getnames()
    assert names == [
        "Dockerfile",
        "run.lock",
        "tools.lock",
        "wheels/a-1-py3-none-any.whl",
        "wheels/b-2-py3-none-any.whl",
    ]


def test_a_context_beyond_its_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "CONTEXT_LIMIT_BYTES", 1024)
    with pytest.raises(ImageBuildError, match="1024 bytes"):
        write_context(RECIPE, _wheels(tmp_path), io.BytesIO())


def _fake_pip(directory: Path, script: str) -> list[str]:
    program = directory / "pip"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return [str(program)]


FETCHES_ONE = 'for a; do case $a in --dest=*) mkdir -p "${a#--dest=}"; echo x > "${a#--dest=}/a.whl";; esac; done'


async def test_wheels_are_fetched_once_and_then_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "_pip", lambda: _fake_pip(tmp_path, FETCHES_ONE))
    fetched = await fetch_wheels(RECIPE, tmp_path / "cache", lambda line: None)
    assert [wheel.name for wheel in fetched.iterdir()] == ["a.whl"]
    monkeypatch.setattr(recipes, "_pip", lambda: ["/nonexistent"])
    assert await fetch_wheels(RECIPE, tmp_path / "cache", lambda line: None) == fetched


async def test_a_failed_fetch_leaves_nothing_that_looks_complete_and_tells_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = FETCHES_ONE + "; echo THESE PACKAGES DO NOT MATCH THE HASHES; exit 1"
    monkeypatch.setattr(recipes, "_pip", lambda: _fake_pip(tmp_path, script))
    with pytest.raises(ImageBuildError) as caught:
        await fetch_wheels(RECIPE, tmp_path / "cache", lambda line: None)
    assert "DO NOT MATCH THE HASHES" in caught.value.output_tail
    assert caught.value.fix
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


async def test_pip_is_told_to_check_hashes_and_to_take_nothing_that_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'echo "$@" > {tmp_path}/argv; {FETCHES_ONE}'
    monkeypatch.setattr(recipes, "_pip", lambda: _fake_pip(tmp_path, script))
    await fetch_wheels(RECIPE, tmp_path / "cache", lambda line: None)
    argv = (tmp_path / "argv").read_text().split()
    assert {"download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--python-version=3.11"} <= {*argv}
    assert "--platform=manylinux_2_28_x86_64" in argv
    assert "--platform=manylinux_2_37_x86_64" not in argv  # newer than the base's glibc


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/sandstone"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/sandstone"),
        ({"XDG_CACHE_HOME": "", "HOME": ""}, "/root/.cache/sandstone"),
    ],
)
def test_the_cache_follows_the_xdg_rules(environment: dict[str, str], expected: str) -> None:
    assert cache_directory(environment) == Path(expected)


def test_every_lock_is_read() -> None:
    assert set(read_recipe("x86_64").locks) == set(LOCKS)
