"""The only printer, and that it is the only one."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import engine.cli
from engine.cli.output import Output, Terminal, terminal_of, wants_color

ROOT = Path(engine.cli.__file__).parents[2]
PRINTER = Path(engine.cli.__file__).parent / "output.py"


def printing(tree: ast.AST) -> list[int]:
    """Lines that could print: the names print, stdout, stderr and write to descriptors 1 and 2."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("print", "pprint", "breakpoint"):
            found.append(node.lineno)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "sys" and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__"):
                found.append(node.lineno)
            if (node.value.id, node.attr) in (("rich", "print"), ("os", "writev"), ("traceback", "print_exc")):
                found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            found.append(node.lineno)
    return found


def test_nothing_but_the_output_module_prints() -> None:
    guilty = {
        str(path.relative_to(ROOT)): lines
        for package in ("engine", "sandbox")
        for path in (ROOT / package).rglob("*.py")
        if path != PRINTER
        # Programs that run by themselves, in a container (`programs`) or a child process, talk over their streams.
        and "if __name__ ==" not in (text := path.read_text())
        and not {"_gen", "programs"} & set(path.parts)
        and (lines := printing(ast.parse(text)))
    }
    assert guilty == {}


def test_the_rule_finds_what_it_looks_for() -> None:
    assert printing(ast.parse("import sys\nprint(1)\nsys.stdout.write('x')\nfrom sys import stderr")) != []
    assert printing(ast.parse(PRINTER.read_text())) != []


@pytest.mark.parametrize(
    ("choice", "environment", "is_terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_when_there_is_colour(choice: str, environment: dict[str, str], is_terminal: bool, expected: bool) -> None:
    assert wants_color(choice, environment, is_terminal) is expected


def test_a_stream_that_is_no_terminal_has_no_colour_and_a_fixed_width() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert terminal_of(stream, "auto", {}) == Terminal(False, False, False, 100)


def test_colour_can_be_had_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("always", {})
    output.result(output.styled("good", "good"))
    output.error("bad")
    shown = capsys.readouterr()
    assert shown.out == "\x1b[32mgood\x1b[0m\n"
    assert shown.err == "\x1b[31merror:\x1b[0m bad\n"


def test_details_are_for_the_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    Output(environment={}).detail("x")
    Output(environment={}, verbose=True).detail("y")
    assert capsys.readouterr().err == "y\n"


def run(code: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_a_reader_who_leaves_ends_the_command_quietly() -> None:
    child = run("import sys; from engine.cli import main; sys.exit(main(['schema']))", bufsize=0)
    assert child.stdout is not None
    child.stdout.close()
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (0, b"")


def test_a_closed_standard_error_does_not_stop_a_command() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(
        [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main(['sttaus']))"],
        cwd=ROOT,
        stderr=writer,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert child.returncode == 2


def test_what_the_encoding_lacks_is_escaped() -> None:
    code = "from engine.cli.output import Output; Output().result('a\\u2714\\U0001f600')"
    child = run(code, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert child.communicate(timeout=60)[0] == b"a\\u2714\\U0001f600\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_the_caller_closed_is_no_error(closed: str) -> None:
    program = Path(sys.executable).with_name("sandstone")
    done = subprocess.run(["/bin/sh", "-c", f'"{program}" version {closed}'], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


def test_a_result_that_could_not_be_written_is_no_success() -> None:
    program = Path(sys.executable).with_name("sandstone")
    done = subprocess.run(["/bin/sh", "-c", f'"{program}" version >/dev/full'], capture_output=True, check=False)
    assert done.returncode == 3
    assert b"No space left" in done.stderr
