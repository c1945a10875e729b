"""`doctor`, `gc`, `image`, `version`, `check`, `schema`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.cli.care import DEFAULT_AGE
from engine.execution.garbage import GarbageReport
from sandbox.docker.image import Currency, ImageState
from sandbox.errors import ImageBuildError, MountError
from sandbox.host import Probe
from tests.unit.engine.cli.fake_application import ID, FakeApplication

Make = Callable[..., FakeApplication]
Sandstone = Callable[..., int]
BUILT = ImageState(Currency.CURRENT, "r1", "sha256:ab", "r1", "sha256:cd", 3 << 20, "2026-01-01")


class FakeImages:
    def __init__(self, error: Exception | None = None) -> None:
        self.forced: list[bool] = []
        self.error = error

    async def state(self) -> ImageState:
        return ImageState(Currency.MISSING, "r1")

    async def build(self, progress: Callable[[str], None], *, force: bool = False) -> ImageState:
        self.forced.append(force)
        progress("step 1 \x1b[2J")
        if self.error is not None:
            raise self.error
        return BUILT


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """What the machine is found to be."""
    probes = [Probe("engine", True, "20.10")]

    async def examine_machine(home: Path | None = None) -> list[Probe]:
        return list(probes)

    monkeypatch.setattr("engine.app.examine_machine", examine_machine)
    return probes


def collecting(application: FakeApplication, report: GarbageReport) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    async def gc(**options: Any) -> GarbageReport:
        asked.append(options)
        return report

    application.gc = gc
    return asked


@pytest.mark.usefixtures("examined")
def test_a_healthy_machine_passes_without_a_container_engine_being_asked_for(
    make_application: Make, sandstone: Sandstone
) -> None:
    application = make_application()
    assert sandstone(application, "doctor") == 0
    assert application.opened == [(None, False)]


def test_a_failing_probe_ends_with_3_and_its_fix(
    make_application: Make, sandstone: Sandstone, examined: list[Probe], capsys: pytest.CaptureFixture[str]
) -> None:
    examined.append(Probe("disk space", False, "1 MiB\x1b[2J free", "make room"))
    application = make_application()
    assert sandstone(application, "doctor") == 3
    assert (
        capsys.readouterr().out
        == f"""\
ok    engine      20.10
FAIL  disk space  1 MiB\\x1b[2J free
                  fix: make room
ok    state       {application.home}
"""
    )
    assert sandstone(application, "doctor", "--json") == 3
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["probes"][1]["fix"]) == (False, "make room")


@pytest.mark.usefixtures("examined")
def test_a_state_directory_that_cannot_be_opened_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def broken(home: Path | None = None, *, engine: bool, attach: bool = False) -> AsyncIterator[FakeApplication]:
        raise MountError("/x", "not permitted")
        yield

    assert main(["doctor"], opener=broken) == 3
    assert "FAIL  state   mount at /x: not permitted\n" in capsys.readouterr().out


@pytest.mark.usefixtures("examined")
def test_a_damaged_journal_is_a_finding(
    make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    with closing(sqlite3.connect(application.home / "journal.db", isolation_level=None)) as connection:
        connection.execute("UPDATE ledger SET chk=0")
    assert sandstone(application, "doctor") == 3
    assert "journal.db is damaged: table ledger" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "older_than", "keep"),
    [
        ((), DEFAULT_AGE, None),
        (("--all",), None, None),
        (("--older-than", "2h"), timedelta(hours=2), None),
        (("--keep", "3"), None, 3),
        (("--keep", "3", "--older-than", "2h"), timedelta(hours=2), 3),
    ],
)
def test_what_gc_is_asked_for(
    arguments: tuple[str, ...],
    older_than: timedelta | None,
    keep: int | None,
    make_application: Make,
    sandstone: Sandstone,
) -> None:
    application = make_application()
    asked = collecting(application, GarbageReport())
    assert sandstone(application, "gc", "--dry-run", *arguments) == 0
    assert asked == [{"older_than": older_than, "keep": keep, "dry_run": True}]


def test_gc_of_all_and_of_some_exclude_each_other(make_application: Make, sandstone: Sandstone) -> None:
    application = make_application()
    asked = collecting(application, GarbageReport())
    assert sandstone(application, "gc", "--all", "--keep", "1") == 2
    assert asked == []


def test_gc_tells_what_went(make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]) -> None:
    application = make_application()
    collecting(application, GarbageReport(False, [ID], ["x:c1"], [], 2048, [("y" * 32, "in use")]))
    sandstone(application, "gc")
    shown = capsys.readouterr()
    assert (
        shown.out
        == """\
removed execution 0123456789ab
removed 1 execution, 1 side branch, 0 leftovers, 2.0 KiB freed
"""
    )
    assert shown.err == "left yyyyyyyyyyyy: in use\n"
    sandstone(application, "gc", "--json")
    assert json.loads(capsys.readouterr().out)["freed_bytes"] == 2048


def test_image_build_reports_escaped_progress_on_standard_error(
    make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    application.image = FakeImages()
    assert sandstone(application, "image", "build", "--force") == 0
    shown = capsys.readouterr()
    assert shown.err == "step 1 \\x1b[2J\n"
    assert shown.out == "current: sha256:ab, 3.0 MiB, built 2026-01-01\n"
    assert application.image.forced == [True]


def test_a_failed_image_build_shows_its_output_and_the_fix(
    make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    application.image = FakeImages(ImageBuildError("base", "no base", "install mmdebstrap", "E: \x1b[2J\n"))
    assert sandstone(application, "image", "build") == 3
    shown = capsys.readouterr().err
    assert shown.endswith("error: base: no base\n  E: \\x1b[2J\nhint: install mmdebstrap\n")


def test_the_image_s_state(make_application: Make, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]) -> None:
    application = make_application()
    application.image = FakeImages()
    assert sandstone(application, "image", "state") == 0
    assert capsys.readouterr().out.startswith("missing: there is no image yet")
    sandstone(application, "image", "state", "--json")
    assert json.loads(capsys.readouterr().out)["state"] == "missing"


def test_the_version_in_words_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    words = capsys.readouterr().out
    assert words.startswith("sandstone ")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == words
    main(["version", "--json"])
    assert f"sandstone {json.loads(capsys.readouterr().out)['version']}\n" == words


def test_a_good_plan_passes_the_check(plan_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(plan_file)]) == 0
    assert capsys.readouterr().out == "fix gcd: 2 steps, nothing wrong found\n"
    main(["check", str(plan_file), "--json"])
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_every_fault_of_a_bad_plan_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("version: 1\nnme: x\nsteps:\n  - {type: comand}\n")
    assert main(["check", str(plan)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{plan}:2:1: nme" in shown.err
    assert f"{plan}:4:" in shown.err
    assert main(["check", str(plan), "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert (result["ok"], len(result["faults"])) == (False, 2)


def test_a_plan_that_is_not_there_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "no\x1b[2J.yaml")]) == 2
    shown = capsys.readouterr().err
    assert "No such file" in shown
    assert "\x1b" not in shown


def test_the_schema_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "$schema" in json.loads(capsys.readouterr().out)


def test_help_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("usage: sandstone run")
    assert shown.err == ""


def test_bad_usage_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rnu"]) == 2
    assert capsys.readouterr() == ("", "error: no command is called 'rnu'\nhint: did you mean run?\n")
