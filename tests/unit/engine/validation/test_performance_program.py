"""The program of the `performance` check, run the way the sandbox runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.validation.archive import pack
from engine.validation.performance import PerformanceCheck

SLOW = "async def f():\n    import time\n    time.sleep(1)\n"
ARRAY = "import numpy as np\ndef f(xs):\n    a = np.array([])\n    for x in xs:\n        a = np.append(a, x)\n"
INFO = "def f(xs):\n    return any([x for x in xs])\n"


def run(root: Path, *listing: str) -> list[dict[str, Any]]:
    archive = root.parent / "programs.zip"
    archive.write_bytes(pack(frozenset(PerformanceCheck.programs)))
    with open(root.parent / "stderr", "w+b") as stderr:
        command = [sys.executable, "-I", str(archive), "performance", "node_modules:.git", *listing]
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=stderr, check=True)
        stderr.seek(0)
        assert stderr.read() == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def workspace(base: Path, files: dict[str, str]) -> Path:
    root = base / "workspace"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_gravest_are_told_first(tmp_path: Path) -> None:
    root = workspace(tmp_path, {"a.py": INFO, "b.py": SLOW, "c.py": ARRAY, "node_modules/d.py": ARRAY, "README": "a"})
    *records, end = run(root)
    assert [(it["file"], it["severity"]) for it in records] == [
        ("c.py", "error"),
        ("b.py", "warning"),
        ("a.py", "info"),
    ]
    assert end == {"done": True, "files": 3, "left_out": 0, "others_left_out": 0, "notes": []}


def test_only_what_is_named_is_looked_at(tmp_path: Path) -> None:
    root = workspace(tmp_path, {"a.py": SLOW, "b.ts": "let a = 1;\n"})
    listing = tmp_path / "listing"
    listing.write_text("./b.ts\n./gone.py\n")
    assert [it.get("files") for it in run(root, str(listing))] == [1]


def test_a_language_whose_parser_is_missing_is_no_pass(tmp_path: Path) -> None:
    root = workspace(tmp_path, {"a.js": "a();\n", "b.js": "b();\n", "c.py": SLOW})
    archive = pack(frozenset(PerformanceCheck.programs))
    (tmp_path / "programs.zip").write_bytes(archive)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.modules['tree_sitter'] = None; "
        "from engine.validation.programs.performance import main; main(['.git'])"
    )
    with open(tmp_path / "stderr", "w+b") as stderr:
        command = [sys.executable, "-I", "-c", code, str(tmp_path / "programs.zip")]
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=stderr, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(it["rule"], it["file"]) for it in records[:-1]] == [
        ("tool-missing", "a.js"),
        ("blocking-in-async", "c.py"),
    ]
