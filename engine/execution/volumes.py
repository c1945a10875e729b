"""The volumes of executions: one that holds an execution's layers, one more for each step with its own disk limit."""

from __future__ import annotations

from typing import Final

from engine.execution.attempt import Blocking, ExecutionContext
from engine.execution.run import Run
from sandbox.errors import LayerNotFoundError
from sandbox.workspace.layer import DiskLimit, VolumeId
from sandbox.workspace.store import LayerStore

BYTES_PER_INODE: Final = 8192
MIN_INODES: Final = 1024


def disk_limit(disk_bytes: int) -> DiskLimit:
    """Bytes and inodes of a volume for a plan's `disk`."""
    return DiskLimit(disk_bytes, max(MIN_INODES, disk_bytes // BYTES_PER_INODE))


class ExecutionVolumes:
    """Makes, opens and closes them."""

    def __init__(self, store: LayerStore, blocking: Blocking) -> None:
        self._store = store
        self._blocking = blocking

    def create(self, context: ExecutionContext) -> None:
        """Blocking. The execution's own volume. Raises as `LayerStore.create_volume`."""
        sandbox = context.plan.sandbox
        self._store.create_volume(
            context.volume, context.workspace, disk_limit(sandbox.disk), context.hide.mask(sandbox.hide)
        )

    def discard(self, volume: VolumeId) -> None:
        """Blocking. Remove a volume of an execution that is not accepted, if it was made."""
        self._store.close_volume(volume)
        if volume in self._store.volumes():
            self._store.remove_volume(volume)

    async def of_step(self, run: Run, index: int) -> VolumeId:
        """The volume that a step's layers go to, open; that of the layer they will stand on is open, too.

        After a resume the head may be in the volume of a step that had its own.
        """
        plan = run.context.plan
        await self._blocking(self._open_below, run)
        disk = plan.settings_for(plan.steps[index]).disk_bytes
        if disk == plan.sandbox.disk:
            return run.context.volume
        volume = _own(run, index)
        await self._blocking(self._ensure, run.context, volume, disk_limit(disk))
        return volume

    def _open_below(self, run: Run) -> None:
        if run.head.layer is not None:
            self._store.open_volume(self._store.stat(run.head.layer).volume)

    def _ensure(self, context: ExecutionContext, volume: VolumeId, limit: DiskLimit) -> None:
        try:
            self._store.open_volume(volume)
        except LayerNotFoundError:
            mask = context.hide.mask(context.plan.sandbox.hide)
            self._store.create_volume(volume, context.workspace, limit, mask)

    def close(self, run: Run) -> None:
        """Blocking. Close every volume that the run may have opened."""
        plan = run.context.plan
        self._store.close_volume(run.context.volume)
        for index, step in enumerate(plan.steps):
            if plan.settings_for(step).disk_bytes != plan.sandbox.disk:
                self._store.close_volume(_own(run, index))


def _own(run: Run, index: int) -> VolumeId:
    """The volume of a step that has its own."""
    return VolumeId(f"{run.context.volume}-{index}")
