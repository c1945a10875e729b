"""Reports for other programs: SARIF 2.1.0 for code hosts, JUnit XML for CI servers, GitHub's workflow commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from engine.validation.formats.github import github
from engine.validation.formats.junit import junit
from engine.validation.formats.sarif import sarif
from engine.validation.report import ValidationReport

FORMATS: Final[Mapping[str, Callable[[ValidationReport], str]]] = MappingProxyType(
    {"sarif": sarif, "junit": junit, "github": github}
)
"""The whole text of a report, by the name of its form."""
