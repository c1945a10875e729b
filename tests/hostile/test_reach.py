"""Steps that look for a way out: kernel entry points, the network, the host's files, other processes.

Every entry point is one that Docker's own profile, or an engine of 2022, lets through in part; the same probes are
run in a container without our policy, where they must succeed, so that a probe which cannot see anything fails.
"""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.docker.policy import MASKED_PATHS, STORE_LABEL
from sandbox.spec import SANDBOX_UID, ExecRequest
from tests.fakes.docker_world import IMAGE, DockerWorld, until_ended
from tests.hostile.conftest import Attack

pytestmark = [pytest.mark.docker, pytest.mark.root]

EPERM, ENOSYS, EACCES = 1, 38, 13

NUMBERS = {
    "x86_64": {
        "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "fsopen": 430,
        "open_tree": 428, "move_mount": 429, "mount_setattr": 442, "io_uring_setup": 425, "userfaultfd": 323,
        "bpf": 321, "perf_event_open": 298, "kexec_load": 246, "init_module": 175, "finit_module": 313,
        "delete_module": 176, "quotactl": 179, "acct": 163, "swapon": 167, "reboot": 169, "add_key": 248,
        "request_key": 249, "keyctl": 250, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
        "pidfd_getfd": 438, "kcmp": 312, "name_to_handle_at": 303, "open_by_handle_at": 304, "fanotify_init": 300,
        "memfd_secret": 447, "vmsplice": 278, "syslog": 103, "settimeofday": 164, "clock_adjtime": 305,
        "sethostname": 170, "iopl": 172, "modify_ldt": 154, "vhangup": 153, "lookup_dcookie": 212,
        "move_pages": 279, "mbind": 237, "socket": 41, "mknod": 133, "clone": 56, "clone3": 435,
    },
    "aarch64": {
        "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "fsopen": 430,
        "open_tree": 428, "move_mount": 429, "mount_setattr": 442, "io_uring_setup": 425, "userfaultfd": 282,
        "bpf": 280, "perf_event_open": 241, "kexec_load": 104, "init_module": 105, "finit_module": 273,
        "delete_module": 106, "quotactl": 60, "acct": 89, "swapon": 224, "reboot": 142, "add_key": 217,
        "request_key": 218, "keyctl": 219, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
        "pidfd_getfd": 438, "kcmp": 272, "name_to_handle_at": 264, "open_by_handle_at": 265, "fanotify_init": 262,
        "memfd_secret": 447, "vmsplice": 75, "syslog": 116, "settimeofday": 170, "clock_adjtime": 266,
        "sethostname": 161, "vhangup": 58, "lookup_dcookie": 18, "move_pages": 239, "mbind": 235, "socket": 198,
        "mknodat": 33, "clone": 220, "clone3": 435,
    },
}[platform.machine()]  # fmt: skip

SPECIAL = {"socket", "mknod", "mknodat", "clone", "clone3"}
PLAIN = sorted(set(NUMBERS) - SPECIAL)
ALLOWED_FAMILIES = {1, 2, 10, 16}


async def errnos(attack: Attack, calls: list[tuple[int, ...]]) -> list[int]:
    """What each system call comes to in a step: 0, or its errno."""
    return parse((await attack(("perl", "-e", script_for(calls)))).stdout.text())


def script_for(calls: list[tuple[int, ...]]) -> str:
    lines = [f"$r = syscall({', '.join(map(str, call))}); print $r == -1 ? $!+0 : 0, qq(\\n);" for call in calls]
    return "$| = 1; " + " ".join(lines)


def parse(output: bytes) -> list[int]:
    return [int(line) for line in output.split()]


async def test_no_risky_entry_point_of_the_kernel_is_open(attack: Attack) -> None:
    found = await errnos(attack, [(NUMBERS[name], 0, 0, 0, 0, 0) for name in PLAIN])
    assert dict(zip(PLAIN, found, strict=True)) == dict.fromkeys(PLAIN, EPERM)


async def test_only_four_families_of_sockets_exist(attack: Attack) -> None:
    """AF_VSOCK and AF_ALG above all, which network namespaces do not bind."""
    families = range(46)
    found = await errnos(attack, [(NUMBERS["socket"], family, 2, 0) for family in families])
    assert {family for family, errno in zip(families, found, strict=True) if errno != EPERM} == ALLOWED_FAMILIES


async def test_of_netlink_only_routing_exists(attack: Attack) -> None:
    protocols = range(23)
    found = await errnos(attack, [(NUMBERS["socket"], 16, 3, protocol) for protocol in protocols])
    assert [protocol for protocol, errno in zip(protocols, found, strict=True) if errno != EPERM] == [0]


