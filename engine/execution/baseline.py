"""Records what the user's directory had at each path that a layer changes, the first time it is changed."""

from __future__ import annotations

from typing import Any

from engine.checkpoints import baseline
from engine.execution.run import Run
from sandbox.workspace.layer import LayerName
from sandbox.workspace.store import LayerStore


class BaseRecorder:
    """Reads the base; the driver writes what it finds to the journal together with the checkpoint."""

    def __init__(self, store: LayerStore) -> None:
        self._store = store

    def record(self, run: Run, layer: LayerName) -> dict[bytes, dict[str, Any] | None]:
        """As `driver.BaselineRecorder` says."""
        hide = run.context.hide.mask(run.context.plan.sandbox.hide)
        found = baseline.record(run.context.workspace, self._store.manifest(layer), run.recorded, hide)
        run.recorded.update(dict.fromkeys(found))
        return found
