"""`file_create`, `file_edit` and `file_delete`: changes of the active layer itself.

No code runs, so no container is needed; the exception is an edit by `patch`, which git's own `apply` does in a
sandbox. Content is UTF-8 text; an edit of a file that is not is refused, `content` replaces any file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from engine.checkpoints.position import tree_at
from engine.execution.attempt import ActionResult, AttemptContext, StepRefused
from engine.execution.edits import EditRefused, fitted_patch, insert_at_line, insert_beside, replace_exact
from engine.plan.model import FileCreateStep, FileDeleteStep, FileEditStep, Insert
from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.spec import WORKSPACE, ExecRequest
from sandbox.workspace.edit import Edit, editing
from sandbox.workspace.manifest import EntryKind

BYTE_ORDER_MARK: Final = "\ufeff"
MAX_EDITED_BYTES: Final = 64 << 20
"""Size of the largest file that is edited as text."""


async def create_file(context: AttemptContext) -> ActionResult:
    """Write a new file; an existing one only with `overwrite`."""
    step = context.step
    assert isinstance(step, FileCreateStep)

    def create(edit: Edit) -> None:
        existing = edit.lookup(os.fsencode(step.path))
        if existing is not None and not step.overwrite:
            kind = "a directory" if existing.kind is EntryKind.DIRECTORY else "there"
            raise StepRefused(f"{step.path} is {kind} already; use file_edit, or overwrite: true")
        edit.write_file(step.path, _encoded(step.content), step.mode)

    return await _edited(context, create)


async def delete_file(context: AttemptContext) -> ActionResult:
    """Delete a file, or with `recursive` a directory."""
    step = context.step
    assert isinstance(step, FileDeleteStep)
    return await _edited(context, lambda edit: edit.delete(step.path, step.recursive))


async def edit_file(context: AttemptContext) -> ActionResult:
    """Change an existing file in the one way the step names."""
    step = context.step
    assert isinstance(step, FileEditStep)
    if step.patch is not None:
        return await _patched(context, step, step.patch)

    def change(edit: Edit) -> None:
        path = os.fsencode(step.path)
        existing = edit.lookup(path)
        if existing is None:
            raise StepRefused(f"{step.path} does not exist; use file_create")
        if step.content is not None:
            edit.write_file(path, _encoded(step.content))
            return
        old = _decoded(step.path, edit.read_file(path, MAX_EDITED_BYTES))
        mark = BYTE_ORDER_MARK if old.startswith(BYTE_ORDER_MARK) else ""
        try:
            edit.write_file(path, _encoded(mark + edited_text(step, old.removeprefix(mark))))
        except EditRefused as refusal:
            raise StepRefused(f"{step.path}: {refusal}") from refusal

    return await _edited(context, change)


def edited_text(step: FileEditStep, old: str) -> str:
    """`old` as the step's `replace` or `insert` changes it. Raises EditRefused."""
    if step.replace is not None:
        return replace_exact(old, step.replace.search, step.replace.with_, step.replace.all)
    if step.insert is not None:
        return _inserted(step.insert, old)
    raise StepRefused("edits by instruction are not available in this version")


def _inserted(insert: Insert, old: str) -> str:
    if insert.line is not None:
        return insert_at_line(old, insert.line, insert.text)
    if insert.after is not None:
        return insert_beside(old, insert.after, insert.text, after=True)
    assert insert.before is not None
    return insert_beside(old, insert.before, insert.text, after=False)


async def _edited(context: AttemptContext, change: Callable[[Edit], None]) -> ActionResult:
    """Apply `change` to the active layer, in a worker thread."""

    def work() -> None:
        execution, store = context.execution, context.store
        hide = execution.hide.mask(context.settings.hide)
        owner = execution.owner
        with (
            tree_at(store, execution.workspace, hide, context.parent) as below,
            editing(store.upper(context.key), below, owner) as edit,
        ):
            change(edit)

    await context.blocking(work)
    return ActionResult()


async def _patched(context: AttemptContext, step: FileEditStep, patch: str) -> ActionResult:
    """Have git apply the patch in a sandbox, to the step's own file and no other."""
    strip = patch_strip(patch, step.path)
    patch = fitted_patch(patch if patch.endswith("\n") else patch + "\n", await _text_of(context, step.path))
    # --include keeps it to the one file; --recount forgives wrong line counts, which models write often.
    command = (
        "git",
        "-c",
        "core.autocrlf=false",
        "apply",
        "--recount",
        "--whitespace=nowarn",
        f"-p{strip}",
        f"--include={step.path}",
        "-",
    )
    request = ExecRequest(
        command=command,
        cwd=WORKSPACE,
        env={"GIT_DIR": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
        stdin=patch,
        timeout=context.settings.timeout,
        output_limit_bytes=context.settings.output_bytes,
    )
    ended = await context.run(request, context.on_output)
    if ended.ok or ended.verdict is not None:
        return ActionResult(exec=ended)
    reason = ended.stderr.text().decode("utf-8", "replace").strip() or f"git apply ended with {ended.exit_code}"
    if ended.exit_code == 127:
        reason = "the image has no git, which applies patches"
    raise StepRefused(f"{step.path}: the patch does not apply: {reason}")


async def _text_of(context: AttemptContext, path: str) -> str:
    """What a step would read at `path`; empty when that is no file of text, which git has better words for."""
    found: list[str] = []

    def look(edit: Edit) -> None:
        try:
            found.append(edit.read_file(path, MAX_EDITED_BYTES).decode("utf-8", "replace"))
        except (PathRefusedError, TreeRefusedError):
            return

    await _edited(context, look)
    return "".join(found)


def patch_strip(patch: str, path: str) -> int:
    """How many leading parts of the patch's file names to drop so that they name `path`.

    Raises StepRefused: the patch has no file header, or names another file.
    """
    names = []
    for line in patch.splitlines():
        if line.startswith(("--- ", "+++ ")):
            name = line[4:].split("\t")[0].strip()
            if name != "/dev/null":
                names.append(name)
    if not names:
        raise StepRefused(f"{path}: the patch has no '--- a/{path}' and '+++ b/{path}' lines")
    strips = set()
    for name in names:
        parts = name.split("/")
        fitting = [strip for strip in range(len(parts)) if "/".join(parts[strip:]) == path]
        if not fitting:
            raise StepRefused(f"{path}: the patch is for {name}; a file_edit step patches its own file only")
        strips.add(fitting[0])
    if len(strips) > 1:
        raise StepRefused(f"{path}: the patch names its file in two ways: {', '.join(sorted(set(names)))}")
    return strips.pop()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decoded(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StepRefused(
            f"{path} is not UTF-8 text (byte {error.start}); give the whole file as content, or use a command"
        ) from error
