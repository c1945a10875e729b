"""The text that a set-up's container is told, run by the shells that it may meet."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.docker.mentioned import MentionedFile
from sandbox.docker.network import NetworkSettings
from sandbox.docker.setup_script import CA_FILE, marker, setup_script

NONCE = "0123abcd"
SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
NO_NETWORK = NetworkSettings()
ALL_BYTES = bytes(range(256)) + b"-----BEGIN %s \\n '\"\n" + b"\0" * 3


def run(shell: list[str], script: bytes, directory: Path) -> subprocess.CompletedProcess[bytes]:
    """Run it with /workspace, /run, /root and /tmp being directories below `directory`, which is $TOP."""
    top = str(directory).encode()
    moved = re.sub(rb"(?<![^\s'\"=])/(workspace|run|tmp|root)\b", rb"%s/\1" % top, script)
    for name in ("workspace", "run", "tmp", "root"):
        (directory / name).mkdir()
    environment = {"PATH": os.environ["PATH"], "TOP": str(directory)}
    return subprocess.run(shell, input=moved, capture_output=True, timeout=30, check=False, env=environment)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_files_arrive_byte_for_byte(shell: list[str], tmp_path: Path) -> None:
    files = [
        MentionedFile(b"deep/er/all bytes", ALL_BYTES * 300, executable=False),
        MentionedFile(b"it's", b"", executable=True),
    ]
    kept = "cp -R . $TOP/kept"
    ended = run(shell, setup_script([kept], files, NO_NETWORK, NONCE), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, f"\x1e{NONCE} 0\n".encode())
    assert (tmp_path / "kept/deep/er/all bytes").read_bytes() == ALL_BYTES * 300
    assert (tmp_path / "kept/it's").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_commands_run_in_order_each_in_a_shell_of_its_own_and_say_when_they_start(
    shell: list[str], tmp_path: Path
) -> None:
    script = setup_script(["cd /; X=1; echo one", "echo $X-two; cat", "pwd"], [], NO_NETWORK, NONCE)
    ended = run(shell, script, tmp_path)
    expected = f"\x1e{NONCE} 0\none\n\x1e{NONCE} 1\n-two\n\x1e{NONCE} 2\n{tmp_path}/workspace\n"
    assert (ended.returncode, ended.stdout.decode()) == (0, expected)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_first_command_that_fails_ends_it_with_its_exit_code(shell: list[str], tmp_path: Path) -> None:
    ended = run(shell, setup_script(["true", "exit 7", "echo never"], [], NO_NETWORK, NONCE), tmp_path)
    assert ended.returncode == 7
    assert b"never" not in ended.stdout


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_workspace_and_what_was_put_in_tmp_are_gone_at_the_end(shell: list[str], tmp_path: Path) -> None:
    files = [MentionedFile(b"a/b", b"x", False), MentionedFile(b".hidden", b"x", False)]
    files.append(MentionedFile(b"..odd", b"x", False))
    commands = ["echo x > $TOP/tmp/.left", "echo x > $TOP/tmp/..left"]
    ended = run(shell, setup_script(commands, files, NO_NETWORK, NONCE), tmp_path)
    assert ended.returncode == 0
    assert list((tmp_path / "workspace").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_commands_see_the_network_settings_and_where_the_certificates_are(shell: list[str], tmp_path: Path) -> None:
    network = NetworkSettings({"https_proxy": "http://u:it's@p"}, "-----BEGIN CERTIFICATE-----\n")
    command = 'echo "$https_proxy"; cat "$SSL_CERT_FILE"; echo "$PIP_CERT"'
    ended = run(shell, setup_script([command], [], network, NONCE), tmp_path)
    _, proxy, certificate, where = ended.stdout.decode().rstrip().split("\n")
    assert (proxy, certificate) == ("http://u:it's@p", "-----BEGIN CERTIFICATE-----")
    assert where.endswith(CA_FILE)


def test_the_shell_has_read_all_of_it_before_it_runs_any_of_it() -> None:
    script = setup_script(["true"], [], NO_NETWORK, NONCE)
    assert script.startswith(b"{\n")
    assert script.endswith(b"\n}\n")


def test_a_variable_that_no_shell_could_set_is_not_set() -> None:
    script = setup_script(["true"], [], NetworkSettings({"a b; touch x": "1"}), NONCE)
    assert b"touch" not in script


def test_only_a_whole_marker_line_is_a_marker() -> None:
    pattern = marker(NONCE)
    assert pattern.search(f"no newline before\x1e{NONCE} 12")
    assert not pattern.search(f"\x1e{NONCE} 12 more")
    assert not pattern.search("\x1effff 1")
