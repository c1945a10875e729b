"""Runs benchmarks, each in a process of its own, and writes docs/benchmarks.{json,md,svg}.

With names, only those are run; the figures of the others stay as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Final

from benchmarks.common import ROOT, Figures, call, log
from benchmarks.report import read_figures, write_report

NAMES: Final = (
    "step_overhead",
    "checkpoint_rollback",
    "throughput",
    "long_plan",
    "startup",
    "history",
    "service",
    "validation",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller; printed, not written")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--report", action="store_true", help="only write the tables and the plot again")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    if options.one:
        module = importlib.import_module(f"benchmarks.{options.one}")
        print(json.dumps(asyncio.run(module.measure(options.quick))))
        return 0
    if options.report:
        write_report(read_figures())
        return 0
    failed = 0
    for name in options.names or NAMES:
        failed |= not _run(name, options.quick)
    return int(failed)


def _run(name: str, quick: bool) -> bool:
    """Run one benchmark; True when it has figures."""
    log(f"{name} ...")
    load, started = os.getloadavg()[0], time.monotonic()
    command = [sys.executable, "-m", "benchmarks", "--one", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        log(f"{name}: failed")
        return False
    measured: Figures = json.loads(done.stdout)
    about = _about() | {"load_before": round(load, 2), "load_after": round(os.getloadavg()[0], 2)}
    about["took_s"] = round(time.monotonic() - started, 1)
    if quick:
        measured.pop("series", None)
        print(json.dumps({name: {"about": about, "figures": measured}}, indent=1))
        return True
    # Read again: another run may have written others' figures meanwhile.
    write_report(read_figures() | {name: {"about": about, "figures": measured}})
    return True


def _about() -> Figures:
    """Where and when the figures were measured."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    commit = call("git", "rev-parse", "--short", "HEAD", cwd=ROOT).strip()
    return {
        "commit": commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "engine": call("docker", "version", "--format", "{{.Server.Version}}").strip(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
    }


if __name__ == "__main__":
    sys.exit(main())
