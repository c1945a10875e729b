"""The seccomp profile of every step: an allow-list, stricter than the engine's own and independent of it.

Default: EPERM. Native ABI only (x86-64 and arm64, no 32-bit or x32 entry), so that compatibility calls do not
exist. Against Docker 20.10's profile it also leaves out: io_uring, ptrace, process_vm_*, modify_ldt,
memfd_secret, vmsplice, name_to_handle_at, sync (it stalls the host), every new namespace, and mknod of devices,
a char device 0:0 included, because that *is* an overlayfs whiteout and needs no capability. Sockets: UNIX, INET,
INET6 and NETLINK_ROUTE only; AF_VSOCK above all is not bound by network namespaces. Kept on purpose: splice and
tee (coreutils, Python), seccomp and landlock (a step may confine itself), personality(ADDR_NO_RANDOMIZE).

`python -m sandbox.docker.seccomp` writes `sandbox/seccomp.json`, the same profile as a file to review and to
use with other tools; a test keeps the two equal.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

PROFILE_FILE: Final = Path(__file__).resolve().parent.parent / "seccomp.json"

_ALLOWED: Final = """
accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown clock_getres
clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group
faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue
futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
get_robust_list getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch
inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents io_pgetevents ioprio_get
ioprio_set io_setup io_submit kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack
membarrier memfd_create mincore mkdir mkdirat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify
mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev
pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename
renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
sendfile sendmmsg sendmsg sendto setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid
setresgid setresuid setreuid setrlimit set_robust_list setsid setsockopt set_tid_address setuid setxattr shmat
shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice stat statfs statx symlink
symlinkat sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timerfd_create
timerfd_gettime timerfd_settime timer_getoverrun timer_gettime timer_settime times tkill truncate umask uname
unlink unlinkat utime utimensat utimes vfork wait4 waitid write writev
""".split()  # noqa: SIM905

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE: Final = 0
_NEW_NAMESPACES: Final = 0x7E020000
"""Every CLONE_NEW* bit that clone(2) takes."""

_FILE_TYPE_MASK: Final = 0o170000
_NODE_TYPES: Final = (0, 0o100000, 0o010000, 0o140000)
"""What mknod may make: regular files (also by 0, which stands for them), FIFOs, sockets."""

_PERSONALITIES: Final = (0x0, 0x0008, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
"""What Docker allows, and 0x40000: ADDR_NO_RANDOMIZE, which debuggers and some runtimes set."""

_ENOSYS: Final = 38


def profile() -> dict[str, Any]:
    """The profile as the engine takes it (JSON-shaped)."""
    rules: list[dict[str, Any]] = [_allow(_ALLOWED)]
    for family in (_AF_UNIX, _AF_INET, _AF_INET6):
        rules.append(_allow(["socket"], _equal(0, family)))
    rules.append(_allow(["socket"], _equal(0, _AF_NETLINK), _equal(2, _NETLINK_ROUTE)))
    rules.append(_allow(["clone"], _masked(0, _NEW_NAMESPACES, 0)))
    # clone3 keeps its flags in memory, where a filter cannot look; ENOSYS makes libc fall back to clone.
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS, "args": []})
    for kind in _NODE_TYPES:
        rules.append(_allow(["mknod"], _masked(1, _FILE_TYPE_MASK, kind)))
        rules.append(_allow(["mknodat"], _masked(2, _FILE_TYPE_MASK, kind)))
    for persona in _PERSONALITIES:
        rules.append(_allow(["personality"], _equal(0, persona)))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": name, "subArchitectures": None} for name in ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
        ],
        "syscalls": rules,
    }


@functools.cache
def profile_text() -> str:
    """The profile in one line, as it goes into `SecurityOpt`."""
    return json.dumps(profile(), separators=(",", ":"))


@functools.cache
def profile_digest() -> str:
    """sha256 (hex) of `profile_text()`: names the profile in receipts."""
    return hashlib.sha256(profile_text().encode()).hexdigest()


def _allow(names: Sequence[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": list(conditions)}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


if __name__ == "__main__":
    PROFILE_FILE.write_text(json.dumps(profile(), indent=1) + "\n", encoding="utf-8")
