"""Packs programs of `engine.validation.programs` into one zip that a Python in the sandbox runs.

    python3 -I ARCHIVE NAME ARGUMENT...        runs `main([ARGUMENT...])` of the program NAME

The text travels with each request, so that an image need not hold it and is never behind it.
"""

from __future__ import annotations

import functools
import io
import zipfile
from importlib.resources import files
from typing import Final

_PACKAGE: Final = "engine/validation/programs"
_PARENTS: Final = ("engine", "engine/validation", _PACKAGE)
_MAIN: Final = """\
import importlib, sys
importlib.import_module("engine.validation.programs." + sys.argv[1]).main(sys.argv[2:])
"""
_TEXTS: Final = {
    entry.name.removesuffix(".py"): entry.read_text(encoding="utf-8")
    for entry in files("engine.validation.programs").iterdir()
    if entry.name.endswith(".py")
}
"""Read at import, so that no file is read on an event loop."""


def available() -> tuple[str, ...]:
    """The names of all modules that can be packed."""
    return tuple(sorted(_TEXTS))


@functools.cache
def pack(modules: frozenset[str]) -> bytes:
    """The archive of these modules; the same bytes for the same text.

    Raises:
      KeyError: there is no such module.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        members = {"__main__.py": _MAIN}
        members |= {f"{parent}/__init__.py": "" for parent in _PARENTS}
        members |= {f"{_PACKAGE}/{name}.py": _TEXTS[name] for name in sorted(modules)}
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()
