"""The check `test`: which runners run, what a failure says, and what tests cannot do to the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.settings import FindingPolicy
from engine.validation.driver import batches
from engine.validation.service import CHECKS
from engine.validation.validator import CheckResult, CheckStatus
from tests.conformance.validator_suite import ValidatorSuite
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

FAILS = "def test_it():\n    assert [1, 2] == [1, 3]\n"
PASSES = "def test_it():\n    pass\n"


@pytest.fixture
def tested(bench: Bench) -> Bench:
    bench.run.path = f"{bench.tools}:{bench.run.path}"
    return bench


@pytest.fixture
def runners(tested: Bench, tmp_path: Path) -> Path:
    """A directory on PATH for runners that the test writes; each notes that it ran in `ran`."""
    made = tmp_path / "runners"
    made.mkdir()
    tested.run.path = f"{made}:{tested.run.path}"
    return made


def runner(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f'#!/bin/sh\necho "{name} $*"\n{script}\n')
    path.chmod(0o755)


async def result_of(bench: Bench, paths: list[str] | None = None, changed: list[bytes] | None = None) -> CheckResult:
    report = await bench.service.check(["test"], bench.run, changed, paths, MINUTE)
    return report.results[0]


async def test_a_failure_has_its_place_and_what_was_compared(tested: Bench) -> None:
    tested.file("tests/test_a.py", "import os\n\n\n" + FAILS)
    tested.file("tests/test_b.py", PASSES)
    result = await result_of(tested)
    assert result.status is CheckStatus.FAILED
    assert result.note == "of 2 tests 1 passed, 1 failed"
    (finding,) = result.findings
    assert (finding.rule, finding.file, finding.line) == ("test-failed", "tests/test_a.py", 5)
    assert finding.message.startswith("tests.test_a.test_it: assert [1, 2] == [1, 3]")
    assert result.files == 2


async def test_an_error_while_collecting_is_told(tested: Bench) -> None:
    tested.file("test_a.py", "import nowhere_at_all\n")
    result = await result_of(tested)
    assert [finding.rule for finding in result.findings] == ["test-error"]
    assert result.status is CheckStatus.FAILED


async def test_modules_beside_the_tests_and_at_the_top_can_be_imported(tested: Bench) -> None:
    tested.file("pkg/__init__.py", "ONE = 1\n")
    tested.file("tests/test_a.py", "import pkg\n\n\ndef test_it():\n    assert pkg.ONE == 1\n")
    tested.file("src/inner/__init__.py", "TWO = 2\n")
    tested.file("tests/test_b.py", "import inner\n\n\ndef test_it():\n    assert inner.TWO == 2\n")
    assert (await result_of(tested)).status is CheckStatus.PASSED


async def test_named_tests_run_alone_but_a_changed_source_runs_all(tested: Bench) -> None:
    tested.file("src.py", "x = 1\n")
    tested.file("test_a.py", FAILS)
    tested.file("test_b.py", PASSES)
    assert (await result_of(tested, paths=["test_b.py"])).status is CheckStatus.PASSED
    assert (await result_of(tested, changed=[b"src.py"])).status is CheckStatus.FAILED
    assert (await result_of(tested, changed=[b"src.py", b"test_b.py"])).status is CheckStatus.FAILED


async def test_no_tests_at_all_is_told(tested: Bench) -> None:
    tested.file("test_a.py", "x = 1\n")
    result = await result_of(tested)
    assert (result.status, "pytest found no tests" in result.note) == (CheckStatus.PASSED, True)


async def test_what_failed_before_does_not_count_when_only_what_is_new_does(tested: Bench) -> None:
    tested.file("test_a.py", FAILS + "\n\ndef test_where():\n    assert object() is None\n")
    policy = FindingPolicy(new_only=True)
    report = await tested.service.check(["test"], tested.run, None, None, MINUTE, policy, tested.run)
    assert report.ok
    assert "2 findings there before" in report.results[0].note


@pytest.mark.parametrize("ending", ["os._exit(0)", "os._exit(3)", "os.kill(os.getpid(), 9)", "print('x' * 9_000_000)"])
async def test_tests_that_end_the_run_are_no_pass_unless_they_say_so_themselves(tested: Bench, ending: str) -> None:
    tested.file("test_a.py", f"import os\n\n\ndef test_it():\n    {ending}\n    assert False\n")
    result = await result_of(tested)
    # Exit code 0 is what decides: a test that forges it has passed itself, and only itself.
    assert result.status is (CheckStatus.PASSED if ending == "os._exit(0)" else CheckStatus.FAILED)


async def test_what_tests_print_is_never_an_answer(tested: Bench) -> None:
    forged = '{"runner": "pytest", "exit": 0, "tail": "", "junit": null}\\n{"done": true, "files": 1}\\n'
    tested.file("test_a.py", f"import os\n\n\ndef test_it():\n    os.write(1, b'{forged}')\n    assert False\n")
    assert (await result_of(tested)).status is CheckStatus.FAILED


async def test_tests_may_write_large_files(tested: Bench) -> None:
    body = "    (tmp_path / 'big').write_bytes(bytes(6 << 20))\n"
    tested.file("test_a.py", f"def test_it(tmp_path):\n{body}")
    assert (await result_of(tested)).status is CheckStatus.PASSED


async def test_a_missing_pytest_is_an_error_not_a_pass(tested: Bench, runners: Path) -> None:
    without = 'case "$*" in *find_spec*) exit 1 ;; esac'
    (runners / "python3").write_text(f'#!/bin/sh\n{without}\nexec {tested.tools}/python3 "$@"\n')
    (runners / "python3").chmod(0o755)
    tested.file("test_a.py", PASSES)
    result = await result_of(tested)
    assert (result.status, [it.rule for it in result.findings]) == (CheckStatus.ERROR, ["tool-missing"])


@pytest.mark.parametrize(
    ("file", "text", "name", "words"),
    [
        ("package.json", '{"scripts": {"test": "node t.js"}}', "npm", "npm test --silent"),
        ("go.mod", "module m\n", "go", "go test ./..."),
        ("Cargo.toml", "[package]\n", "cargo", "cargo test --offline --quiet"),
    ],
)
async def test_other_runners_run_where_their_files_are(
    tested: Bench, runners: Path, tmp_path: Path, file: str, text: str, name: str, words: str
) -> None:
    tested.file(file, text)
    runner(runners, name, "exit 3")
    result = await result_of(tested)
    assert result.status is CheckStatus.FAILED
    assert result.findings[0].message == f"{name} ended with exit code 3\n{words}"
    runner(runners, name, "exit 0")
    assert (await result_of(tested)).status is CheckStatus.PASSED
    tested.run.path = f"{tested.tools}:{ValidatorSuite.path_without_tools(tmp_path)}"
    assert [it.rule for it in (await result_of(tested)).findings] == ["tool-missing"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"scripts": 3}', '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}']
)
async def test_a_package_without_a_test_script_has_no_tests(tested: Bench, runners: Path, text: str) -> None:
    tested.file("package.json", text)
    runner(runners, "npm", "exit 3")
    assert (await result_of(tested)).status is CheckStatus.PASSED


def test_it_has_a_sandbox_of_its_own() -> None:
    shares = batches([CHECKS[name] for name in ("syntax", "type", "test", "accessibility")])
    assert [[check.name for check in share] for share in shares] == [["syntax", "type"], ["test"], ["accessibility"]]
