"""Rules across a plan: ids, needs, rollback targets, secrets, keys said twice. Pure, and total over any plan.

Works on steps that could be read and on stand-ins for those that could not, so that one faulty step does not
hide what is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.plan.model import Plan, PlanHeader
from engine.plan.refusal import did_you_mean, shown
from engine.plan.settings import SANDBOX_KEYS, OnFailure, RetrySettings
from engine.plan.source import Loc
from engine.plan.steps import FileEditStep, StepBase


@dataclass(frozen=True, slots=True)
class Unread:
    """A step that could not be read; `id` as far as it is known, else ""."""

    id: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken rule: where (keys and indexes from the top), what, and what would be right."""

    loc: Loc
    message: str
    hint: str = ""


def find_problems(plan: Plan) -> list[Problem]:
    """Every rule across steps that `plan` breaks; empty for one that may be run."""
    return list(problems_among(plan, plan.steps))


def problems_among(header: PlanHeader, steps: Sequence[StepBase | Unread]) -> Iterator[Problem]:
    """The same for a plan that could be read in part."""
    first: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.id in first:
            yield _duplicate(steps, index, first[step.id])
        elif step.id:
            first[step.id] = index
    yield from _header_problems(header, steps, first)
    for index, step in enumerate(steps):
        if isinstance(step, StepBase):
            yield from _step_problems(header, step, index, first)


def _duplicate(steps: Sequence[StepBase | Unread], index: int, first: int) -> Problem:
    step_id = steps[index].id
    hint = "give each step an id of its own; a step without one is called step-N, N its number in the plan"
    return Problem(("steps", index, "id"), f"the id {shown(step_id)} is taken by steps[{first}]", hint)


def _header_problems(
    header: PlanHeader, steps: Sequence[StepBase | Unread], first: Mapping[str, int]
) -> Iterator[Problem]:
    for index, name in enumerate(header.secrets):
        if name in header.env:
            yield Problem(("secrets", index), f"{name} is in env too", "a variable has one value: keep one of the two")
    yield from _retry_problems(header.retry, ("retry", "max"))
    target = header.rollback_to
    if target is None:
        return
    if target not in first:
        yield Problem(("rollback_to",), f"no step has the id {shown(target)}", did_you_mean(target, first))
    elif not any(isinstance(step, Unread) or _policy(header, step) is OnFailure.ROLLBACK for step in steps):
        yield _without_effect(("rollback_to",), header.on_failure)


def _without_effect(loc: Loc, policy: OnFailure) -> Problem:
    return Problem(loc, f"it has no effect with on_failure: {policy}", "leave one of them out")


def _policy(header: PlanHeader, step: StepBase) -> OnFailure:
    return step.on_failure or header.on_failure


def _step_problems(header: PlanHeader, step: StepBase, index: int, first: Mapping[str, int]) -> Iterator[Problem]:
    here: Loc = ("steps", index)
    for position, need in enumerate(step.needs):
        yield from _reference_problems((*here, "needs", position), need, step, index, first)
    if step.rollback_to is not None:
        yield from _reference_problems((*here, "rollback_to"), step.rollback_to, step, index, first)
        policy = _policy(header, step)
        if policy is not OnFailure.ROLLBACK:
            yield _without_effect((*here, "rollback_to"), policy)
    yield from _twice_problems(step, here)
    yield from _availability_problems(step, here)
    if step.retry is not None:
        yield from _retry_problems((header.retry or RetrySettings()).over(step.retry), (*here, "retry", "max"))
    for name in header.secrets:
        if name in step.env:
            yield Problem((*here, "env", name), f"{name} is one of the plan's secrets", "give it another name")


def _reference_problems(
    loc: Loc, target: str, step: StepBase, index: int, first: Mapping[str, int]
) -> Iterator[Problem]:
    """A step can only name steps that come before it: with that rule there are no cycles."""
    where = first.get(target)
    if where is None:
        yield Problem(loc, f"no step has the id {shown(target)}", did_you_mean(target, first))
    elif target == step.id:
        yield Problem(loc, "a step cannot name itself", "name a step that comes before it")
    elif where > index:
        yield Problem(
            loc,
            f"{shown(target)} comes later, as steps[{where}]",
            "steps run in order: name a step that comes before this one, or move that one up",
        )


def _twice_problems(step: StepBase, here: Loc) -> Iterator[Problem]:
    for key in SANDBOX_KEYS:
        if step.sandbox is not None and getattr(step, key) is not None and getattr(step.sandbox, key) is not None:
            yield Problem((*here, key), "the key is also under this step's sandbox", "keep one of the two")


def _retry_problems(retry: RetrySettings | None, loc: Loc) -> Iterator[Problem]:
    if retry is not None and retry.max < retry.initial:
        yield Problem(loc, "max is shorter than initial", "max is the longest wait: make it at least initial")


def _availability_problems(step: StepBase, here: Loc) -> Iterator[Problem]:
    """What the plan language has and this version has not. The one place to change when it has."""
    if isinstance(step, FileEditStep) and step.instruction is not None:
        yield Problem(
            (*here, "instruction"),
            "this version cannot ask a model for an edit",
            "say the edit with replace, insert, patch or content",
        )
