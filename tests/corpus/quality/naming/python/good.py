"""A module."""

import ast
import unittest


def read_file(path):
    """Read."""
    return path


class FileReader:
    """A reader."""

    def read_all(self, N):
        """Read."""
        return N


class _Private:
    pass


class Visitor(ast.NodeVisitor):
    """Names that are the library's."""

    def visit_Name(self, node):
        """Visit."""


class TestReading(unittest.TestCase):
    """Names that are the library's."""

    def setUp(self):
        """Begin."""


def légère(été):
    """Letters of other languages."""
    return été


def oldName():  # noqa: N802
    """Kept for others."""
