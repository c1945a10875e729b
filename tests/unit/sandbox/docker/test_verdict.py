"""The table of verdicts."""

from __future__ import annotations

import pytest

from sandbox.docker.verdict import Facts, GateExit, judge
from sandbox.spec import Verdict

V = Verdict
ZERO, NINE, SIGKILLED, SIGSEGV = GateExit(code=0), GateExit(code=9), GateExit(signal=9), GateExit(signal=11)

TABLE: list[tuple[str, Facts, int | None, Verdict | None]] = [
    ("ended well", Facts(trailer_code=0, gate=ZERO), 0, None),
    ("ended badly", Facts(trailer_code=9, gate=NINE), 9, None),
    ("ended, and the kernel is silent", Facts(trailer_code=9), 9, None),
    ("time was up", Facts(stopped_for=V.TIMEOUT, gate=SIGKILLED), None, V.TIMEOUT),
    ("too much output", Facts(stopped_for=V.OUTPUT_LIMIT, gate=SIGKILLED), None, V.OUTPUT_LIMIT),
    ("disk full", Facts(stopped_for=V.DISK_LIMIT, gate=SIGKILLED, volume_full=True), None, V.DISK_LIMIT),
    ("killed on request", Facts(stopped_for=V.KILLED, gate=SIGKILLED), None, V.KILLED),
    ("killed on request while out of memory", Facts(stopped_for=V.KILLED, oom_kills=1), None, V.KILLED),
    ("out of memory", Facts(trailer_code=137, gate=GateExit(code=137), oom_kills=1), 137, V.OUT_OF_MEMORY),
    ("out of memory, said all is well", Facts(trailer_code=0, gate=ZERO, oom_kills=1), 0, V.OUT_OF_MEMORY),
    ("out of memory, then hung", Facts(stopped_for=V.TIMEOUT, oom_kills=2), None, V.OUT_OF_MEMORY),
    ("out of memory, the gate itself", Facts(gate=SIGKILLED, oom_kills=1), None, V.OUT_OF_MEMORY),
    ("out of memory and pids", Facts(trailer_code=1, oom_kills=1, pids_limit_hits=1), 1, V.OUT_OF_MEMORY),
    ("pids", Facts(trailer_code=0, gate=ZERO, pids_limit_hits=3), 0, V.PIDS_LIMIT),
    ("pids, then hung", Facts(stopped_for=V.TIMEOUT, pids_limit_hits=3), None, V.PIDS_LIMIT),
    ("disk full, said all is well", Facts(trailer_code=0, gate=ZERO, volume_full=True), 0, V.DISK_LIMIT),
    ("disk full, then hung", Facts(stopped_for=V.TIMEOUT, volume_full=True), None, V.DISK_LIMIT),
    ("removed by hand", Facts(gate=SIGKILLED, gone="it was removed"), None, V.SANDBOX_UNAVAILABLE),
    ("killed by hand", Facts(gate=SIGKILLED), None, V.SANDBOX_UNAVAILABLE),
    ("nobody knows how", Facts(), None, V.SANDBOX_UNAVAILABLE),
    ("connection broke", Facts(stopped_for=V.SANDBOX_UNAVAILABLE, gone="x"), None, V.SANDBOX_UNAVAILABLE),
    ("gate broken by the step", Facts(gate=SIGSEGV), None, V.KILLED),
    ("gate talked into ending", Facts(gate=ZERO), None, V.KILLED),
    ("forged trailer", Facts(trailer_code=0, gate=NINE), None, V.KILLED),
    ("two trailers", Facts(contradiction=True, gate=SIGKILLED), None, V.KILLED),
    ("trailer, then the gate was killed", Facts(trailer_code=0, gate=SIGKILLED), None, V.KILLED),
]


@pytest.mark.parametrize(("facts", "exit_code", "verdict"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_verdict(facts: Facts, exit_code: int | None, verdict: Verdict | None) -> None:
    judgement = judge(facts)
    assert (judgement.exit_code, judgement.verdict) == (exit_code, verdict)


@pytest.mark.parametrize("facts", [row[1] for row in TABLE if row[3] is not None])
def test_every_verdict_is_explained(facts: Facts) -> None:
    assert judge(facts).detail


def test_no_explanation_without_a_verdict() -> None:
    assert judge(Facts(trailer_code=1)).detail == ""
