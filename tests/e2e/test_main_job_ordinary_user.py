"""The main job as a user of the docker group who is not root: mounts are made by the helper container."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_bench import ROOT, CommandBench, command_bench
from tests.leftovers import ENGINE_SOCKET

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

USER = "sandstone-test"
PLAN = """\
version: 1
name: as a user
sandbox: {disk: 64MiB, memory: 256MiB, hide: [.env]}
steps:
  - {id: create, type: file_create, path: docs/new.txt, content: "new\\n"}
  - {id: edit, type: file_edit, path: kept.py, replace: {search: "1", with: "2"}}
  - id: command
    type: command
    run: test ! -e .env && id -u && rm -r old && mkdir made && echo x > made/file && chmod 600 made/file
  - {id: checks, type: validation, checks: [syntax], paths: [kept.py]}
  - {id: unit, type: test, run: "test -f made/file"}
  - {id: after, type: command, run: "cat made/file docs/new.txt; rm docs/new.txt; echo y >> made/file"}
"""


def other_interpreter() -> str:
    """A Python of this version that any user may run."""
    here = os.path.realpath(sys.executable)
    for candidate in (here, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/local/bin/python3"):
        if os.access(candidate, os.X_OK) and _open_to_all(Path(candidate)):
            said = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=True).stdout
            if said.startswith(f"Python 3.{sys.version_info.minor}."):
                return candidate
    pytest.skip(f"no Python 3.{sys.version_info.minor} that other users may run (fix: install it below /usr)")


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents))


def copy_program(target: Path) -> None:
    """Our packages and what they import, where every user can read them."""
    find = (
        "import importlib, json, pkgutil, sys, engine, sandbox\n"
        "for package in (engine, sandbox):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(json.dumps({n: f for n in names if (f := getattr(sys.modules.get(n), '__file__', None))}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", find], capture_output=True, text=True, check=True, env=environment)
    target.mkdir()
    for name, file in json.loads(done.stdout).items():
        source = Path(file)
        if name in ("engine", "sandbox") or "site-packages" in source.parts:
            if source.name == "__init__.py":
                shutil.copytree(source.parent, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    subprocess.run(["chmod", "-R", "a+rX", str(target)], check=True)


def mount_is_shared(directory: Path) -> bool:
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    holding = [fields for fields in lines if directory.is_relative_to(fields[4])]
    return any(field.startswith("shared:") for field in max(holding, key=lambda fields: len(fields[4]))[6:])


@pytest.fixture
def user() -> Iterator[pwd.struct_passwd]:
    group = os.stat(ENGINE_SOCKET).st_gid
    if group == 0:
        pytest.skip("the engine's socket belongs to no group that a user could be in")
    subprocess.run(
        ["useradd", "--no-create-home", "--groups", grp.getgrgid(group).gr_name, USER], check=True, capture_output=True
    )
    try:
        yield pwd.getpwnam(USER)
    finally:
        subprocess.run(["userdel", USER], check=True, capture_output=True)


@pytest.fixture
def bench(user: pwd.struct_passwd) -> Iterator[CommandBench]:
    with command_bench() as made:
        if not mount_is_shared(made.directory):
            pytest.skip("the store would be on a private mount (fix: mount --make-rshared /)")
        made.directory.chmod(0o755)
        python = other_interpreter()
        copy_program(made.directory / "program")
        (made.project / "kept.py").write_text("VALUE = 1\n")
        (made.project / ".env").write_text("secret\n")
        (made.project / "old/inner").mkdir(parents=True)
        (made.project / "old/inner/file").write_text("old\n")
        made.home.mkdir()
        for path in (made.home, made.project, *made.project.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        program = "import sys; from engine.cli import main; sys.exit(main())"
        made.command = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--", python, "-c", program]
        made.variables = {
            "HOME": str(made.home),
            "PYTHONPATH": str(made.directory / "program"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        yield made


def test_the_main_job_works_without_root_and_every_file_stays_the_users(
    bench: CommandBench, user: pwd.struct_passwd
) -> None:
    before = bench.files()
    outcome = bench.run(PLAN)
    assert outcome["state"] == "completed", outcome["error"]
    assert [step["state"] for step in outcome["steps"]] == ["succeeded"] * 6
    assert outcome["steps"][2]["stdout_tail"].strip() not in ("0", str(user.pw_uid))
    assert outcome["steps"][5]["stdout_tail"] == "x\nnew\n"
    assert bench.files() == before
    assert bench.left() == []
    assert "+VALUE = 2\n" in bench("diff", "last").stdout

    bench("apply", "last")
    after = bench.files()
    assert (bench.project / "made/file").read_text() == "x\ny\n"
    assert (bench.project / "made/file").stat().st_mode & 0o777 == 0o600
    assert not (bench.project / "old").exists()
    assert {path.lstat().st_uid for path in bench.project.rglob("*")} == {user.pw_uid}
    assert after["kept.py"] != before["kept.py"]
    bench("apply", "last", "--undo")
    assert bench.files() == before

    bench("rollback", "last", "--to", "edit")
    assert bench.shown("resume", "last", "--quiet")["state"] == "completed"
    assert len(bench.shown("gc", "--all")["executions"]) == 1
    assert list((bench.home / "volumes").glob("*.img")) == []
    assert bench.left() == []


def test_a_killed_run_of_a_user_is_put_in_order_by_the_next_command(bench: CommandBench) -> None:
    plan = "version: 1\nsandbox: {disk: 32MiB}\nsteps:\n  - {id: a, type: command, run: echo 1 > a}\n"
    running = bench.start(plan + "  - {id: slow, type: command, run: sleep 60}\n")
    running.until("slow (command)")
    running.process.kill()
    running.ended()
    (found,) = bench.shown("status")
    assert found["state"] == "paused"
    assert bench.left() == []


def test_a_user_forks_a_running_execution_with_another_command(bench: CommandBench) -> None:
    """The first command goes on meanwhile: nobody waits for anybody's mount point."""
    plan = "version: 1\nname: first\nsandbox: {disk: 32MiB}\nsteps:\n  - {id: a, type: command, run: echo 1 > a}\n"
    running = bench.start(plan + "  - {id: slow, type: command, run: sleep 60}\n")
    running.until("slow (command)")
    other = bench.directory / "other.yaml"
    other.write_text(
        "version: 1\nname: other\nsandbox: {disk: 32MiB}\nsteps:\n  - {id: b, type: command, run: cat a > b}\n"
    )
    fork = bench.shown("fork", "first", "--from", "a", "--plan", other, "--quiet")
    assert fork["state"] == "completed", fork["error"]
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGINT)
    assert running.ended()[0] == 130
    bench("gc", "--keep", "1", "--older-than", "0m")
    assert [found["name"] for found in bench.shown("status")] == ["other"]
    assert {found["path"] for found in bench.shown("diff", "other")["changes"]} == {"a", "b"}
    assert {found["path"] for found in bench.shown("diff", "other", "c0")["changes"]} == {"b"}
    bench("gc", "--all")
    assert list((bench.home / "volumes").glob("*.img")) == []
    assert bench.left() == []
