"""The layout keeps its promises: who imports whom, how large things are, what is documented, where links lead."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60


def sources() -> list[Path]:
    found = [path for package in ("engine", "sandbox") for path in (ROOT / package).rglob("*.py")]
    return [path for path in found if "_gen" not in path.parts]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Length without the docstring."""
    docstring = ast.get_docstring(function, clean=False)
    own = (function.end_lineno or 0) - function.lineno + 1
    return own - (len(docstring.splitlines()) if docstring else 0)


def test_imports_keep_the_layers() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_its_job_and_stays_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    tree = ast.parse(text)
    if tree.body:
        assert ast.get_docstring(tree), "no module docstring"
    long = [f"{f.name} ({body_lines(f)})" for f in functions(tree) if body_lines(f) > MAX_FUNCTION_LINES]
    assert not long


def test_no_broad_handler_is_silent() -> None:
    silent = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"BaseException"}
            only_passes = all(isinstance(statement, ast.Pass) for statement in node.body)
            if names & {"Exception", "BaseException"} and only_passes:
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not silent


def test_every_interface_and_error_is_documented() -> None:
    bare = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            wanted = "Protocol" in bases or any(base.endswith("Error") for base in bases)
            if wanted and ast.get_docstring(node) is None:
                bare.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not bare


def test_only_output_prints() -> None:
    printers = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                printers.add(str(path.relative_to(ROOT)))
    # Programs that run inside a container have standard output as their only way to answer.
    assert printers <= {"engine/cli/output.py", "engine/validation/programs/looking.py"}


def test_the_command_line_starts_without_heavy_imports() -> None:
    heavy = ("litellm", "docker", "grpc", "pydantic", "rich", "asyncio", "logging", "difflib")
    code = f"import engine.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["engine.app", "engine.cli.run", "sandbox.docker.helper_mounter"])
def test_what_few_commands_use_is_not_loaded_by_all(module: str) -> None:
    heavy = ("litellm", "docker", "grpc", "tenacity", "pathspec", "yaml", "engine.checkpoints.apply", "engine.rpc")
    code = f"import {module}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def documents() -> list[Path]:
    return [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("sandbox/README.md"),
        *ROOT.glob("engine/README.md"),
    ]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    broken = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not broken


def test_the_top_level_is_what_it_is_said_to_be() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not tracked:
        pytest.skip("not a git checkout")
    tops = {line.split("/")[0] for line in tracked.splitlines()}
    assert tops <= {
        ".ci", ".gitignore", "Dockerfile", "Makefile", "README.md", "benchmarks", "docs", "engine", "examples",
        "proto", "pyproject.toml", "sandbox", "tests",
    }  # fmt: skip
