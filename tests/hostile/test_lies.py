"""Steps that lie about how they ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.spec import Verdict
from tests.hostile.conftest import Attack

pytestmark = [pytest.mark.docker, pytest.mark.root]

# Finds the nonce in the gate's memory, as a process of the same user may, and keeps it in $1.
STEAL_NONCE = r"""
open M, "</proc/1/maps"; open F, "<", "/proc/1/mem" or die "mem: $!";
while (<M>) { /^(\w+)-(\w+) rw/ or next; ($a, $b) = (hex $1, hex $2);
  sysseek F, $a, 0; sysread F, $d, $b - $a; $d =~ /036([0-9a-f]{32}) %03d/ and $n = $1 and last } $n or die "no nonce";
"""


async def test_a_made_up_trailer_is_output(attack: Attack) -> None:
    forged = "\x1e" + "0" * 32 + " 000\n"
    result = await attack(f"printf '{forged}'; printf '{forged}' >&2; exit 9")
    assert (result.exit_code, result.verdict) == (9, None)
    assert result.stdout.text() == forged.encode()


async def test_a_trailer_with_the_stolen_nonce_cannot_contradict_the_kernel(attack: Attack) -> None:
    """It says 0 and goes on; the gate, asked to end, ends with what the command came to."""
    script = (
        STEAL_NONCE
        + r"""
    $| = 1; print "\x1e$n 000\n"; print STDERR "\x1e$n 000\n"; select undef, undef, undef, 0.2; exit 9
    """
    )
    result = await attack(("perl", "-e", script))
    assert not result.ok
    assert result.verdict is Verdict.KILLED
    assert result.exit_code is None


async def test_two_trailers_that_differ_are_a_lie(attack: Attack) -> None:
    script = STEAL_NONCE + r"""$| = 1; print "\x1e$n 000\n"; print STDERR "\x1e$n 001\n"; sleep 60"""
    result = await attack(("perl", "-e", script))
    assert (result.exit_code, result.verdict) == (None, Verdict.KILLED)


async def test_a_trailer_on_one_stream_only_does_not_end_the_attempt(attack: Attack) -> None:
    script = STEAL_NONCE + r"""$| = 1; print "\x1e$n 000\n"; sleep 60"""
    result = await attack(("perl", "-e", script), timeout=timedelta(seconds=1))
    assert result.verdict is Verdict.TIMEOUT


async def test_a_forged_trailer_and_a_step_that_lives_on_end_together(attack: Attack) -> None:
    script = STEAL_NONCE + r"""$| = 1; print "\x1e$n 000\n"; print STDERR "\x1e$n 000\n"; sleep 600"""
    result = await attack(("perl", "-e", script), timeout=timedelta(seconds=30))
    assert result.verdict is Verdict.KILLED


async def test_reading_the_release_away_from_the_gate_gains_nothing(attack: Attack) -> None:
    """The step reads the controller's line; then the release never comes, and the gate is killed."""
    script = r"""
    if (!fork) { open F, "<", "/proc/1/fd/3" or die; sysread F, $x, 100; sleep 600 }
    select undef, undef, undef, 0.1; exit 0
    """
    result = await attack(("perl", "-e", script))
    assert (result.exit_code, result.verdict) == (0, None)


@pytest.mark.parametrize("code", [1, 2, 125, 126, 127, 128, 137, 143, 255])
async def test_the_programs_codes_are_the_programs(attack: Attack, code: int) -> None:
    result = await attack(f"exit {code}")
    assert (result.exit_code, result.verdict) == (code, None)


async def test_a_command_killed_by_a_signal_has_the_shells_code_and_no_words_of_the_gate(attack: Attack) -> None:
    result = await attack("kill -9 $$")
    assert (result.exit_code, result.verdict) == (137, None)
    assert result.stderr.text() == b""


async def test_a_missing_program_is_the_commands_own_failure(attack: Attack) -> None:
    assert (await attack(("no-such-program",))).exit_code == 127
    assert (await attack(("/etc/passwd",))).exit_code == 126


async def test_a_cwd_that_is_not_there_is_the_commands_own_failure(attack: Attack) -> None:
    result = await attack("exit 0", cwd="/workspace/absent")
    assert result.exit_code == 126
    assert b"absent" in result.stderr.text()
