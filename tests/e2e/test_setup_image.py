"""The runner's image, built on this machine, and names of images."""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

from sandbox.docker.image import RECIPE_LABEL, RUNNER, Currency, ImageBuilder
from sandbox.docker.image_api import BuildRefusedError, ImageApi
from sandbox.errors import ImageNotFoundError, ImageRefusedError
from sandbox.spec import SANDBOX_UID
from tests.images import plain_image

pytestmark = pytest.mark.docker


@pytest.fixture
async def builder() -> AsyncIterator[ImageBuilder]:
    made = ImageBuilder()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=f"unix://{ImageApi().socket_path}", version="1.41")
    yield client
    client.close()


async def in_runner(engine: docker.APIClient, script: str) -> str:
    """What a step would get from `script`: no network, read-only, no capability."""

    def work() -> str:
        host = engine.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            tmpfs={"/tmp": "exec", "/workspace": f"uid={SANDBOX_UID}"},
        )
        container = engine.create_container(
            RUNNER, ["/bin/sh", "-c", script], host_config=host, labels={"sandstone": "test-image"}
        )["Id"]
        try:
            engine.start(container)
            code = engine.wait(container)["StatusCode"]
            output = engine.logs(container).decode()
            assert code == 0, output
            return str(output)
        finally:
            engine.remove_container(container, force=True, v=True)

    return await asyncio.to_thread(work)


async def test_the_runner_is_current_after_it_was_ensured_and_then_it_is_a_look_up(builder: ImageBuilder) -> None:
    assert (await builder.ensure_runner()).currency is Currency.CURRENT
    lines: list[str] = []
    started = time.perf_counter()
    state = await builder.ensure_runner(lines.append)
    assert time.perf_counter() - started < 0.3
    assert lines == []
    assert state.built_recipe == state.recipe
    assert state.base.startswith("sha256:")
    assert 0 < state.size_bytes < 400_000_000


async def test_the_runner_is_tagged_by_its_recipe_and_labelled(builder: ImageBuilder) -> None:
    state = await builder.ensure_runner()
    by_recipe = await builder.resolve(f"{RUNNER}:{state.recipe[:32]}")
    by_name = await builder.resolve(RUNNER)
    assert by_recipe.image_id == by_name.image_id == state.image_id
    assert (by_name.labels or {})[RECIPE_LABEL] == state.recipe
    assert (by_name.volumes, by_name.entrypoint) == ((), ())


async def test_every_tool_runs_as_the_sandbox_user_without_network_or_a_writable_root(
    builder: ImageBuilder, engine: docker.APIClient
) -> None:
    await builder.ensure_runner()
    script = """
        set -e
        id -u; cd /workspace
        printf 'def f(x: int) -> int:\\n    return x\\n' > code.py
        printf 'from code import f\\ndef test_f():\\n    assert f(1) == 1\\n' > test_code.py
        PYTHONPATH=. pytest -q test_code.py; ruff check code.py; mypy code.py; bandit -q code.py
        coverage --version; git init -q . && git status --short; ls -A
    """
    output = await in_runner(engine, script)
    lines = output.splitlines()
    assert lines[0] == str(SANDBOX_UID)
    assert "1 passed" in output
    assert "no issues found" in output
    # No tool left a cache in the workspace.
    assert set(lines[-3:]) == {".git", "code.py", "test_code.py"}


async def test_no_file_of_the_runner_lends_its_owners_rights(builder: ImageBuilder, engine: docker.APIClient) -> None:
    await builder.ensure_runner()
    found = await in_runner(engine, "find / -xdev -perm /6000 -type f 2>/dev/null; getcap -r / 2>/dev/null; true")
    assert found == ""


async def test_the_user_of_steps_has_an_entry_and_a_home(builder: ImageBuilder, engine: docker.APIClient) -> None:
    await builder.ensure_runner()
    entry = await in_runner(engine, "getent passwd sandbox; ls -dn /home/sandbox")
    assert f"sandbox:x:{SANDBOX_UID}:{SANDBOX_UID}:" in entry
    assert f"{SANDBOX_UID} {SANDBOX_UID}" in entry.splitlines()[1]


async def test_types_are_checked_against_what_the_code_runs_with(
    builder: ImageBuilder, engine: docker.APIClient
) -> None:
    await builder.ensure_runner()
    output = await in_runner(
        engine, "cd /workspace; printf 'import pytest\\nreveal_type(pytest.skip)' > a.py; mypy a.py"
    )
    assert "Success" in output
    assert "import-not-found" not in output


async def test_a_name_that_is_not_there_comes_with_names_alike(builder: ImageBuilder) -> None:
    await builder.ensure_runner()
    with pytest.raises(ImageNotFoundError) as caught:
        await builder.resolve("sandstone/runer")
    assert RUNNER in caught.value.near


async def test_an_image_of_another_architecture_is_refused(
    builder: ImageBuilder, engine: docker.APIClient, tmp_path: Path
) -> None:
    name = f"sandstone-test/{secrets.token_hex(6)}"
    own = await builder.resolve(plain_image())
    other = "arm64" if own.architecture == "amd64" else "amd64"
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY Dockerfile /\n")
    built = engine.build(path=str(tmp_path), tag=name, platform=f"linux/{other}", rm=True, decode=True)
    if any("experimental" in str(event) or "not supported" in str(event) for event in built):
        pytest.skip("this engine cannot make an image for another processor")
    try:
        if engine.inspect_image(name)["Architecture"] != other:
            pytest.skip("this engine cannot make an image for another processor")
        with pytest.raises(ImageRefusedError, match=other):
            await builder.resolve(name)
    finally:
        engine.remove_image(name, force=True)


async def test_a_build_that_fails_says_what_the_builder_said(tmp_path: Path) -> None:
    context = io.BytesIO()
    dockerfile = f"FROM {plain_image()}\nRUN echo said; exit 9\n".encode()
    with tarfile.open(fileobj=context, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        archive.addfile(member, io.BytesIO(dockerfile))
    context.seek(0)
    api = ImageApi()
    lines: list[str] = []
    try:
        with pytest.raises(BuildRefusedError, match="non-zero code: 9"):
            await api.build(context, labels={"sandstone": "test-image"}, progress=lines.append)
    finally:
        api.close()
    assert "said" in lines


async def test_the_context_can_be_written_for_other_builders(builder: ImageBuilder, tmp_path: Path) -> None:
    await builder.write_context(tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as archive:
        names = archive.getnames()
    assert {"Dockerfile", "tools.lock", "run.lock"} <= set(names)
    assert any(name.startswith("wheels/pip-") for name in names)
