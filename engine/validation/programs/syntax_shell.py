"""Parses shell scripts with the image's own `bash -n`, which reads a script and runs none of it.

ImportError where there is no bash. Scripts for another shell (by their first line) are left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from engine.validation.programs.looking import Report

LIMIT_S = 20
PLACED = re.compile(r"line (\d+): (?:(warning): )?(.*)")
KNOWN = re.compile(rb"#![^\n]*\b(?:ba|da|a)?sh\b")


def check(data: bytes, path: bytes, report: Report) -> None:
    bash = shutil.which("bash")
    if bash is None:
        raise ImportError("bash")
    if data.startswith(b"#!") and not KNOWN.match(data):
        report.note("scripts for shells other than sh and bash are not checked")
        return
    try:
        done = subprocess.run(
            [bash, "-n", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        report.add("syntax-error", f"bash did not come to an end with it in {LIMIT_S} s", path)
        return
    told = _faults(done.stderr.decode("utf-8", "replace"), os.fsdecode(path))
    if done.returncode and not any(severity == "error" for _, _, severity in told):
        told.append((0, f"bash refuses it (exit code {done.returncode})", "error"))
    for line, message, severity in told:
        report.add("syntax-error", message, path, severity, line=line or None)


def _faults(said: str, path: str) -> list[tuple[int, str, str]]:
    """Line, message and severity of what bash said; the second line of a fault only quotes the script."""
    told: list[tuple[int, str, str]] = []
    for line in said.splitlines():
        placed = PLACED.fullmatch(line.removeprefix(f"{path}: ")) if line.startswith(f"{path}: ") else None
        if placed and not placed[3].startswith("`"):
            told.append((int(placed[1]), placed[3], "warning" if placed[2] else "error"))
    return told
