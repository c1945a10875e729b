"""Counters of cgroups, over made-up trees of both versions."""

from __future__ import annotations

from pathlib import Path

from sandbox.docker.cgroup import CgroupCounters, CgroupReader

PID = 4242


def host(root: Path, cgroup: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A /proc and cgroup mounts below `root`; returns the /proc."""
    proc = root / "proc"
    (proc / str(PID)).mkdir(parents=True)
    (proc / str(PID) / "cgroup").write_text(cgroup)
    (proc / "self").mkdir()
    (proc / "self" / "mountinfo").write_text("".join(line.format(root=root) + "\n" for line in mounts))
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return proc


def counters(proc: Path) -> CgroupCounters:
    reader = CgroupReader.open(PID, proc)
    try:
        return reader.read()
    finally:
        reader.close()


V2_MOUNT = "31 23 0:28 / {root}/sys rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V2_FILES = {
    "sys/docker/abc/cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n",
    "sys/docker/abc/memory.peak": "1048576\n",
    "sys/docker/abc/memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n",
    "sys/docker/abc/pids.events": "max 5\n",
}


def test_version_2_is_read(tmp_path: Path) -> None:
    proc = host(tmp_path, "0::/docker/abc\n", [V2_MOUNT], V2_FILES)
    assert counters(proc) == CgroupCounters(1500, 1048576, 3, 5)


def test_what_an_older_kernel_lacks_is_none_not_zero(tmp_path: Path) -> None:
    files = {name: text for name, text in V2_FILES.items() if "peak" not in name}
    proc = host(tmp_path, "0::/docker/abc\n", [V2_MOUNT], files)
    assert counters(proc) == CgroupCounters(1500, None, 3, 5)


def test_version_1_is_read(tmp_path: Path) -> None:
    mounts = [
        "33 31 0:30 / {root}/sys/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
        "34 31 0:31 / {root}/sys/memory rw - cgroup cgroup rw,memory",
        "35 31 0:32 / {root}/sys/pids rw - cgroup cgroup rw,pids",
        "36 31 0:33 / {root}/sys/systemd rw - cgroup cgroup rw,xattr,name=systemd",
    ]
    cgroup = "9:name=systemd:/docker/abc\n8:pids:/docker/abc\n4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n"
    files = {
        "sys/cpu,cpuacct/docker/abc/cpuacct.usage": "2500000\n",
        "sys/memory/docker/abc/memory.max_usage_in_bytes": "4096\n",
        "sys/memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        "sys/pids/docker/abc/pids.events": "max 0\n",
    }
    assert counters(host(tmp_path, cgroup, mounts, files)) == CgroupCounters(2500, 4096, 1, 0)


def test_a_mount_of_part_of_the_hierarchy_is_walked_from_its_root(tmp_path: Path) -> None:
    mount = "31 23 0:28 /docker {root}/sys rw - cgroup2 cgroup2 rw"
    proc = host(tmp_path, "0::/docker/abc\n", [mount], {"sys/abc/pids.events": "max 2\n"})
    assert counters(proc).pids_limit_hits == 2


def test_a_mount_of_another_part_is_not_used(tmp_path: Path) -> None:
    mount = "31 23 0:28 /other {root}/sys rw - cgroup2 cgroup2 rw"
    proc = host(tmp_path, "0::/docker/abc\n", [mount], {"sys/abc/pids.events": "max 2\n"})
    assert counters(proc) == CgroupCounters()


def test_nonsense_is_none(tmp_path: Path) -> None:
    files = {"sys/docker/abc/memory.peak": "max\n", "sys/docker/abc/pids.events": "\n"}
    proc = host(tmp_path, "0::/docker/abc\n", [V2_MOUNT], files)
    assert counters(proc) == CgroupCounters()


def test_counters_are_read_anew_each_time(tmp_path: Path) -> None:
    proc = host(tmp_path, "0::/docker/abc\n", [V2_MOUNT], V2_FILES)
    reader = CgroupReader.open(PID, proc)
    (tmp_path / "sys/docker/abc/pids.events").write_text("max 6\n")
    assert reader.read().pids_limit_hits == 6
    reader.close()
    reader.close()
    assert reader.read() == CgroupCounters()
