"""The mount helper's container: how a user of the `docker` group gets overlays mounted.

One long-lived container runs `sandbox.workspace.mount_service`, standard library only, handed over its stdin as a
zip. It has CAP_SYS_ADMIN and what loop devices and other people's files need, no network, and sees the store
(shared, so that its mounts reach the host and waiting containers), the projects in use (read-only) and /dev.
It is given paths and numbers, never a plan or a byte from a sandbox, and ends when its stdin does.
"""

from __future__ import annotations

import io
import os
import secrets
import socket
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound

import sandbox
from sandbox.docker.policy import LEASE_LABEL, ROLE_LABEL, STORE_LABEL
from sandbox.docker.stream import FrameDecoder
from sandbox.errors import EngineUnreachableError, ImageNotFoundError, MountError, SandboxUnavailableError
from sandbox.spec import Stream
from sandbox.workspace.mount_service import PARTS
from sandbox.workspace.mounts import RemoteMounter

HELPER_ROLE: Final = "helper"
STORE_THERE: Final = PurePosixPath("/store")
BASES_THERE: Final = PurePosixPath("/base")

_CALL_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 120
# SETUID, SETGID and SETFCAP: to write an id map that has root in it.
_CAPABILITIES: Final = ("SYS_ADMIN", "DAC_OVERRIDE", "FOWNER", "CHOWN", "MKNOD", "SETUID", "SETGID", "SETFCAP")
_LOOP_DEVICES: Final = ("b 7:* rwm", "c 10:237 rwm")

_BOOT: Final = """\
import sys
size = int(sys.stdin.buffer.readline())
with open("/tmp/helper.zip", "wb") as file:
    file.write(sys.stdin.buffer.read(size))
sys.path.insert(0, "/tmp/helper.zip")
import runpy
runpy.run_module("sandbox.workspace.mount_service", run_name="__main__")
"""


def container_config(image: str, store: Path, bases: Sequence[Path], store_id: str, lease: str) -> dict[str, Any]:
    """The create call's JSON. Pure."""
    inside = [str(BASES_THERE / str(number)) for number in range(len(bases))]
    mounts = [
        {
            "Type": "bind",
            "Source": os.fspath(store),
            "Target": str(STORE_THERE),
            "BindOptions": {"Propagation": "rshared"},
        },
        {"Type": "bind", "Source": "/dev", "Target": "/dev"},
    ]
    for base, target in zip(bases, inside, strict=True):
        mounts.append(
            {
                "Type": "bind",
                "Source": os.fspath(base),
                "Target": target,
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
            }
        )
    return {
        "Image": image,
        "Entrypoint": [],
        "Cmd": ["python3", "-I", "-c", _BOOT, str(STORE_THERE), *inside],
        "User": "0:0",
        "WorkingDir": "/",
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {STORE_LABEL: store_id, LEASE_LABEL: lease, ROLE_LABEL: HELPER_ROLE},
        "HostConfig": {
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": list(_CAPABILITIES),
            # Mounting is what it is for: the engine's own profiles forbid exactly that.
            "SecurityOpt": ["no-new-privileges", "seccomp=unconfined", "apparmor=unconfined"],
            "DeviceCgroupRules": list(_LOOP_DEVICES),
            "Memory": 256 << 20,
            "MemorySwap": 256 << 20,
            "PidsLimit": 64,
            "LogConfig": {"Type": "none", "Config": {}},
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,noexec,size=8m,mode=700"},
            "Mounts": mounts,
        },
    }


def program() -> bytes:
    """The zip of the modules that the helper runs, in the form that its boot reads: size, newline, bytes."""
    root = Path(sandbox.__file__).parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in (*PARTS, "workspace/mount_service"):
            archive.write(root / f"{part}.py", f"sandbox/{part}.py")
    data = packed.getvalue()
    return b"%d\n" % len(data) + data


class _Answers(io.RawIOBase):
    """The helper's stdout out of the attach stream. What it says on stderr is kept for the error message."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = FrameDecoder()
        self._ready = bytearray()
        self.complaint = bytearray()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._connection.recv(1 << 16)
            if not data:
                return 0
            for stream, chunk in self._decoder.feed(data):
                if stream is Stream.STDOUT:
                    self._ready += chunk
                else:
                    self.complaint += chunk[-4096:]
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        del self._ready[:count]
        return count


class HelperContainer:
    """One running helper and the mounter that speaks to it. Blocking."""

    def __init__(
        self, socket_path: str, image: str, store: Path, bases: Sequence[Path], store_id: str, lease: str
    ) -> None:
        """Start it.

        Raises:
          EngineUnreachableError, ImageNotFoundError, SandboxUnavailableError: it could not be started.
          MountError: it does not answer, or the store is on a private mount of the host.
        """
        try:
            self._client = docker.APIClient(base_url=f"unix://{socket_path}", timeout=_CALL_SECONDS)
        except DockerException as error:
            raise EngineUnreachableError(socket_path, str(error)) from error
        self._name = f"sandstone-helper-{lease}-{secrets.token_hex(4)}"
        config = container_config(image, store, bases, store_id, lease)
        try:
            self.mounter = self._start(image, store, bases, config)
        except BaseException:
            self._remove()
            raise

    def _start(self, image: str, store: Path, bases: Sequence[Path], config: dict[str, Any]) -> RemoteMounter:
        try:
            self._client.create_container_from_config(config, self._name)  # type: ignore[no-untyped-call]
            parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self._attached = self._client.attach_socket(self._name, parameters)
            self._client.start(self._name)
        except ImageNotFound as error:
            raise ImageNotFoundError(image) from error
        except APIError as error:
            if "shared mount" in str(error):
                reason = "its directory is on a private mount of the host; as root: mount --make-rshared /"
                raise MountError(os.fspath(store), reason) from error
            raise SandboxUnavailableError(f"the mount helper does not start: {error.explanation or error}") from error
        except (DockerException, OSError) as error:
            raise SandboxUnavailableError(f"the mount helper does not start: {error}") from error
        self._connection = cast("socket.socket", self._attached._sock)
        self._connection.settimeout(_ANSWER_SECONDS)
        answers = _Answers(self._connection)
        requests = cast("BinaryIO", self._connection.makefile("wb"))
        requests.write(program())
        requests.flush()
        places = [(store, STORE_THERE)]
        places += [(base, BASES_THERE / str(number)) for number, base in enumerate(bases)]
        try:
            return RemoteMounter(requests, cast("BinaryIO", io.BufferedReader(answers)), places)
        except MountError as error:
            said = bytes(answers.complaint).decode("utf-8", "replace").strip().splitlines()
            reason = f"{error.reason} ({said[-1]})" if said else error.reason
            raise MountError("helper", reason, error.errno) from error

    def close(self) -> None:
        """End and remove it; what it mounted stays. Idempotent."""
        self.mounter.close()
        self._attached.close()
        self._remove()

    def _remove(self) -> None:
        try:
            self._client.remove_container(self._name, v=True, force=True)
        except APIError as error:
            if error.status_code != 404:
                raise SandboxUnavailableError(f"the mount helper cannot be removed: {error.explanation}") from error
        finally:
            self._client.close()
