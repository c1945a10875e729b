"""The check `compile`: what is imported and built, and what each failure says."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.validation.validator import CheckResult, CheckStatus
from tests.conformance.validator_suite import ValidatorSuite
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench


@pytest.fixture
def builders(bench: Bench, tmp_path: Path) -> Path:
    """A directory on PATH for builders that the test writes."""
    made = tmp_path / "builders"
    made.mkdir()
    bench.run.path = f"{made}:{bench.run.path}"
    return made


def builder(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


async def result_of(bench: Bench, changed: list[bytes] | None = None) -> CheckResult:
    report = await bench.service.check(["compile"], bench.run, changed, None, MINUTE)
    return report.results[0]


def found(result: CheckResult) -> list[tuple[str, str, int, str]]:
    return [(it.rule, it.file, it.line, it.message) for it in result.findings]


async def test_a_name_that_another_module_does_not_have_is_found_where_it_is_asked_for(bench: Bench) -> None:
    bench.file("src/own/__init__.py")
    bench.file("src/own/a.py", "\nfrom own.b import TWO\n")
    bench.file("src/own/b.py", "ONE = 1\n")
    bench.file("src/own/c.py", "from own import a\n")
    (finding,) = found(await result_of(bench))
    assert finding[:3] == ("import-failed", "src/own/a.py", 2)
    assert finding[3].startswith("ImportError: cannot import name 'TWO' from 'own.b'")


async def test_packages_that_the_image_lacks_are_told_and_not_judged_but_own_ones_are(bench: Bench) -> None:
    bench.file("own/__init__.py")
    bench.file("own/a.py", "import nowhere_at_all.sub\n")
    assert found(await result_of(bench)) == []
    result = await result_of(bench)
    assert result.note == (
        "2 Python modules imported; modules that need packages which the image does not have are not judged: "
        "nowhere_at_all"
    )
    bench.file("own/b.py", "import own.missing\n")
    assert found(await result_of(bench)) == [
        ("import-failed", "own/b.py", 1, "ModuleNotFoundError: No module named 'own.missing'")
    ]


async def test_scripts_tests_and_what_is_in_no_package_is_not_imported(bench: Bench) -> None:
    fails = "raise RuntimeError\n"
    bench.file("own/__init__.py")
    for name in ("script.py", "own/__main__.py", "own/tests/__init__.py", "tests/__init__.py", "loose/a.py"):
        bench.file(name, fails)
    bench.file("own/quits.py", "raise SystemExit(3)\n")
    result = await result_of(bench)
    assert (result.status, result.note) == (CheckStatus.PASSED, "2 Python modules imported")


@pytest.mark.parametrize("ending", ["import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"])
async def test_a_module_that_ends_the_process_is_no_pass(bench: Bench, ending: str) -> None:
    bench.file("own/__init__.py", f"{ending}\n")
    (finding,) = found(await result_of(bench))
    assert finding[0] == "build-failed"
    assert finding[3].startswith("importing own ")


async def test_what_modules_print_or_leave_running_is_no_answer(bench: Bench) -> None:
    forged = '{"done": true, "files": 1}'
    waits = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    bench.file("own/__init__.py", f"print('{forged}')\n{waits}raise ValueError('x' * 5000)\n")
    (finding,) = found(await result_of(bench))
    assert finding[:3] == ("import-failed", "own/__init__.py", 4)


async def test_a_change_of_another_language_builds_no_python(bench: Bench) -> None:
    bench.file("own/__init__.py", "raise ValueError\n")
    bench.file("README.md")
    assert (await result_of(bench, [b"README.md"])).note == "nothing to check: nothing to build"
    bench.file("own/a.py")
    assert found(await result_of(bench, [b"own/a.py"]))


@pytest.mark.parametrize(
    ("files", "name", "said", "expected"),
    [
        (["go.mod", "a.go"], "go", "# m\n./a.go:3:5: undefined: x", ("a.go", 3, "undefined: x")),
        (["A.java"], "javac", "A.java:7: error: ';' expected", ("A.java", 7, "';' expected")),
        (["a.c"], "cc", "a.c:2:9: warning: w\na.c:4:1: fatal error: no x.h", ("a.c", 4, "no x.h")),
        (["Makefile", "a.c"], "make", "a.c:4:1: error: bad", ("a.c", 4, "bad")),
        (["Cargo.toml", "src/a.rs"], "cargo", "error[E0425]: no x\n  --> src/a.rs:2:3", ("src/a.rs", 2, "no x")),
        (["pom.xml", "A.java"], "mvn", "[ERROR] no", ("", 0, "mvn ended with exit code 1\n[ERROR] no")),
    ],
)
async def test_builders_run_where_their_files_are_and_their_faults_have_places(
    bench: Bench, builders: Path, files: list[str], name: str, said: str, expected: tuple[str, int, str]
) -> None:
    for file in files:
        bench.file(file)
    shell = f"cat >&2 <<'END'\n{said}\nEND\n"
    builder(builders, name, f"{shell}exit 1")
    result = await result_of(bench)
    assert result.status is CheckStatus.FAILED
    assert [(it.file, it.line, it.message) for it in result.findings] == [expected]
    builder(builders, name, f"{shell}exit 0")
    assert (await result_of(bench)).status is CheckStatus.PASSED


async def test_a_script_that_builds_is_run_by_npm_and_a_missing_builder_is_an_error(
    bench: Bench, builders: Path, tmp_path: Path
) -> None:
    bench.file("package.json", '{"scripts": {"build": "tsc"}}')
    bench.file("a.ts")
    builder(builders, "npm", '[ "$*" = "run build --silent" ] || exit 9')
    assert (await result_of(bench)).note == "built by npm"
    bench.file("package.json", '{"scripts": {"test": "tsc"}}')
    assert (await result_of(bench)).note == "nothing to check: nothing to build"
    bench.file("pom.xml")
    bench.file("A.java")
    bench.run.path = f"{bench.tools}:{ValidatorSuite.path_without_tools(tmp_path)}"
    result = await result_of(bench)
    assert (result.status, [it.rule for it in result.findings]) == (CheckStatus.ERROR, ["tool-missing"])


async def test_what_is_beyond_the_bounds_is_told(bench: Bench) -> None:
    for number in range(51):
        bench.file(f"p{number:02}/__init__.py")
    for number in range(201):
        bench.file(f"p00/m{number}.py", "raise ValueError\n")
    result = await result_of(bench)
    assert (len(result.findings), result.cut) == (200, True)
    assert "packages beyond the first 50 are not imported" in result.note
