"""Errors over the wire: every class has a code, comes back as itself, and fits into what gRPC carries."""

from __future__ import annotations

import inspect
from datetime import timedelta

import grpc
import pytest
from google.rpc import code_pb2

from engine import errors as engine_errors
from engine.errors import ApplyConflictError, Fault, NotFoundError, PlanError, WrongStateError
from engine.rpc import status as rpc_status_module
from engine.rpc.status import CODE_OF, MAX_DETAIL_BYTES, CallFailedError, OverloadedError, error_of, status_of
from sandbox import errors as sandbox_errors

ROOTS = {
    engine_errors.EngineError,
    sandbox_errors.SandboxError,
    sandbox_errors.LayerError,
    CallFailedError,
}


def all_classes() -> set[type[Exception]]:
    found: set[type[Exception]] = set()
    for module in (engine_errors, sandbox_errors, rpc_status_module):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, engine_errors.EngineError | sandbox_errors.SandboxError):
                found.add(kind)
    return found - ROOTS


def test_every_error_class_has_a_code() -> None:
    assert all_classes() - set(CODE_OF) == set()


def test_only_what_may_work_when_tried_again_has_a_code_that_clients_try_again() -> None:
    for kind, code in CODE_OF.items():
        if code is grpc.StatusCode.UNAVAILABLE:
            assert kind.retryable, kind  # type: ignore[attr-defined]


EXAMPLES = [
    NotFoundError("execution", "x", ["y", "z"]),
    WrongStateError("pause", "abc", "completed", ["running"]),
    engine_errors.SecretTooShortError("TOKEN", 4),
    engine_errors.CheckpointNameError("c1", "is taken"),
    engine_errors.RequestReusedError("r", "abc"),
    engine_errors.ExecutionLockedError("abc", 17),
    engine_errors.JournalVersionError("/j", 9, 2),
    engine_errors.EnvironmentUnfitError("no engine", "install it"),
    OverloadedError("calls", 5, timedelta(seconds=2)),
    sandbox_errors.EngineTimeoutError("start", timedelta(seconds=10)),
    sandbox_errors.ImageNotFoundError("img", ["image"]),
    sandbox_errors.SetupFailedError(2, "make", None, "tail", "was killed"),
    sandbox_errors.LayerCorruptError("l-1", "is empty"),
    sandbox_errors.MountError("/mnt", "busy", 16),
    sandbox_errors.HostDiskFullError("a volume", 100, 10),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_as_itself(error: Exception) -> None:
    back = error_of(status_of(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_conflicts_come_back_with_their_paths() -> None:
    back = error_of(status_of(ApplyConflictError([("a.py", "was changed"), ("b.py", "is gone")])))
    assert isinstance(back, ApplyConflictError)
    assert back.conflicts == (("a.py", "was changed"), ("b.py", "is gone"))


def test_faults_of_a_plan_come_back_with_their_places() -> None:
    faults = [
        Fault("plan.yaml", 3, 7, "steps[0].run", "expected a command", "write text"),
        Fault("p", 1, 1, "", "empty"),
    ]
    back = error_of(status_of(PlanError(faults)))
    assert isinstance(back, PlanError)
    assert [(fault.line, fault.column, fault.key) for fault in back.faults] == [(3, 7, "steps[0].run"), (1, 1, "")]
    assert "write text" in back.faults[0].message


@pytest.mark.parametrize(
    "error",
    [
        PlanError([Fault("f" * 5000, 1, 1, "k" * 5000, "m" * 5000, "h" * 5000) for _ in range(500)]),
        ApplyConflictError([("p" * 300, "r" * 3000)] * 5000),
        NotFoundError("execution", "\udcff" * 9000, ["n" * 1000] * 50),
        engine_errors.EnvironmentUnfitError("é" * 50_000, "x" * 50_000),
    ],
    ids=["plan", "conflict", "name", "text"],
)
def test_however_much_there_is_to_tell_it_fits(error: Exception) -> None:
    status = status_of(error)
    assert len(status.SerializeToString()) <= MAX_DETAIL_BYTES + 512
    assert status.details, "the ErrorInfo at least"


def test_a_fault_of_ours_says_nothing_of_the_inside() -> None:
    status = status_of(KeyError("/root/.secret"))
    assert status.code == code_pb2.INTERNAL
    assert "secret" not in str(status)
