"""What each step type does: one action a type, and the table that names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.execution.actions.command import run_command
from engine.execution.actions.files import create_file, delete_file, edit_file
from engine.execution.actions.tests import run_tests
from engine.execution.actions.validation import run_validation
from engine.execution.attempt import Action

ACTION_OF: Final[Mapping[str, Action]] = {
    "file_create": create_file,
    "file_edit": edit_file,
    "file_delete": delete_file,
    "command": run_command,
    "validation": run_validation,
    "test": run_tests,
}

LOOKS_ONLY: Final = frozenset({"validation"})
"""Types that need no active layer, because they only look at their parent's."""
