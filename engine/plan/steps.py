"""The six types of steps: what each may say. Immutable data; rules across steps are in `engine.plan.check`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from engine.plan.leaves import (
    AnyPath,
    CheckName,
    Command,
    Cwd,
    Env,
    FilePath,
    Flag,
    ListedPath,
    Mode,
    Needle,
    StepId,
    Text,
    Title,
    WholeBetween,
    distinct,
    one_of,
    refusal,
    ruled,
)
from engine.plan.refusal import listed
from engine.plan.settings import FindingPolicy, OnFailure, PlanModel, RetryOverrides, SandboxOverrides

FailurePolicy = Annotated[
    OnFailure,
    one_of(OnFailure),
    Field(description="What a failure does: go back, stop at the last good checkpoint, or go on without it."),
]
ROLLBACK_TO: Final = "Id of the earlier step whose checkpoint a failure goes back to; absent: the start."
Checks = Annotated[tuple[CheckName, ...], Field(max_length=32), ruled(distinct)]


class StepBase(SandboxOverrides):
    """What every step may say. Keys of `sandbox` stand on the step itself or under its `sandbox`."""

    id: StepId = Field(default="", description="Name of the step in the plan; `step-N` for the Nth when absent.")
    name: Title = Field(default="", description="What the step does, for people.")
    needs: Annotated[tuple[StepId, ...], ruled(distinct)] = Field(
        default=(), max_length=1000, description="Ids of earlier steps without whose success this one is skipped."
    )
    env: Env = Field(default={}, validate_default=True, description="Environment variables, over those of the plan.")
    retry: RetryOverrides | None = Field(
        default=None, description="Try the step again when it fails; absent keys are as in the plan's retry."
    )
    on_failure: FailurePolicy | None = None
    rollback_to: StepId | None = Field(default=None, description=ROLLBACK_TO)
    checks: Checks | None = Field(
        default=None, description="Checks that must hold of what the step changed; in place of the plan's. [] for none."
    )
    findings: FindingPolicy | None = Field(
        default=None, description="Which findings of its checks count; absent keys are as in the plan's."
    )
    flaky: Flag = Field(
        default=False, description="The step may fail for no reason of its own: retry applies to failures."
    )
    sandbox: SandboxOverrides | None = Field(
        default=None,
        description="The step's sandbox; absent keys are as in the plan's. Each key may also stand on the step.",
    )


def _exactly_one(model: PlanModel, keys: tuple[str, ...], what: str) -> None:
    """Refuse `model` unless exactly one of `keys` was given."""
    given = [key for key in keys if getattr(model, key) is not None]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none of them"
        raise refusal(f"{what} needs exactly one of {listed(keys)}, {found}")


def _one_required(keys: tuple[str, ...]) -> dict[str, Any]:
    """The same rule for the JSON Schema."""
    return {"oneOf": [{"required": [key]} for key in keys]}


class FileCreateStep(StepBase):
    """Writes a new file, and the directories above it that are missing. Fails when the path exists."""

    type: Literal["file_create"] = "file_create"
    path: FilePath = Field(description="File to create, relative to the workspace.")
    content: Text = Field(description="All that the file holds, written as UTF-8.")
    mode: Mode = Field(default=0o644, description='Permissions in octal, such as "0755" for a program.')
    overwrite: Flag = Field(default=False, description="Replace a file that is already there instead of failing.")


class Replace(PlanModel):
    """Literal text for literal text. `search` must occur exactly once, or with `all` at least once."""

    search: Needle = Field(description="Text to find, literally; it may span lines.")
    with_: Text = Field(alias="with", description="Text to put in its place; empty to delete it.")
    all: Flag = Field(default=False, description="Replace every occurrence instead of asking for exactly one.")


_INSERT_AT: Final = ("after", "before", "line")


class Insert(PlanModel):
    """New lines beside a line that is found by text that occurs exactly once, or by number."""

    model_config = ConfigDict(json_schema_extra=_one_required(_INSERT_AT))

    after: Needle | None = Field(
        default=None, description="Text that occurs once; the new lines follow the line it ends in."
    )
    before: Needle | None = Field(
        default=None, description="Text that occurs once; the new lines precede its first line."
    )
    line: Annotated[int, WholeBetween(1, 10_000_000)] | None = Field(
        default=None, description="Number that the first new line will have; one past the last line appends."
    )
    text: Text = Field(description="The lines to insert; a line break is added at the end when there is none.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _exactly_one(self, _INSERT_AT, "insert")
        return self


EDITS: Final = ("replace", "insert", "patch", "content", "instruction")
"""The ways to say an edit; a step uses exactly one."""


class FileEditStep(StepBase):
    """Changes a file that exists; its permissions stay. Exactly one way of saying how."""

    model_config = ConfigDict(json_schema_extra=_one_required(EDITS))

    type: Literal["file_edit"] = "file_edit"
    path: FilePath = Field(description="File to edit, relative to the workspace.")
    replace: Replace | None = Field(default=None, description="Replace literal text.")
    insert: Insert | None = Field(default=None, description="Insert lines.")
    patch: Needle | None = Field(default=None, description="A unified diff of this one file; it must apply exactly.")
    content: Text | None = Field(default=None, description="The whole new content of the file.")
    instruction: Needle | None = Field(
        default=None, description="What a model shall change. Not available in this version."
    )

    @model_validator(mode="after")
    def _one_edit(self) -> Self:
        _exactly_one(self, EDITS, "a file_edit step")
        return self


class FileDeleteStep(StepBase):
    """Deletes a file or link, or with `recursive` a directory. Fails when there is nothing to delete."""

    type: Literal["file_delete"] = "file_delete"
    path: FilePath = Field(description="What to delete, relative to the workspace.")
    recursive: Flag = Field(default=False, description="Delete a directory and all that is in it.")


class CommandStep(StepBase):
    """Runs a command in a fresh sandbox and keeps what it changed in the workspace."""

    type: Literal["command"] = "command"
    run: Command = Field(description="Text for /bin/sh, or a list of arguments that is run without a shell.")
    cwd: Cwd = Field(default=".", description="Directory to run in, relative to the workspace.")
    stdin: Text = Field(default="", description="What the command reads from its standard input.")


class ValidationStep(StepBase):
    """Runs checks over the workspace as it is; any finding that a check counts as an error fails the step."""

    type: Literal["validation"] = "validation"
    checks: Annotated[tuple[CheckName, ...], Field(min_length=1, max_length=32), ruled(distinct)] = Field(
        description="Checks to run."
    )
    paths: Annotated[tuple[ListedPath, ...], ruled(distinct)] = Field(
        default=(), max_length=10_000, description="Files and directories to check; all of the workspace when empty."
    )
    changed: Flag = Field(
        default=False,
        description="Check only files that differ from the commit that the workspace's git repository is at.",
    )

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if self.paths and self.changed:
            raise refusal("a validation step takes `paths` or `changed`, not both")
        return self


class TestStep(StepBase):
    """Runs tests in a fresh sandbox and reads their report. What they leave in the workspace is not kept."""

    __test__ = False

    type: Literal["test"] = "test"
    run: Command = Field(description="Text for /bin/sh, or a list of arguments that is run without a shell.")
    cwd: Cwd = Field(default=".", description="Directory to run in, relative to the workspace.")
    stdin: Text = Field(default="", description="What the command reads from its standard input.")
    junit: AnyPath | None = Field(
        default=None,
        description="JUnit XML report that the command writes, relative to the workspace; pytest needs no word.",
    )


Step = Annotated[
    FileCreateStep | FileEditStep | FileDeleteStep | CommandStep | ValidationStep | TestStep,
    Field(discriminator="type"),
]
"""Any step; `type` says which."""

STEP_MODELS: Final[dict[str, type[StepBase]]] = {
    "file_create": FileCreateStep,
    "file_edit": FileEditStep,
    "file_delete": FileDeleteStep,
    "command": CommandStep,
    "validation": ValidationStep,
    "test": TestStep,
}
"""The model of each step type."""
