"""The gate's text: what is written to a container's shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.docker.gate import quote, request_script
from sandbox.spec import ExecRequest

NONCE = "0123456789abcdef" * 2
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=50, deadline=None)
@given(text=st.binary(max_size=60).map(lambda text: text.replace(b"\0", b"")))
def test_a_quoted_text_is_one_word_byte_for_byte(shell: str, text: bytes) -> None:
    done = subprocess.run([shell], input=b"printf '%s' " + quote(text), capture_output=True, check=True)
    assert done.stdout == text


def test_secrets_are_in_the_text_only_as_quoted_values() -> None:
    script = request_script(ExecRequest("true", secrets={"TOKEN": "a'b"}), NONCE)
    assert b"export TOKEN='a'\\''b'\n" in script


def test_the_request_is_one_compound_command() -> None:
    """A shell that reads its commands from a pipe must not run the first half before it has read the second."""
    script = request_script(ExecRequest("echo hi", stdin="x", env={"A": "1"}), NONCE)
    assert script.startswith(b"{ ")
    assert script.endswith(b"\n}\n")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "request_",
    [
        ExecRequest("echo hi"),
        ExecRequest(("a", "b'c", "")),
        ExecRequest(("-x",)),
        ExecRequest("cat", stdin="two\nlines"),
        ExecRequest("x\ny'\n", cwd="/workspace/it's", env={"A": "\n"}, secrets={"B": "`"}),
    ],
)
def test_the_text_is_good_syntax(shell: str, request_: ExecRequest) -> None:
    """Only read, not run: as anything but PID 1 of a container the gate would kill its whole user."""
    subprocess.run([shell, "-n"], input=request_script(request_, NONCE), check=True)


def test_the_trailer_is_not_in_the_text_as_it_is_printed() -> None:
    """The engine may echo nothing of the request, but if it did, it must not end the attempt."""
    script = request_script(ExecRequest("true"), NONCE)
    assert b"\x1e" not in script
