"""The commands that care for the installation: `doctor`, `gc`, `image`, `version`."""

from __future__ import annotations

import argparse
import asyncio
import platform
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from engine.cli.escape import one_line
from engine.cli.exits import Exit, UsageError
from engine.cli.failures import KNOWN, hint_of, message_of
from engine.cli.output import Output
from engine.cli.session import Session
from engine.cli.shapes import SHORT_ID
from engine.cli.timing import plural, size_text
from sandbox.host import Probe

if TYPE_CHECKING:
    from engine.execution.garbage import GarbageReport
    from sandbox.docker.image import ImageState

DEFAULT_AGE: Final = timedelta(days=7)


async def doctor(session: Session) -> Exit:
    """`sandstone doctor`: exit 3 when something needed is missing."""
    from engine import app

    output = session.output
    probes = [*await app.examine_machine(session.arguments.home), await _state_probe(session)]
    ok = all(probe.ok for probe in probes)
    if session.arguments.json:
        shapes = [
            {"name": probe.name, "ok": probe.ok, "detail": probe.detail, "fix": probe.fix or None} for probe in probes
        ]
        output.result_json({"ok": ok, "probes": shapes})
    else:
        width = max(len(probe.name) for probe in probes)
        for probe in probes:
            _show_probe(output, probe, width)
    return Exit.DONE if ok else Exit.UNFIT


async def _state_probe(session: Session) -> Probe:
    """Whether the state directory can be opened, what dead processes left put in order, and the journal is whole."""
    try:
        async with session.open() as application:
            await asyncio.to_thread(application.journal.check)
            return Probe("state", True, str(application.home))
    except KNOWN as error:
        return Probe("state", False, message_of(error), hint_of(error))


def _show_probe(output: Output, probe: Probe, width: int) -> None:
    mark = output.styled("ok  ", "good") if probe.ok else output.styled("FAIL", "bad")
    output.result(f"{mark}  {one_line(probe.name).ljust(width)}  {one_line(probe.detail)}".rstrip())
    if not probe.ok and probe.fix:
        output.result(f"      {' ' * width}  {output.styled('fix:', 'accent')} {one_line(probe.fix)}")


async def gc(session: Session) -> Exit:
    """`sandstone gc`. Without --all, --older-than or --keep: what ended more than DEFAULT_AGE ago."""
    arguments, output = session.arguments, session.output
    if arguments.all and (arguments.older_than is not None or arguments.keep is not None):
        raise UsageError("--all excludes --older-than and --keep")
    chosen = arguments.all or arguments.older_than is not None or arguments.keep is not None
    async with session.open() as application:
        report = await application.gc(
            older_than=arguments.older_than if chosen else DEFAULT_AGE,
            keep=arguments.keep,
            dry_run=arguments.dry_run,
        )
    if arguments.json:
        output.result_json(_gc_json(report))
    else:
        _show_gc(output, report)
    return Exit.DONE


def _gc_json(report: GarbageReport) -> dict[str, object]:
    return {
        "dry_run": report.dry_run,
        "executions": report.executions,
        "checkpoints": report.checkpoints,
        "rubbish": report.rubbish,
        "freed_bytes": report.freed_bytes,
        "skipped": [{"id": name, "reason": reason} for name, reason in report.skipped],
    }


def _show_gc(output: Output, report: GarbageReport) -> None:
    would = "would remove" if report.dry_run else "removed"
    for execution_id in report.executions:
        output.result(f"{would} execution {execution_id[:SHORT_ID]}")
    for name, reason in report.skipped:
        output.note(f"left {one_line(name[:SHORT_ID])}: {one_line(reason)}")
    freed = "" if report.dry_run else f", {size_text(report.freed_bytes)} freed"
    counts = [
        plural(len(report.executions), "execution"),
        plural(len(report.checkpoints), "side branch", "side branches"),
        plural(len(report.rubbish), "leftover"),
    ]
    output.result(f"{would} {', '.join(counts)}{freed}")


VARIANTS: Final = ("web",)
"""As `sandbox.docker.variant` has them, which is imported by those who build."""


async def image(session: Session) -> Exit:
    """`sandstone image build|state`."""
    arguments, output = session.arguments, session.output
    if arguments.force and arguments.verb != "build":
        raise UsageError("--force goes with `image build`")
    if arguments.variant is not None and arguments.variant not in VARIANTS:
        raise UsageError(f"no variant is called {one_line(arguments.variant)!r}", f"there are: {', '.join(VARIANTS)}")

    def told(line: str) -> None:
        output.note(one_line(line))

    async with session.open() as application:
        if arguments.variant is not None:
            from sandbox.docker.variant import VariantBuilder

            variants, name = VariantBuilder(application.image), arguments.variant
            if arguments.verb == "build":
                state = await variants.build(name, told, force=arguments.force)
            else:
                state = await variants.state(name)
        elif arguments.verb == "build":
            state = await application.image.build(told, force=arguments.force)
        else:
            state = await application.image.state()
    if arguments.json:
        output.result_json(_image_json(state))
        return Exit.DONE
    output.result(f"{state.currency.value}: {_image_text(state, arguments.variant)}")
    return Exit.DONE


def _image_text(state: ImageState, variant: str | None) -> str:
    if not state.image_id:
        return f"there is no image yet; build it with: {' '.join(['sandstone image build', variant or '']).rstrip()}"
    return f"{one_line(state.image_id)}, {size_text(state.size_bytes)}, built {one_line(state.created)}"


def _image_json(state: ImageState) -> dict[str, object]:
    return {
        "state": state.currency.value,
        "image": state.image_id or None,
        "recipe": state.recipe,
        "built_recipe": state.built_recipe or None,
        "base": state.base or None,
        "size_bytes": state.size_bytes,
        "created": state.created or None,
    }


def version(arguments: argparse.Namespace, output: Output) -> Exit:
    """`sandstone version`."""
    from importlib.metadata import version as version_of

    found = version_of("sandstone")
    if arguments.json:
        output.result_json({"version": found, "python": platform.python_version(), "machine": platform.machine()})
    else:
        output.result(f"sandstone {found}")
    return Exit.DONE
