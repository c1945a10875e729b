"""Whether checks say of real projects what their tools say by hand: `python -m benchmarks.real_projects DIRECTORY`.

DIRECTORY holds what the registries have: flask-3.1.2.tar.gz and bottle-0.13.4.tar.gz (`pip download --no-deps
--no-binary :all:`) and zod-4.1.12.tgz (`npm pack`). Each is checked whole by `sandstone validate`, and by ruff, mypy,
oxlint and tsc as one would call them in the same image, without the network. Of zod only the sources are looked at,
not what was built from them; as it has no `tsconfig.json`, tsc gets all files with the settings that the check has.
Compared are rule, file and line of every finding; what differs is printed, and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.common import IMAGE, scratch
from engine.validation.programs.type_typescript import LOOSE

_SANDSTONE: Final = Path(sys.executable).with_name("sandstone")
_PROJECTS: Final = ("flask-3.1.2.tar.gz", "bottle-0.13.4.tar.gz", "zod-4.1.12.tgz")
_TSC: Final = re.compile(r"^(?P<file>.+?)\((?P<line>\d+),\d+\): error (?P<code>TS\d+): ")

Found = Counter[tuple[str, str, int]]
"""How often a rule was found in a file at a line."""


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    differing = 0
    print("| project | check | by hand | `sandstone validate` | only by hand | only by sandstone | status |")
    print("|---|---|---:|---:|---:|---:|---|")
    for name in _PROJECTS:
        with scratch() as place:
            project = _unpacked(Path(sys.argv[1]) / name, place)
            said = _validated(project, place / "home")
            for check, (status, found) in said.items():
                hand = _BY_HAND[check](project)
                only_hand, only_ours = hand - found, found - hand
                cells = (hand.total(), found.total(), only_hand.total(), only_ours.total())
                print(f"| {name} | {check} | {' | '.join(map(str, cells))} | {status} |", flush=True)
                for title, rest in (("only by hand", only_hand), ("only by sandstone", only_ours)):
                    for key, count in list(rest.items())[:10]:
                        print(f"  {title}: {count} x {key}", file=sys.stderr)
                differing += only_hand.total() + only_ours.total()
    return int(differing > 0)


def _unpacked(archive: Path, place: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(place / "unpacked", filter="data")
    (top,) = (place / "unpacked").iterdir()
    return top / "src" if (top / "package.json").exists() else top


def _validated(project: Path, home: Path) -> dict[str, tuple[str, Found]]:
    """By check: its status and findings."""
    words = ["validate", "--all", "--checks", "lint,type", "--format", "json", "--quiet"]
    environment = os.environ | {"SANDSTONE_HOME": str(home)}
    done = subprocess.run(
        [_SANDSTONE, *words], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{project.name}: exit code {done.returncode}: {done.stderr[-500:]}")
    report = json.loads(done.stdout)
    return {
        result["check"]: (
            result["status"],
            Counter(
                (finding["rule"].rpartition("/")[2], finding["file"], finding["line"])
                for finding in report["findings"]
                if finding["check"] == result["check"] and finding["severity"] != "info"
            ),
        )
        for result in report["checks"]
    }


def _in_image(project: Path, command: str) -> str:
    """What a shell prints in the image, over the project, which it cannot change."""
    words = ["docker", "run", "--rm", "--network", "none", "-e", "HOME=/tmp", "-w", "/workspace"]
    done = subprocess.run(
        [*words, "-v", f"{project}:/workspace:ro", IMAGE, "/bin/sh", "-c", f"PATH=$PATH:/opt/tools/bin; {command}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _lint(project: Path) -> Found:
    said = _in_image(project, "ruff check --no-cache --no-fix --output-format json .")
    found: Found = Counter(
        (it["code"] or it.get("name") or "", it["filename"].removeprefix("/workspace/"), it["location"]["row"])
        for it in json.loads(said or "[]")
    )
    said = _in_image(project, "oxlint --format json .")
    for it in json.loads(said)["diagnostics"] if said.startswith("{") else []:
        rule = re.sub(r"^.*\((.*)\)$", r"\1", str(it.get("code", "")))
        found[(rule, str(it["filename"]).removeprefix("./"), int(it["labels"][0]["span"]["line"]))] += 1
    return found


def _type(project: Path) -> Found:
    settings = project / "pyproject.toml"
    configured = settings.exists() and "[tool.mypy]" in settings.read_text()
    found: Found = Counter()
    if list(project.rglob("*.py")):
        said = _in_image(project, f"mypy --cache-dir=/dev/null --output=json {'' if configured else '.'}")
        for line in said.splitlines():
            it = json.loads(line) if line.startswith("{") else {"severity": "note"}
            if it["severity"] == "error":
                found[(str(it["code"] or "mypy"), str(it["file"]), int(it["line"]))] += 1
    scripts = [str(path.relative_to(project)) for path in sorted(project.rglob("*.ts")) if path.is_file()]
    if scripts:
        for line in _in_image(
            project, shlex.join(["tsc", "--noEmit", "--pretty", "false", *LOOSE, *scripts])
        ).splitlines():
            if match := _TSC.match(line):
                found[(match["code"], match["file"], int(match["line"]))] += 1
    return found


_BY_HAND: Final[dict[str, Callable[[Path], Found]]] = {"lint": _lint, "type": _type}


if __name__ == "__main__":
    sys.exit(main())
