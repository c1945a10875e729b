"""The programs of the `security` check for JavaScript, templates and secrets, run the way the sandbox runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.validation.archive import pack

NEEDED = {
    "security_javascript": (
        "javascript_calls",
        "javascript_expressions",
        "javascript_guards",
        "javascript_patterns",
        "javascript_rules",
        "javascript_sinks",
        "javascript_statements",
        "javascript_taint",
        "javascript_tree",
        "javascript_values",
    ),
    "security_templates": ("template_markup",),
    "secrets": ("secret_patterns",),
}
"""The modules that each program needs beside itself and `looking`."""

SAMPLES = {
    "security_javascript": ("src/a.ts", "eval(location.hash);\n", "code-injection"),
    "security_templates": ("templates/a.html", "{{ x|safe }}\n", "xss"),
    "secrets": ("a.py", "password = 'Tr0ub" + "4dor9x'\n", "hardcoded-secret"),
}


def run(program: str, root: Path, listing: Path | None = None) -> list[dict[str, Any]]:
    archive = root.parent / f"{program}.zip"
    archive.write_bytes(pack(frozenset({"looking", program, *NEEDED[program]})))
    arguments = ["node_modules:.git", *([str(listing)] if listing else [])]
    with open(root.parent / "stderr", "w+b") as stderr:
        done = subprocess.run(
            [sys.executable, "-I", str(archive), program, *arguments],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=True,
        )
        stderr.seek(0)
        assert stderr.read() == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("program", sorted(NEEDED))
def test_it_runs_alone_over_a_tree(program: str, tmp_path: Path) -> None:
    name, text, rule = SAMPLES[program]
    root = tmp_path / "workspace"
    for place in (root / name, root / "node_modules" / name):
        place.parent.mkdir(parents=True)
        place.write_text(text)
    (root / "link").symlink_to("node_modules")
    *records, end = run(program, root)
    assert [(it["file"], it["rule"], it["line"]) for it in records] == [(name, rule, 1)]
    assert end == {"done": True, "files": 1, "left_out": 0, "others_left_out": 0, "notes": []}


@pytest.mark.parametrize("program", sorted(NEEDED))
def test_only_what_is_named_is_looked_at(program: str, tmp_path: Path) -> None:
    name, text, _ = SAMPLES[program]
    root = tmp_path / "workspace"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text(text)
    listing = tmp_path / "listing"
    listing.write_text("./gone\n")
    assert run(program, root, listing) == [{"done": True, "files": 0, "left_out": 0, "others_left_out": 0, "notes": []}]