async def test_raw_sockets_are_refused(attack: Attack) -> None:
    assert await errnos(attack, [(NUMBERS["socket"], 2, 3, 1), (NUMBERS["socket"], 10, 3, 58)]) == [EPERM, EPERM]


async def test_no_new_namespace_can_be_had(attack: Attack) -> None:
    spaces = {name: 1 << bit for name, bit in (("ns", 17), ("cgroup", 25), ("uts", 26), ("ipc", 27), ("user", 28),
                                               ("pid", 29), ("net", 30))}  # fmt: skip
    calls = [(NUMBERS["clone"], flag, 0, 0, 0, 0) for flag in spaces.values()]
    assert await errnos(attack, [*calls, (NUMBERS["clone3"], 0, 0)]) == [EPERM] * len(spaces) + [ENOSYS]


@pytest.mark.skipif("mknod" not in NUMBERS, reason="this architecture has only mknodat")
async def test_no_device_can_be_made_and_no_whiteout(attack: Attack) -> None:
    """Character device 0:0 is how an overlay says "deleted"; the kernel asks for no right to make one."""
    script = r"""
    for my $node ([020000, 0], [020000, 259], [060000, 2048]) {
      my ($mode, $device) = @$node; my $path = "/workspace/n";
      $r = syscall(%d, $path, $mode | 0666, $device); print $r == -1 ? $!+0 : 0, "\n" }
    my $fifo = "/workspace/f"; $r = syscall(%d, $fifo, 010666, 0); print $r == -1 ? $!+0 : 0, "\n";
    """
    result = await attack(("perl", "-e", script % (NUMBERS["mknod"], NUMBERS["mknod"])))
    assert parse(result.stdout.text()) == [EPERM, EPERM, EPERM, 0]


async def test_a_regular_file_can_be_made_by_mknod(attack: Attack) -> None:
    """With the type left out as well: that is what Python's `os.mknod` asks for."""
    call = "syscall(%d, $path, $mode, 0)" if "mknod" in NUMBERS else "syscall(%d, -100, $path, $mode, 0)"
    number = NUMBERS.get("mknod", NUMBERS.get("mknodat", 0))
    script = f"for my $mode (0600, 0100600) {{ my $path = '/workspace/n' . $mode; print {call % number}, qq(\n) }}"
    result = await attack(("perl", "-e", script))
    assert parse(result.stdout.text()) == [0, 0]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 exists on x86-64 only")
async def test_the_x32_entry_kills(attack: Attack) -> None:
    result = await attack(("perl", "-e", "syscall(0x40000000 + 39); print 'alive'"))
    assert b"alive" not in result.stdout.text()
    assert result.exit_code == 128 + 31


async def test_the_user_has_no_capability_and_can_gain_none(attack: Attack) -> None:
    result = await attack("cat /proc/self/status; id -u; id -g")
    status = dict(line.split(":\t", 1) for line in result.stdout.text().decode().splitlines() if ":\t" in line)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert status["Uid"].split() == [str(SANDBOX_UID)] * 4
    assert status["Gid"].split() == [str(SANDBOX_UID)] * 4


async def test_setuid_programs_give_nothing(attack: Attack) -> None:
    result = await attack("cp /usr/bin/id /workspace/id; chmod 6755 id; ./id -u; su -c id")
    assert result.stdout.text().split()[0] == b"%d" % SANDBOX_UID
    assert b"uid=0" not in result.stdout.text()


async def test_the_root_file_system_cannot_be_written(attack: Attack) -> None:
    files = "/x /etc/x /usr/bin/x /etc/hosts /etc/resolv.conf /run/x /dev/x"
    result = await attack(f"for f in {files}; do ( echo x >>$f ) 2>/dev/null && echo $f; done; exit 0")
    assert result.stdout.text() == b""


async def test_the_kernels_switches_cannot_be_written(attack: Attack) -> None:
    switches = (
        "/proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /sys/kernel/uevent_helper "
        "$(ls -d /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null)"
    )
    result = await attack(f"for f in {switches}; do ( echo 1 >$f ) 2>/dev/null && echo $f; done; exit 0")
    assert result.stdout.text() == b""


async def test_what_tells_of_the_host_is_masked(attack: Attack) -> None:
    command = "for p in %s; do cat $p 2>/dev/null; ls $p 2>/dev/null | grep -v ^$p; done; exit 0"
    result = await attack(command % " ".join(MASKED_PATHS))
    assert result.stdout.text() == b""


async def test_only_the_containers_own_processes_are_seen(attack: Attack) -> None:
    result = await attack("ls -d /proc/[0-9]* | wc -l")
    assert int(result.stdout.text()) < 8


async def test_nothing_of_the_controller_or_the_host_is_in_the_environment(attack: Attack) -> None:
    result = await attack("tr '\\0' '\\n' </proc/self/environ", env={"MINE": "1"})
    names = {line.split("=")[0] for line in result.stdout.text().decode().splitlines()}
    assert names == {"HOME", "HOSTNAME", "LANG", "LOGNAME", "MINE", "PATH", "PWD", "USER"}


