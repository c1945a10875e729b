"""Whatever steps make of whatever project: apply gives exactly that, and undo exactly what was there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from engine.checkpoints import names
from tests.unit.engine.checkpoints.project_bench import Bench, facts, times
from tests.unit.engine.checkpoints.random_trees import TREES, put


@pytest.mark.parametrize("exchanges", [True, False])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(before=TREES, after=TREES)
def test_apply_gives_what_the_steps_made_and_undo_what_was_there(
    before, after, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a file system that can neither exchange names nor refuse to replace."""
    if not exchanges:
        monkeypatch.setattr(names, "_NOREPLACE", 1 << 30)
        monkeypatch.setattr(names, "_EXCHANGE", 1 << 30)
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        put(before, bench.project)
        bench.start()
        put(after, bench.head)
        bench.seal()
        original, stamps = facts(bench.project), times(bench.project)
        report = bench.apply("**")  # also when most of it is deleted
        assert facts(bench.project) == facts(bench.head)
        if report.id is not None:
            bench.undo()
        assert facts(bench.project) == original
        assert times(bench.project) == stamps
