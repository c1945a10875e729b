"""Builds what the project's files say can be built, and imports its Python modules; prints how each ended.

    python3 -I PROGRAMS building SKIPPED [LISTING]

Python: every module of the packages at the top and in `src` is imported, in the order of their names, in one process a
package; of named files only the packages that hold them. Others by what stands at the workspace's top: `go build`,
`cargo check`, `mvn test-compile`, `npm run build`, `make`; without a build file, `javac` over all Java and `cc
-fsyntax-only` over each C file. They are built whole when one of their files is named, or none.

One JSON object a line: `{"builder", "exit", "tail"}` each, `exit` null when the builder is missing, `imports` from
Python; the last line is as in `looking.py`. Builders write to files, so nothing they print is taken for an answer.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence

from engine.validation.programs.looking import Report, arguments_of, done, emit, selected
from engine.validation.programs.running import end_of, run, script_of_package, temporary

MAX_SAID_BYTES = 1 << 20
MAX_PACKAGES = 50
MAX_MODULES = 2000
MAX_FAILED = 200
"""Modules of one package whose failure is told."""

SCRIPTS = {".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".json"}
NO_PACKAGES = ("test", "tests", "testing", "docs", "doc", "examples", "benchmarks", "scripts", "setup")

IMPORTER = r"""
import importlib, json, os, sys, traceback
top, modules, out, most = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
sys.path.insert(0, top)
root = os.getcwd() + os.sep
said = os.fdopen(os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "w")
count = failed = 0
for name in open(modules, encoding="utf-8").read().split():
    count += 1
    record = {"module": name, "kind": "", "text": "", "file": "", "line": 0, "missing": ""}
    try:
        importlib.import_module(name)
    except SystemExit:
        record["kind"] = "SystemExit"
    except BaseException as error:
        record["kind"] = type(error).__name__
        record["text"] = str(error)[:500]
        if isinstance(error, ModuleNotFoundError):
            record["missing"] = str(error.name or "")
        places = [(at.f_code.co_filename, line) for at, line in traceback.walk_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            places.append((error.filename, error.lineno or 0))
        inside = [(os.path.abspath(file), line) for file, line in places if os.path.abspath(file).startswith(root)]
        if inside:
            record["file"], record["line"] = inside[-1][0][len(root):], inside[-1][1]
    if record["kind"]:
        failed += 1
        if failed <= most:
            said.write(json.dumps(record) + "\n")
            said.flush()
said.write(json.dumps({"whole": True, "count": count, "failed": failed}) + "\n")
said.flush()
os._exit(0)
"""
"""Run by the Python that the project's own code runs with. Ends at once: threads that a module left do not hold it."""


def main(arguments: list[str]) -> None:
    skipped, listing = arguments_of(arguments)
    report = Report()
    files = [os.fsdecode(path)[2:] for path in selected(None, skipped, report)]
    concerned = files if listing is None else [os.fsdecode(path)[2:] for path in selected(listing, skipped, report)]
    built = _import_python(files, None if listing is None else set(concerned), report)
    for builder, commands in _builders(files, concerned):
        built += 1
        for command in commands:
            if not _build(builder, command):
                break
    done(report, built, [])


def _import_python(files: Sequence[str], concerned: set[str] | None, report: Report) -> int:
    """Import what is in packages that hold one of the files `concerned`, None for all; how many there are."""
    packages: dict[tuple[str, str], list[str]] = {}
    touched = set()
    there = set(files)
    for name in sorted(files):
        parts = name.split("/")
        top = "src" if parts[0] == "src" and "src/__init__.py" not in there else "."
        inner = parts[1:] if top == "src" else parts
        if len(inner) < 2 or not name.endswith(".py") or inner[0] in NO_PACKAGES:
            continue
        directories = ["/".join(parts[: len(parts) - len(inner) + count]) for count in range(1, len(inner))]
        if not all(f"{directory}/__init__.py" in there for directory in directories):
            continue
        if concerned is None or name in concerned:
            touched.add((top, inner[0]))
        words = [*inner[:-1], inner[-1][: -len(".py")]]
        if words[-1] in ("__main__", "conftest", "setup") or set(words) & set(NO_PACKAGES):
            continue
        if words[-1] == "__init__":
            words.pop()
        if all(word.isidentifier() for word in words):
            packages.setdefault((top, inner[0]), []).append(".".join(words))
    imported = sorted(key for key in packages if key in touched)
    if len(imported) > MAX_PACKAGES:
        report.notes[f"packages beyond the first {MAX_PACKAGES} are not imported"] = len(imported) - MAX_PACKAGES
    for top, package in imported[:MAX_PACKAGES]:
        modules = packages[top, package]
        if len(modules) > MAX_MODULES:
            more = len(modules) - MAX_MODULES
            report.notes[f"modules of {package} beyond the first {MAX_MODULES} are not imported"] = more
        _import(top, package, modules[:MAX_MODULES])
    return min(len(imported), MAX_PACKAGES)


def _import(top: str, package: str, modules: Sequence[str]) -> None:
    python = shutil.which("python3") or sys.executable
    with tempfile.TemporaryDirectory() as directory:
        listing, out = os.path.join(directory, "modules"), os.path.join(directory, "said")
        with open(listing, "w", encoding="utf-8") as stream:
            stream.write("\n".join(modules))
        code, tail = run([python, "-c", IMPORTER, os.path.abspath(top), listing, out, str(MAX_FAILED)])
        said = end_of(out, MAX_SAID_BYTES).splitlines()
    try:
        records = [json.loads(line) for line in said]
    except ValueError:
        records = []  # a module wrote there, too: nothing of it is known
    end = records.pop() if records and "whole" in records[-1] else {"whole": False, "count": 0, "failed": 0}
    emit({"builder": "python", "exit": code, "tail": tail, "package": package, "imports": records, **end})


def _builders(files: Sequence[str], concerned: Iterable[str]) -> list[tuple[str, list[list[str]]]]:
    """What to run for each language that is concerned and there."""
    endings = {os.path.splitext(name)[1] for name in concerned}
    names = {os.path.basename(name) for name in concerned}
    top = {name for name in files if "/" not in name}
    found: list[tuple[str, list[list[str]]]] = []
    if "go.mod" in top and (".go" in endings or "go.mod" in names):
        found.append(("go", [["go", "build", "-o", "/dev/null", "./..."]]))
    if "Cargo.toml" in top and (".rs" in endings or "Cargo.toml" in names):
        found.append(("cargo", [["cargo", "check", "--offline", "--quiet", "--all-targets"]]))
    java = [name for name in files if name.endswith(".java")]
    if java and ".java" in endings:
        if "pom.xml" in top:
            found.append(("mvn", [["mvn", "--offline", "--quiet", "--batch-mode", "test-compile"]]))
        else:
            found.append(("javac", [["javac", "-proc:none", "-d", temporary("classes"), *java]]))
    if "package.json" in top and endings & SCRIPTS and script_of_package("build"):
        found.append(("npm", [["npm", "run", "build", "--silent"]]))
    c = [name for name in files if name.endswith(".c")]
    if c and endings & {".c", ".h"}:
        if {"Makefile", "makefile", "GNUmakefile"} & top:
            found.append(("make", [["make", "--silent"]]))
        else:
            found.append(("cc", [["cc", "-fsyntax-only", "-I.", "-Iinclude", name] for name in c]))
    return found


def _build(builder: str, command: list[str]) -> bool:
    """Run it and say how it ended; False when it is missing."""
    program = shutil.which(command[0])
    if program is None:
        emit({"builder": builder, "exit": None, "tail": ""})
        return False
    code, tail = run([program, *command[1:]])
    emit({"builder": builder, "exit": code, "tail": tail})
    return True
