"""docs/service.md says what is so: every error with its code and details, every method, every limit."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from google.rpc import error_details_pb2

from engine import errors as engine
from engine.rpc import execution_service, inspection_service, paging, requests, server, status
from engine.rpc.address import MAX_SOCKET_PATH
from engine.rpc.backend import ServerOptions
from engine.rpc.guard import MIN_TOKEN_BYTES
from engine.rpc.server import SERVICES
from engine.rpc.status import CODE_OF, reason_of, status_of
from sandbox import errors as sandbox
from tests.architecture.test_proto import FILES

TEXT = (Path(__file__).parents[2] / "docs/service.md").read_text()

# One of each class whose status has a detail beside ErrorInfo and RetryInfo.
DETAILED: list[Exception] = [
    engine.PlanError([engine.Fault("plan", 1, 1, "steps", "is missing")]),
    engine.SecretTooShortError("TOKEN", 4),
    engine.CheckpointNameError("c1", "is taken"),
    engine.NotFoundError("execution", "x"),
    engine.WrongStateError("pause", "x", "completed", ["running"]),
    engine.ApplyConflictError([("a", "was changed")]),
    engine.ApplyRefusedError([("a", "runs later")]),
    status.BadFieldError("name", "is too long"),
    status.OverloadedError("calls", 1),
    engine.QueueFullError(5),
    sandbox.HostDiskFullError("a volume", 2, 1),
]


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:] if not row.startswith("|--")]


def details(error: Exception) -> set[str]:
    return {packed.type_url.rpartition(".")[2] for packed in status_of(error).details} - {"ErrorInfo"}


def told(row: list[str]) -> tuple[str, str, frozenset[str]]:
    return row[0].strip("`"), row[1].strip("`"), frozenset(re.findall(r"`(\w+)`", row[2]))


def test_the_examples_are_all_classes_with_a_detail_of_their_own() -> None:
    assert {type(error) for error in DETAILED} == set(status._DETAIL_OF)


def test_every_error_is_in_the_table_with_its_code_and_details() -> None:
    of_class = {type(error): details(error) for error in DETAILED}
    wanted = {
        (
            reason_of(kind),
            code.name,
            frozenset(of_class.get(kind, {"RetryInfo"} if getattr(kind, "retryable", False) else set())),
        )
        for kind, code in CODE_OF.items()
    }
    wanted |= {("UNAUTHENTICATED", "UNAUTHENTICATED", frozenset()), ("INTERNAL", "INTERNAL", frozenset())}
    rows = [told(row) for row in table("Errors")]
    assert set(rows) - wanted == set(), "docs/service.md tells what is no longer so"
    assert wanted - set(rows) == set(), "docs/service.md does not tell (reason, code, details)"
    assert len(rows) == len(wanted)


def test_every_error_says_what_happened() -> None:
    assert [row[0] for row in table("Errors") if len(row) != 4 or not row[3]] == []


def test_a_retry_info_comes_exactly_with_what_is_retryable() -> None:
    for error in DETAILED:
        carried = any(packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for packed in status_of(error).details)
        assert carried == error.retryable  # type: ignore[attr-defined]


def test_every_method_is_in_the_table_of_verbs_and_no_other() -> None:
    services = [service for file in FILES for service in file.services_by_name.values()]
    assert {service.full_name for service in services} == set(SERVICES)
    methods = {method.name for service in services for method in service.methods}
    assert {name for row in table("Verbs") for name in re.findall(r"`(\w+)`", row[0])} == methods


def states(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def test_the_states_that_verbs_accept_are_those_of_the_protocol() -> None:
    protos = "".join(path.read_text() for path in (Path(__file__).parents[2] / "proto").rglob("*.proto"))
    accepted = {
        name: states(line)
        for line, name in re.findall(r"// Accepts states: ([a-z, ]+)\.\n(?:  //.*\n)*?  rpc (\w+)\(", protos)
    }
    assert {"Pause", "Resume", "Cancel", "Rollback", "Apply"} == set(accepted)
    shown = {name: states(row[1]) for row in table("Verbs") for name in re.findall(r"`(\w+)`", row[0])}
    assert {name: shown[name] for name in accepted} == accepted


def test_the_limits_are_those_of_the_code() -> None:
    options = ServerOptions()

    def seconds(span: timedelta) -> str:
        return f"{span.total_seconds():,.0f} s"

    assert {row[0]: row[1] for row in table("Limits")} == {
        "one request": f"{options.request_bytes >> 20} MiB",
        "one response message": f"{server.RESPONSE_BYTES >> 20} MiB",
        "event streams open": f"{options.watchers}",
        "calls in a second": f"{options.calls_per_second:,}",
        "calls at once after a quiet time": f"{options.burst:,}",
        "length of a `request_id`": f"{requests.MAX_ID}",
        "heartbeat when nothing is said": seconds(execution_service.HEARTBEAT),
        "longest `WaitExecution`": seconds(inspection_service.LONGEST_WAIT),
        "executions in a page, unless asked": f"{inspection_service.EXECUTIONS_AT_ONCE}",
        "entries in any page": f"{paging.MAX_PAGE:,}",
        "details of an error": f"{status.MAX_DETAIL_BYTES:,} bytes",
        "path of a socket": f"{MAX_SOCKET_PATH} bytes",
    }
    assert f"calls have {options.stop_grace.total_seconds():.0f} s to end" in TEXT
    assert f"The token has at least {MIN_TOKEN_BYTES} bytes" in TEXT
