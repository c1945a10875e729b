"""The seccomp profile as data. What it does is proven in tests/hostile/test_reach.py."""

from __future__ import annotations

import json

from sandbox.docker.seccomp import PROFILE_FILE, profile, profile_digest, profile_text


def allowed() -> set[str]:
    return {name for rule in profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_the_file_for_review_is_the_profile_that_is_used() -> None:
    """Written by `python -m sandbox.docker.seccomp`."""
    assert json.loads(PROFILE_FILE.read_text()) == profile() == json.loads(profile_text())


def test_everything_not_named_is_refused() -> None:
    assert profile()["defaultAction"] == "SCMP_ACT_ERRNO"


def test_no_second_abi_is_let_in() -> None:
    assert [one["subArchitectures"] for one in profile()["archMap"]] == [None, None]


def test_ways_out_are_not_named() -> None:
    ways = """
    io_uring_setup io_uring_enter ptrace process_vm_readv process_vm_writev bpf userfaultfd perf_event_open
    mount fsopen open_tree move_mount unshare setns pivot_root chroot kexec_load init_module add_key keyctl
    open_by_handle_at name_to_handle_at modify_ldt memfd_secret vmsplice pidfd_getfd kcmp sync syslog
    """.split()  # noqa: SIM905
    assert not allowed() & set(ways)


def test_calls_with_dangerous_arguments_are_named_only_with_conditions() -> None:
    careful = {"socket", "clone", "mknod", "mknodat", "personality"}
    for rule in profile()["syscalls"]:
        if careful & set(rule["names"]):
            assert rule["args"], rule["names"]


def test_no_call_is_named_twice() -> None:
    names = profile()["syscalls"][0]["names"]
    assert len(names) == len(set(names))


def test_the_digest_names_the_profile() -> None:
    assert len(profile_digest()) == 64
