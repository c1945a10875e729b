"""One table of exit codes."""

from __future__ import annotations

from types import ModuleType

import pytest

from engine import errors as engine_errors
from engine.cli.exits import EXIT_OF, EXIT_OF_STATE, Exit, exit_of
from engine.journal.states import ExecutionState
from sandbox import errors as sandbox_errors


def classes(module: ModuleType) -> list[type[Exception]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("kind", classes(engine_errors) + classes(sandbox_errors), ids=lambda kind: kind.__name__)
def test_every_error_class_has_a_row(kind: type[Exception]) -> None:
    assert kind in EXIT_OF


def test_every_state_has_a_row() -> None:
    assert set(EXIT_OF_STATE) == set(ExecutionState)


def test_a_class_without_a_row_has_its_base_class_s() -> None:
    class Nearer(engine_errors.ApplyConflictError):
        pass

    assert exit_of(Nearer([])) is Exit.CONFLICT
    assert exit_of(ValueError()) is Exit.UNFIT


def test_the_codes_are_those_of_the_contract() -> None:
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "UNFIT": 3,
        "CANCELLED": 4,
        "CONFLICT": 5,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (engine_errors.PlanError([]), 2),
        (engine_errors.NotFoundError("execution", "x"), 2),
        (engine_errors.WrongStateError("resume", "x", "failed", ["paused"]), 2),
        (engine_errors.ApplyConflictError([]), 5),
        (engine_errors.ApplyRefusedError([]), 5),
        (engine_errors.EnvironmentUnfitError("no", ""), 3),
        (sandbox_errors.EngineUnreachableError("/s", "refused"), 3),
        (sandbox_errors.ImageNotFoundError("x"), 3),
        (sandbox_errors.SetupFailedError(0, "x", 1, ""), 1),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "no such file"), 3),
    ],
)
def test_errors_end_the_command_with_their_code(error: BaseException, code: int) -> None:
    assert exit_of(error) == code
