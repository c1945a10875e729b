"""Work done as an ordinary user, for tests that root would pass whatever the code does."""

from __future__ import annotations

import ctypes
import os
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534
_SET_DUMPABLE = 4


def as_ordinary_user(root: Path, work: Callable[[], None], owned: bool = True) -> None:
    """Run `work` in a child that is nobody, with `root` as its working directory, its own if `owned`."""
    if os.geteuid() == 0 and owned:
        subprocess.run(["chown", "-Rh", f"{NOBODY}:{NOBODY}", root], check=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(root)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                ctypes.CDLL(None).prctl(_SET_DUMPABLE, 1)  # else /proc/self belongs to root
            work()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
