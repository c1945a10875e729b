"""What a sandbox may be asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sandbox.errors import SpecRefusedError
from sandbox.policy import MAX_ARGUMENT_BYTES, SHELL_OWNED, check_request, check_spec, encode
from sandbox.spec import MIB, ContainerLimits, ExecRequest, SandboxSpec

SPEC = SandboxSpec("sha256:" + "a" * 64)


def test_a_plain_spec_and_request_pass() -> None:
    check_spec(SPEC)
    check_request(ExecRequest("make", cwd="/workspace/src", env={"A_1": "x=y\n"}, secrets={"T": ""}, stdin="in"))
    check_request(ExecRequest(("make", "", "-j2")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image_id", "debian:bookworm-slim"),
        ("image_id", "--privileged"),
        ("image_id", "sha256:" + "a" * 63),
        ("network", "bridge"),
        ("network", "host"),
        ("network", "setup"),
        ("runtime", "../runc"),
        ("runtime", ""),
    ],
)
def test_a_spec_that_no_step_may_have_is_refused_by_field(field: str, value: str) -> None:
    with pytest.raises(SpecRefusedError) as refused:
        check_spec(replace(SPEC, **{field: value}))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [("memory_bytes", 4 * MIB), ("cpus", 0), ("cpus", 1e9), ("pids", 0), ("tmp_bytes", 0)],
)
def test_a_limit_out_of_its_range_is_refused(field: str, value: float) -> None:
    limits: dict[str, Any] = {field: value}
    with pytest.raises(SpecRefusedError) as refused:
        check_spec(replace(SPEC, limits=ContainerLimits(**limits)))
    assert refused.value.field == f"limits.{field}"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"command": ""}, "command"),
        ({"command": ()}, "command"),
        ({"command": ("",)}, "command"),
        ({"command": "a\0b"}, "command"),
        ({"command": "\ud800"}, "command"),
        ({"command": "x" * (MAX_ARGUMENT_BYTES + 1)}, "command"),
        ({"cwd": "/"}, "cwd"),
        ({"cwd": "/proc/self/fd/8"}, "cwd"),
        ({"cwd": "/workspace/../etc"}, "cwd"),
        ({"cwd": "/workspacex"}, "cwd"),
        ({"cwd": "src"}, "cwd"),
        ({"cwd": ""}, "cwd"),
        ({"env": {"": "x"}}, "env"),
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"1A": "x"}}, "env"),
        ({"env": {"A\n": "x"}}, "env"),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"env": {"A": "x" * MAX_ARGUMENT_BYTES}}, "env.A"),
        ({"env": {f"A{number}": "x" * 100_000 for number in range(11)}}, "env"),
        ({"secrets": {"B C": "x"}}, "secrets"),
        ({"secrets": {"B": "\0"}}, "secrets.B"),
        ({"env": {"A": "x"}, "secrets": {"A": "y"}}, "secrets"),
        ({"stdin": "\0"}, "stdin"),
        ({"stdin": "x" * (16 * MIB + 1)}, "stdin"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"output_limit_bytes": -1}, "output_limit_bytes"),
    ],
)
def test_what_could_not_be_carried_out_exactly_is_refused_by_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecRefusedError) as refused:
        check_request(ExecRequest(**{"command": "true", **fields}))
    assert refused.value.field == named


@pytest.mark.parametrize("name", sorted(SHELL_OWNED))
def test_names_that_belong_to_the_shell_are_refused(name: str) -> None:
    with pytest.raises(SpecRefusedError):
        check_request(ExecRequest("true", env={name: "1"}))


def test_a_refusal_never_shows_a_secrets_value() -> None:
    with pytest.raises(SpecRefusedError) as refused:
        check_request(ExecRequest("true", secrets={"T": "hunter2\0"}))
    assert "hunter2" not in str(refused.value)


def test_bytes_that_were_not_text_pass_through() -> None:
    assert encode("x", b"\xff\xfe".decode("utf-8", "surrogateescape")) == b"\xff\xfe"
