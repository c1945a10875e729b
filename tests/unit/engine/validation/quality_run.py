"""Runs the program of the `quality` check over a tree the way the sandbox does, and within this process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from engine.validation.archive import pack
from engine.validation.programs.looking import Report
from engine.validation.programs.quality import Quality
from engine.validation.quality import QualityCheck

Record = dict[str, Any]


def run(root: Path, listing: Path | None = None) -> list[Record]:
    """What the program prints about the tree at `root`; the last record is the one that says that it is done."""
    archive = root.parent / "quality.zip"
    archive.write_bytes(pack(frozenset(QualityCheck.programs)))
    arguments = ["node_modules:.git", *([str(listing)] if listing else [])]
    with open(root.parent / "stderr", "w+b") as stderr:
        done = subprocess.run(
            [sys.executable, "-I", str(archive), "quality", *arguments],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=False,
        )
        stderr.seek(0)
        assert (done.returncode, stderr.read()) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def findings(files: Mapping[str, bytes | str]) -> tuple[list[Record], Report, Quality]:
    """What is found in these files, and who found it. Configuration is that of the working directory."""
    report = Report()
    quality = Quality(report)
    for name, text in files.items():
        quality.take(text.encode() if isinstance(text, str) else text, f"./{name}".encode())
    out = StringIO()
    with redirect_stdout(out):
        quality.print()
    return [json.loads(line) for line in out.getvalue().splitlines()], report, quality


def rules(files: Mapping[str, bytes | str]) -> list[tuple[str, str, int]]:
    """Rule, severity and line of each finding, but for those that are only worth knowing."""
    return [(it["rule"], it["severity"], it["line"]) for it in findings(files)[0] if it["severity"] != "info"]
