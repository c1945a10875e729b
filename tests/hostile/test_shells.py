"""The gate in every shell that an image may have as /bin/sh."""

from __future__ import annotations

import asyncio
import io
import shutil
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from sandbox.docker.api import DEFAULT_SOCKET
from sandbox.docker.policy import STORE_LABEL
from sandbox.errors import ImageRefusedError
from sandbox.spec import ContainerLimits, ExecRequest, ExecResult, SandboxSpec, Verdict
from tests.fakes.docker_world import IMAGE, DockerWorld

pytestmark = [pytest.mark.docker, pytest.mark.root]

ODD_TEXT = "".join(map(chr, range(1, 256))) + "'\"\\$(x)`y` \x81\x88 \n\n  end"


class ImageMaker:
    """Makes small images; `close` removes them."""

    def __init__(self, store_id: str) -> None:
        self._client = docker.APIClient(base_url=f"unix://{DEFAULT_SOCKET}", version="1.41")
        self._store_id = store_id
        self._made: list[str] = []

    def with_bash(self) -> str:
        """The test image with bash as its /bin/sh."""
        container = self._client.create_container(
            IMAGE, ["ln", "-sf", "bash", "/bin/sh"], labels={STORE_LABEL: self._store_id}
        )["Id"]
        self._client.start(container)
        self._client.wait(container)
        made = self._client.commit(container, repository="sandstone-test", tag=f"bash-{self._store_id}")
        self._client.remove_container(container)
        return self._keep(made["Id"])

    def of_files(self, files: dict[str, bytes], changes: list[str] | None = None) -> str:
        """An image of just these files, all of them executable."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
        answer = self._client.import_image_from_data(
            archive.getvalue(), repository="sandstone-test", tag=f"files-{self._store_id}", changes=changes
        )
        return self._keep(str(self._client.inspect_image(f"sandstone-test:files-{self._store_id}")["Id"]), answer)

    def _keep(self, image_id: str, answer: object = None) -> str:
        assert image_id.startswith("sha256:"), answer
        self._made.append(image_id)
        return image_id

    def close(self) -> None:
        for image in self._made:
            self._client.remove_image(image, force=True)
        self._client.close()


@pytest.fixture
async def images(world: DockerWorld) -> AsyncIterator[ImageMaker]:
    maker = ImageMaker(world.store_id)
    yield maker
    await world.provider.close()
    await asyncio.to_thread(maker.close)


@pytest.fixture(params=["dash", "bash", "busybox"])
async def spec(request: pytest.FixtureRequest, world: DockerWorld, images: ImageMaker) -> SandboxSpec:
    if request.param == "dash":
        return world.spec
    if request.param == "bash":
        return replace(world.spec, image_id=await asyncio.to_thread(images.with_bash))
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("no static busybox on this machine (Debian: busybox-static)")
    binary = await asyncio.to_thread(Path(found).read_bytes)
    names = ("sh", "cat", "sleep", "wc", "pwd", "seq")
    made = await asyncio.to_thread(images.of_files, {f"bin/{name}": binary for name in names})
    return replace(world.spec, image_id=made)


async def run(world: DockerWorld, spec: SandboxSpec, request: ExecRequest) -> ExecResult:
    sandbox = await world.provider.claim(spec, world.store.new_layer())
    try:
        return await sandbox.run(request)
    finally:
        await sandbox.close()


async def test_output_and_exit_code_are_exact(world: DockerWorld, spec: SandboxSpec) -> None:
    result = await run(world, spec, ExecRequest("printf 'no newline'; printf 'err\\n' >&2; exit 3"))
    assert (result.exit_code, result.verdict) == (3, None)
    assert (result.stdout.text(), result.stderr.text()) == (b"no newline", b"err\n")


async def test_odd_text_goes_in_and_comes_out_unchanged(world: DockerWorld, spec: SandboxSpec) -> None:
    request = ExecRequest(("cat",), stdin=ODD_TEXT)
    assert (await run(world, spec, request)).stdout.text() == ODD_TEXT.encode()
    request = ExecRequest(("sh", "-c", "printf '%s' \"$ODD\""), env={"ODD": ODD_TEXT})
    assert (await run(world, spec, request)).stdout.text() == ODD_TEXT.encode()
    request = ExecRequest(f"printf '%s' '{ODD_TEXT.replace(chr(39), '')}'")
    assert (await run(world, spec, request)).stdout.text() == ODD_TEXT.replace("'", "").encode()


async def test_what_is_left_running_dies_and_its_death_is_not_told(world: DockerWorld, spec: SandboxSpec) -> None:
    result = await run(world, spec, ExecRequest("sleep 600 & sleep 600 & kill -9 $$"))
    assert (result.exit_code, result.verdict) == (137, None)
    assert (result.stdout.text(), result.stderr.text()) == (b"", b"")


async def test_a_large_stdin_that_is_not_read_holds_nothing_up(world: DockerWorld, spec: SandboxSpec) -> None:
    result = await run(world, spec, ExecRequest("exit 4", stdin="x" * 500_000))
    assert (result.exit_code, result.stderr.text()) == (4, b"")


async def test_at_the_time_limit_all_is_killed(world: DockerWorld, spec: SandboxSpec) -> None:
    result = await run(world, spec, ExecRequest("echo on; sleep 600", timeout=timedelta(seconds=0.5)))
    assert (result.verdict, result.stdout.text()) == (Verdict.TIMEOUT, b"on\n")


async def test_the_pids_of_the_gate_are_not_the_steps(world: DockerWorld, spec: SandboxSpec) -> None:
    tight = replace(spec, limits=ContainerLimits(pids=2))
    result = await run(world, tight, ExecRequest("sleep 0; echo done", stdin="x"))
    assert (result.verdict, result.stdout.text()) == (None, b"done\n")


async def test_the_watchdog_ends_the_step_when_its_line_is_cut(world: DockerWorld, spec: SandboxSpec) -> None:
    sandbox = await world.provider.claim(spec, world.store.new_layer())
    started = asyncio.Event()
    attempt = asyncio.create_task(sandbox.run(ExecRequest("echo on; sleep 600"), lambda *_: started.set()))
    await started.wait()
    sandbox.container.stream.close()
    assert await sandbox.container.init.wait_dead(timedelta(seconds=0.9))
    result = await attempt
    assert (result.exit_code, result.verdict) == (None, Verdict.SANDBOX_UNAVAILABLE)
    assert result.stdout.text() == b"on\n"


async def test_a_waiting_gate_ends_when_its_line_is_cut(world: DockerWorld, spec: SandboxSpec) -> None:
    sandbox = await world.provider.claim(spec, world.store.new_layer())
    sandbox.container.stream.close()
    assert await sandbox.container.init.wait_dead(timedelta(seconds=5))


async def test_an_image_without_a_shell_is_refused(world: DockerWorld, images: ImageMaker) -> None:
    image = await asyncio.to_thread(images.of_files, {"etc/hello": b"hello"})
    with pytest.raises(ImageRefusedError, match="/bin/sh"):
        await world.provider.claim(replace(world.spec, image_id=image), world.store.new_layer())


async def test_an_image_whose_shell_is_none_is_refused(world: DockerWorld, images: ImageMaker) -> None:
    binary = await asyncio.to_thread(Path("/bin/true").read_bytes)
    image = await asyncio.to_thread(images.of_files, {"bin/sh": binary})
    with pytest.raises(ImageRefusedError, match="/bin/sh"):
        await world.provider.claim(replace(world.spec, image_id=image), world.store.new_layer())


async def test_tmp_can_be_written_to_also_where_the_image_has_it_for_root_alone(
    world: DockerWorld, images: ImageMaker
) -> None:
    """Images made by `docker import` often do; some versions of runc keep the mode of the image's directory."""
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("no static busybox on this machine (Debian: busybox-static)")
    binary = await asyncio.to_thread(Path(found).read_bytes)
    image = await asyncio.to_thread(images.of_files, {"bin/sh": binary, "bin/id": binary, "tmp/kept": b""})
    sandbox = await world.provider.claim(replace(world.spec, image_id=image), world.store.new_layer())
    result = await sandbox.run(ExecRequest("echo written >/tmp/file && read line </tmp/file && echo $line"))
    await sandbox.close()
    assert (result.exit_code, result.stdout.text()) == (0, b"written\n")


