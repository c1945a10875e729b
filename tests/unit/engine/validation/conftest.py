"""Workspaces with the real tools of this environment, and with tools that the tests write."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.engine.validation.local_sandbox import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The real ruff and mypy, from the environment that runs the tests."""
    return Bench(tmp_path, Path(sys.executable).parent)


@pytest.fixture
def fake(tmp_path: Path) -> Bench:
    """No tools but those that the test writes."""
    return Bench(tmp_path)
