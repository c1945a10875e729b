"""Workspaces and tools that do their worst: none gets a pass it has not earned, none touches another's result."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from engine.validation.driver import MAX_STDOUT_BYTES
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckStatus
from tests.conformance.validator_suite import SMALL_PROGRAMS, ValidatorSuite
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench

ALL = ("syntax", "lint", "type")
ONE_FINDING = (
    '[{"code":"F401","message":"m","filename":"a.py","location":{"row":1,"column":1},'
    '"end_location":{"row":1,"column":2},"url":null,"fix":null}]'
)
MODULES = ("ruff", "mypy", "json", "tomllib", "re", "os", "stat", "warnings", "io", "site", "sitecustomize", "codecs")
RUFF_THAT = 'case "$*" in *--show-files*) echo a.py; exit 0 ;; esac\n'


def statuses(report: ValidationReport) -> dict[str, CheckStatus]:
    return {result.check: result.status for result in report.results}


def rules(report: ValidationReport, check: str) -> list[str]:
    return [finding.rule for finding in report.findings if finding.check == check]


@pytest.mark.parametrize("way", ["modules", "programs", "path"])
async def test_planted_modules_and_programs_are_not_picked_up(bench: Bench, tmp_path: Path, way: str) -> None:
    marker = tmp_path / "marker"
    if way == "modules":
        for name in MODULES:
            bench.file(f"{name}.py", f"open({str(marker)!r}, 'a').write({name!r})\n")
            bench.file(f"src/{name}/__init__.py", f"open({str(marker)!r}, 'a').write({name!r})\n")
    else:
        for name in ("ruff", "mypy", "python3", "python", *SMALL_PROGRAMS):
            for place in (name, f"bin/{name}", f".venv/bin/{name}"):
                bench.file(place, f"#!/bin/sh\necho {name} >>{marker}\nexit 0\n").chmod(0o755)
    if way == "path":
        link = tmp_path / "link"
        link.symlink_to(bench.root / "bin")
        bench.run.path = f"{bench.root}/bin:{link}:bin::.:{bench.root}:{bench.run.path}"
    bench.file("a.py", "x: int = 1\n")
    report = await bench.service.check(ALL, bench.run, None, None, MINUTE)
    assert not marker.exists()
    assert statuses(report)["syntax"] is CheckStatus.PASSED


async def test_the_environment_of_the_image_does_not_reach_the_tools(bench: Bench, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "ruff").mkdir(parents=True)
    (home / ".config" / "ruff" / "ruff.toml").write_text('lint.ignore = ["ALL"]\n')
    (home / ".mypy.ini").write_text("[mypy]\nignore_errors = true\n")
    bench.run.env = {"HOME": str(home), "PYTHONPATH": str(bench.root), "RUFF_NO_CACHE": "false", "MYPYPATH": "/"}
    bench.file("a.py", "import os\n\nx: int = ''\n")
    bench.file("mypy.py", "raise SystemExit('planted')\n")
    report = await bench.service.check(ALL, bench.run, None, ["a.py"], MINUTE)
    assert (rules(report, "lint"), rules(report, "type")) == (["F401"], ["assignment"])


async def test_a_tool_that_prints_frames_prints_only_text(fake: Bench) -> None:
    fake.tool("ruff", RUFF_THAT + "tr '\\0' '\\n' </proc/$PPID/cmdline | grep -o 'nonce=[0-9a-f]*' | head -1\n")
    fake.tool("mypy", "echo '{}'\n")
    fake.file("a.py", "(")
    report = await fake.service.check(ALL, fake.run, None, None, MINUTE)
    assert statuses(report) == {"syntax": CheckStatus.FAILED, "lint": CheckStatus.ERROR, "type": CheckStatus.ERROR}


FORGER = """
import os, re, signal
pid = os.getpid()
while True:
    stat = open(f"/proc/{pid}/stat").read()
    pid = int(stat.rsplit(")", 1)[1].split()[1])
    line = open(f"/proc/{pid}/cmdline", "rb").read()
    found = re.search(rb"nonce=([0-9a-f]{32})", line)
    if found:
        break