async def test_what_an_image_says_of_itself_does_not_bind_us(world: DockerWorld, images: ImageMaker) -> None:
    """ENTRYPOINT, USER, ENV, VOLUME, HEALTHCHECK and WORKDIR of the image are overridden."""
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("no static busybox on this machine (Debian: busybox-static)")
    binary = await asyncio.to_thread(Path(found).read_bytes)
    names = ("sh", "cat", "id", "env", "df", "touch")
    changes = [
        'ENTRYPOINT ["/bin/false"]', "USER 0", "ENV LD_PRELOAD=/x.so", "ENV ENV=/rc", "ENV KEPT=yes",
        "VOLUME /data", 'HEALTHCHECK CMD ["/bin/false"]', "WORKDIR /data",
    ]  # fmt: skip
    image = await asyncio.to_thread(images.of_files, {f"bin/{name}": binary for name in names}, changes)
    spec = replace(world.spec, image_id=image)
    sandbox = await world.provider.claim(spec, world.store.new_layer())
    facts = await world.api.inspect(sandbox.container_id)
    result = await sandbox.run(ExecRequest("id -u; env; touch /data/x && echo kept; df -k /data"))
    await sandbox.close()
    text = result.stdout.text().decode()
    assert text.startswith("60990\n")
    assert "LD_PRELOAD" not in text
    assert "\nENV=" not in text
    assert "KEPT=yes" in text
    assert "\nkept\n" in text
    assert " 1024 " in text
    assert facts is not None
    assert [mount["Type"] for mount in facts["Mounts"]] == ["bind"]
    assert facts["Config"]["StopSignal"] == "SIGKILL"
    assert facts["Config"]["Healthcheck"] == {"Test": ["NONE"]}
