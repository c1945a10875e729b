"""From the facts of how an attempt ended to its verdict: one pure function, `judge`.

Telling the sandbox's failure from the command's is decided here and nowhere else. The rules, first match wins:

1. the caller killed it: `killed`;
2. a resource limit was hit, whatever happened afterwards and whatever the exit code says: `out_of_memory`,
   `output_limit`, `disk_limit`, `pids_limit`. A step that ran out of memory and then hung ran out of memory;
3. the time was up: `timeout`;
4. the container ended before its command, and not by our hand: `sandbox_unavailable` when the kernel or the
   engine says that something outside did it, else `killed`: the step broke the gate;
5. the gate's two trailers, or they and the kernel, disagree about the exit code: `killed`, because the step forged one;
6. none: the command ended by itself, and its exit code counts.

The exit code is the command's own when the trailer told it and the kernel does not say otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.spec import Verdict


@dataclass(frozen=True, slots=True)
class GateExit:
    """How PID 1 of the container ended, by the kernel's or the engine's word: a code, or a signal."""

    code: int | None = None
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about how an attempt ended.

    stopped_for: why the controller killed the container (`sandbox_unavailable`: it could no longer see what
    happened in it), None when it did not.
    trailer_code: what the gate's trailers said; None unless both came and say the same. contradiction: both came
    and differ.
    gate: how PID 1 ended; None when nobody can tell.
    gone: the engine no longer knows the container, or does not answer; says which.
    """

    stopped_for: Verdict | None = None
    trailer_code: int | None = None
    contradiction: bool = False
    gate: GateExit | None = None
    oom_kills: int = 0
    pids_limit_hits: int = 0
    volume_full: bool = False
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome: see `ExecResult`."""

    exit_code: int | None
    verdict: Verdict | None = None
    detail: str = ""


_SIGKILL = 9
_STOPPED_DETAIL = {
    Verdict.TIMEOUT: "the time limit was reached",
    Verdict.KILLED: "it was killed on request",
    Verdict.OUTPUT_LIMIT: "it wrote more output than the limit allows",
    Verdict.DISK_LIMIT: "the workspace's disk limit was reached",
}


def judge(facts: Facts) -> Judgement:
    """The outcome of an attempt; the rules are in the module's docstring."""
    exit_code = _exit_code(facts)
    if facts.stopped_for is Verdict.KILLED:
        return _stopped(Verdict.KILLED)
    if facts.oom_kills:
        detail = f"{_count(facts.oom_kills, 'process was', 'processes were')} killed for want of memory"
        return Judgement(exit_code, Verdict.OUT_OF_MEMORY, detail)
    if facts.stopped_for is Verdict.OUTPUT_LIMIT:
        return _stopped(Verdict.OUTPUT_LIMIT)
    if facts.volume_full or facts.stopped_for is Verdict.DISK_LIMIT:
        return Judgement(exit_code, Verdict.DISK_LIMIT, _STOPPED_DETAIL[Verdict.DISK_LIMIT])
    if facts.pids_limit_hits:
        detail = f"the limit of processes refused {_count(facts.pids_limit_hits, 'new one', 'new ones')}"
        return Judgement(exit_code, Verdict.PIDS_LIMIT, detail)
    if facts.stopped_for is Verdict.TIMEOUT:
        return _stopped(Verdict.TIMEOUT)
    if not facts.contradiction and (facts.stopped_for is Verdict.SANDBOX_UNAVAILABLE or facts.trailer_code is None):
        return _lost(facts)
    if exit_code is None:
        return Judgement(None, Verdict.KILLED, "the sandbox's first process did not end as it said it would")
    return Judgement(exit_code)


def _exit_code(facts: Facts) -> int | None:
    if facts.trailer_code is None or facts.stopped_for is not None:
        return None
    if facts.gate is not None and facts.gate != GateExit(code=facts.trailer_code):
        return None
    return facts.trailer_code


def _stopped(verdict: Verdict) -> Judgement:
    return Judgement(None, verdict, _STOPPED_DETAIL[verdict])


def _lost(facts: Facts) -> Judgement:
    if facts.gone:
        return Judgement(None, Verdict.SANDBOX_UNAVAILABLE, f"the container was lost: {facts.gone}")
    if facts.gate is None or facts.gate.signal == _SIGKILL:
        # From inside its own pid namespace nothing can kill PID 1, so this came from the host.
        return Judgement(None, Verdict.SANDBOX_UNAVAILABLE, "the container was killed from outside")
    return Judgement(None, Verdict.KILLED, "the sandbox's first process ended before the command did")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