nonce = found[1].decode()
frames = f"{nonce} syntax 0 55 0\\n" + '{"done": true, "files": 1, "left_out": 0, "notes": []}\\n\\n'
frames += f"{nonce} lint 0 2 11\\n[]analysed=1\\n\\n"
frames += nonce + " type 0 16 0\\n" + '{"analysed": 1}\\n\\n' + f"{nonce} end 0 0 0\\n\\n"
"""


@pytest.mark.parametrize(
    "act",
    [
        "os.write(os.open(f'/proc/{pid}/fd/1', os.O_WRONLY), frames.encode())",
        "os.write(os.open(f'/proc/{pid}/fd/1', os.O_WRONLY), frames.split('[]analysed=1\\n\\n')[1].encode())",
        "os.kill(pid, signal.SIGKILL)",
        "os.kill(pid, signal.SIGTERM)",
        "os.write(os.open(f'/proc/{pid}/fd/1', os.O_WRONLY), frames.encode()); os.kill(pid, signal.SIGKILL)",
        "os._exit(0)",
        "raise SystemExit(0)",
    ],
)
async def test_a_mypy_plugin_that_finds_the_nonce_changes_no_other_result_and_gets_no_pass(
    bench: Bench, act: str
) -> None:
    bench.file("plugin.py", FORGER + act + "\n")
    bench.file("mypy.ini", "[mypy]\nplugins = plugin.py\n")
    bench.file("a.py", "import os\nprint(nothing)\n")
    bench.file("b.py", "(")
    report = await bench.service.check(ALL, bench.run, None, None, MINUTE)
    assert "syntax-error" in rules(report, "syntax")
    assert {"F401", "F821"} <= set(rules(report, "lint"))
    assert rules(report, "type") == ["validator-failed"]
    assert statuses(report)["type"] is CheckStatus.ERROR


@pytest.mark.parametrize(
    "hang", ["exec sleep 1000", "while :; do :; done", "trap '' TERM HUP INT; sleep 1000", "sleep 1000 & wait"]
)
async def test_a_tool_that_hangs_is_ended_and_does_not_hold_up_the_others(fake: Bench, hang: str) -> None:
    fake.tool("ruff", RUFF_THAT + hang)
    fake.file("a.py", "x = 1\n")
    report = await fake.service.check(["syntax", "lint"], fake.run, None, None, timedelta(seconds=5))
    assert statuses(report) == {"syntax": CheckStatus.PASSED, "lint": CheckStatus.ERROR}
    assert "it ran into its time limit" in report.summary


@contextmanager
def lifeline(path: Path) -> Iterator[Callable[[], Awaitable[bytes]]]:
    """A pipe at `path` that nobody writes to, and a wait until nobody has it open for writing any more."""
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def all_gone() -> bytes:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(end, readable.set)
        try:
            await asyncio.wait_for(readable.wait(), 20)
        finally:
            loop.remove_reader(end)
        return os.read(end, 1)

    yield all_gone
    os.close(end)


@pytest.mark.parametrize("then", ["exec sleep 1000", "exit 0"])
async def test_what_a_tool_leaves_behind_is_killed(fake: Bench, tmp_path: Path, then: str) -> None:
    fake.tool("ruff", RUFF_THAT + f"exec 9>{tmp_path}/line\nsleep 1000 &\n{then}\n")
    fake.file("a.py", "x = 1\n")
    with lifeline(tmp_path / "line") as all_gone:
        report = await fake.service.check(["lint"], fake.run, None, None, timedelta(seconds=4))
        assert statuses(report) == {"lint": CheckStatus.ERROR}
        assert await all_gone() == b""


@pytest.mark.parametrize("stream", ["1", "2"])
async def test_a_hundred_megabytes_of_output_are_an_error_and_are_not_kept(fake: Bench, stream: str) -> None:
    fake.tool("ruff", RUFF_THAT + f"head -c 100000000 /dev/zero >&{stream}\nexit 0\n")
    fake.file("a.py", "x = 1\n")
    report = await fake.service.check(["syntax", "lint"], fake.run, None, None, MINUTE)
    assert statuses(report) == {"syntax": CheckStatus.PASSED, "lint": CheckStatus.ERROR}
    assert all(path.stat().st_size <= MAX_STDOUT_BYTES for path in fake.run.scratch.rglob("*") if path.is_file())
    assert len(report.findings[0].message) <= 2000


@pytest.mark.parametrize(
    ("exit_code", "answer"),
    [(0, ONE_FINDING), (1, "[]"), (1, ONE_FINDING + ONE_FINDING), (1, "]["), (2, ONE_FINDING), (1, "\\377\\000")],
)
async def test_garbage_of_a_tool_is_one_error_and_no_findings(fake: Bench, exit_code: int, answer: str) -> None:
    fake.tool("ruff", RUFF_THAT + f"printf '%b' '{answer}'\nexit {exit_code}\n")
    fake.file("a.py", "x = 1\n")
    report = await fake.service.check(["lint"], fake.run, None, None, MINUTE)
    assert rules(report, "lint") == ["validator-failed"]
    assert not report.ok


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ruff.toml", 'exclude = ["*"]\n'),
        (".gitignore", "*\n"),
        ("pyproject.toml", '[tool.ruff]\nexclude = ["*.py"]\n'),
    ],
)
async def test_a_configuration_that_leaves_out_every_file_is_no_pass(bench: Bench, name: str, text: str) -> None:
    bench.file("a.py", "import os\n")
    bench.file(".git/HEAD", "ref: refs/heads/main\n")
    bench.file(name, text)
    report = await bench.service.check(["lint"], bench.run, None, None, MINUTE)
    assert rules(report, "lint") == ["validator-failed"]
    assert "leaves out all of 1 Python files" in report.summary
    report = await bench.service.check(["lint"], bench.run, None, ["a.py"], MINUTE)
    assert rules(report, "lint") == ["F401"]


async def test_a_configuration_cannot_make_the_tools_write_install_or_start_another_python(bench: Bench) -> None:
    bench.file(
        "pyproject.toml", '[tool.ruff]\nfix = true\nunsafe-fixes = true\noutput-format = "sarif"\ncache-dir = "c"\n'
    )
    mypy = (
        "cache_dir = c",
        "linecount_report = r",
        "junit_xml = j",
        "output = text",
        "pretty = true",
        "install_types = true",
    )
    bench.file("mypy.ini", "\n".join(["[mypy]", *mypy, "non_interactive = true", "python_executable = ./planted", ""]))
    bench.file("planted", "#!/bin/sh\ntouch made\nexit 1\n").chmod(0o755)
    path = bench.file("a.py", "import os\n\nx: int = ''\n")
    report = await bench.service.check(ALL, bench.run, None, None, MINUTE)
    assert (rules(report, "lint"), rules(report, "type")) == (["F401"], ["assignment"])
    assert path.read_text().startswith("import os")
    assert sorted(it.name for it in bench.root.iterdir()) == ["a.py", "mypy.ini", "planted", "pyproject.toml"]


async def test_names_that_look_like_options_or_argument_files_are_only_names(bench: Bench) -> None:
    bench.file("evil", "--config\nlint.ignore=['ALL']\n")
    for name in ("--exit-zero.py", "@evil.py", "-h.py", "a b'\"$(touch pwned).py", "é.py"):
        bench.file(name, "import os\n")
    names = [b"--exit-zero.py", b"@evil.py", b"-h.py", b"a b'\"$(touch pwned).py", "é.py".encode()]
    report = await bench.service.check(["syntax", "lint"], bench.run, names, None, MINUTE)
    assert rules(report, "lint") == ["F401"] * 5
    assert statuses(report)["syntax"] is CheckStatus.PASSED
    assert not (bench.root / "pwned").exists()


async def test_a_changed_name_that_no_tool_can_be_given_is_an_error_of_every_check(bench: Bench) -> None:
    report = await bench.service.check(["syntax", "lint"], bench.run, [b"a\n--exit-zero\n.py", b"b.py"], None, MINUTE)
    assert statuses(report) == {"syntax": CheckStatus.ERROR, "lint": CheckStatus.ERROR}


async def test_pythons_isolation_does_not_hang_on_its_environment_alone(fake: Bench, tmp_path: Path) -> None:
    fake.run.path = ValidatorSuite.path_without_tools(tmp_path)
    fake.tool("python3", 'echo "started with $1 $2" >&2\nexit 3\n')
    fake.file("a.py", "x = 1\n")
    report = await fake.service.check(["syntax"], fake.run, None, None, MINUTE)
    assert (
        report.findings[0]
        .message.rpartition("/")[0]
        .startswith("the syntax check gave no answer: it crashed (exit code 3)\nstarted with -I /")
    )
