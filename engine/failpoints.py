"""The engine's points at which tests kill it; see `sandbox.failpoints` for how, `checkpoints.staging` for apply's."""

from __future__ import annotations

from sandbox.failpoints import Failpoint


class EnginePoint(Failpoint):
    """Directly after what the name says, `before-` directly before it."""

    BEFORE_JOURNAL_ROW = "before-journal-row"
    JOURNAL_ROW_WRITTEN = "journal-row-written"
    """In the transaction; it is not committed."""
    AFTER_JOURNAL_ROW = "after-journal-row"
    """Committed; nobody has been told."""
    LOG_WRITTEN = "log-written"
    """Under its temporary name."""
    BEFORE_ROLLBACK = "before-rollback"
    AFTER_ROLLBACK = "after-rollback"
    GC_VOLUMES_REMOVED = "gc-volumes-removed"
    GC_ROWS_REMOVED = "gc-rows-removed"
    GC_CHECKPOINTS_FORGOTTEN = "gc-checkpoints-forgotten"
    GC_LAYER_REMOVED = "gc-layer-removed"
    BEFORE_FORK_ROW = "before-fork-row"
    """It has its volume and the layer that it starts from."""
    AFTER_FORK_ROW = "after-fork-row"
    EXPORT_WRITTEN = "export-written"
    """On the disk, and not in its place."""
    EXPORT_PLACED = "export-placed"
    BEFORE_RECOVERY = "before-recovery"
    """Of an execution."""
    EXECUTION_RECOVERED = "execution-recovered"
