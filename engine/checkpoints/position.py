"""The merged tree at a position in the tree of layers: the base, or a committed layer over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.workspace.changes import BaseTree, LayeredTree, Tree
from sandbox.workspace.layer import LayerName
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.store import LayerStore


@contextmanager
def tree_at(store: LayerStore, base: Path, hide: Manifest | None, layer: LayerName | None) -> Iterator[Tree]:
    """What a step that starts from `layer` (None: the base) sees. Its volume is open. Blocking.

    Raises:
      TreeRefusedError: `base` is not a directory any more. LayerNotFoundError, LayerCorruptError.
    """
    with BaseTree(base, hide) as below:
        if layer is None:
            yield below
        else:
            name = layer
            yield LayeredTree(store.merged_manifest(name), below, lambda path: store.open_file(name, path))