async def test_no_socket_or_directory_of_the_host_is_mounted(attack: Attack, world: DockerWorld) -> None:
    result = await attack("cat /proc/self/mountinfo; find / -xdev -type s 2>/dev/null; ls /run /home; exit 0")
    text = result.stdout.text().decode()
    assert "docker.sock" not in text
    kinds = (" - ext4 ", " - xfs ", " - btrfs ", " - overlay ")
    binds = [line.split(" ")[4] for line in text.splitlines() if any(kind in line for kind in kinds)]
    assert set(binds) <= {"/", "/workspace", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}


async def test_only_loopback_exists_and_it_is_the_steps_own(attack: Attack) -> None:
    result = await attack("cat /proc/net/dev; cat /proc/net/route; cat /proc/net/unix | wc -l")
    interfaces = [line.split(":")[0].strip() for line in result.stdout.text().decode().splitlines() if ":" in line]
    assert interfaces == ["lo"]


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[Any]]]:
    """A service of the host on every address, and one on an abstract unix socket; both count their callers."""
    hits: list[Any] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(writer.get_extra_info("sockname"))
        writer.close()

    server = await asyncio.start_server(greet, "0.0.0.0", 0)
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    abstract.bind("\0sandstone-hostile-test")
    unix = await asyncio.start_unix_server(greet, sock=abstract)
    async with server, unix:
        yield server.sockets[0].getsockname()[1], hits


CONNECT = r"""
use Socket; my ($port) = @ARGV;
for my $host ("127.0.0.1", "172.17.0.1", "169.254.169.254", "10.0.0.1", "8.8.8.8") {
  socket(S, PF_INET, SOCK_STREAM, 0) or next; alarm 3;
  print "$host\n" if connect(S, sockaddr_in($port, inet_aton($host))) }
socket(U, PF_UNIX, SOCK_STREAM, 0); print "abstract\n" if connect(U, pack_sockaddr_un("\0sandstone-hostile-test"));
"""


async def test_no_service_of_the_host_can_be_reached(attack: Attack, listener: tuple[int, list[Any]]) -> None:
    port, hits = listener
    result = await attack(("perl", "-e", CONNECT, str(port)))
    assert (result.stdout.text(), hits) == (b"", [])


async def test_the_steps_own_loopback_works(attack: Attack) -> None:
    script = r"""
    use Socket; socket(L, PF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(0, INADDR_LOOPBACK)); listen(L, 1);
    ($port) = sockaddr_in(getsockname(L)); socket(S, PF_INET, SOCK_STREAM, 0);
    print connect(S, sockaddr_in($port, inet_aton("localhost"))) ? "connected" : "no: $!";
    """
    assert (await attack(("perl", "-e", script))).stdout.text() == b"connected"


async def test_the_probes_can_see_what_they_look_for(world: DockerWorld, listener: tuple[int, list[Any]]) -> None:
    """Positive control: in a container with the host's network and without our policy the probes succeed."""
    port, hits = listener
    calls: list[tuple[int, ...]] = [(NUMBERS["socket"], 40, 1, 0), (NUMBERS["memfd_secret"], 0)]
    config = {
        "Image": IMAGE,
        "Cmd": ["perl", "-e", script_for(calls) + CONNECT, str(port)],
        "Labels": {STORE_LABEL: world.store_id},
        "AttachStdout": True,
        "HostConfig": {"NetworkMode": "host", "SecurityOpt": ["seccomp=unconfined"]},
    }
    container = await world.api.create(f"sandstone-{world.store_id}-control", config)
    try:
        await world.api.start(container)
        await until_ended(world, container)
    finally:
        await world.api.remove(container)
    assert "127.0.0.1" in {hit[0] for hit in hits if isinstance(hit, tuple)}
    assert len(hits) >= 2


async def test_one_sandbox_sees_nothing_of_another(world: DockerWorld) -> None:
    first = await world.provider.claim(world.spec, world.store.new_layer())
    second = await world.provider.claim(world.spec, world.store.new_layer())
    ready = asyncio.Event()
    leave = "echo secret >/tmp/s; echo secret >/dev/shm/s; echo secret >/workspace/s; echo on; exec sleep 600"
    running = asyncio.create_task(first.run(ExecRequest(leave), lambda *_: ready.set()))
    await ready.wait()
    look = "cat /tmp/s /dev/shm/s /workspace/s 2>/dev/null; cat /proc/*/cmdline | tr '\\0' ' ' | grep -c 's[l]eep 600'"
    result = await second.run(ExecRequest(look))
    await first.kill()
    await running
    assert result.stdout.text() == b"0\n"
