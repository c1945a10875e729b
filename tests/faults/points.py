"""The plans that are killed, the named points at which they are, and how often each point has to be reached before.

Every registered point is in one of the tables; a point that is reached no more fails its tests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from engine.checkpoints.staging import Point
from engine.failpoints import EnginePoint
from sandbox.failpoints import Failpoint, SandboxPoint

THOROUGH: Final = os.environ.get("SANDSTONE_THOROUGH") == "1"
"""Also the cases that take minutes and tell little that is new: a later time of each point, each point with no room at
all. `make test` leaves them out, `SANDSTONE_THOROUGH=1 make test` does not."""

HEAD: Final = "version: 1\nsandbox: {disk: 16MiB, memory: 64MiB}\nsteps:\n"
PLAN: Final = HEAD + (
    '  - {id: make, type: file_create, path: log, content: "make\\n"}\n'
    "  - {id: first, type: command, run: 'echo first >> log; rm -r old; echo said'}\n"
    "  - {id: edit, type: file_edit, path: kept, replace: {search: kept, with: changed}}\n"
    "  - {id: roomy, type: command, run: 'echo roomy >> log; cat log', sandbox: {disk: 17MiB}}\n"
    '  - {id: last, type: file_create, path: last, content: ""}\n'
)
"""Two volumes, two containers, five steps."""
LOG: Final = "make\nfirst\nroomy\n"
CHANGES: Final = {"log": "added", "last": "added", "kept": "modified", "old": "deleted", "old/file": "deleted"}

MANY: Final = 18
MANY_PLAN: Final = HEAD + "".join(
    f"  - {{id: s{n}, type: file_create, path: f{n}, content: '{n}'}}\n" for n in range(MANY)
)
"""Enough layers for some of them to be merged."""

LOOKING_PLAN: Final = HEAD + (
    "  - {id: first, type: command, run: 'true'}\n"
    "  - {id: second, type: test, run: 'true'}\n"
    "  - {id: third, type: command, run: 'true'}\n"
)
"""Layers that come and go: nothing is changed."""

FAILING_PLAN: Final = HEAD + (
    '  - {id: make, type: file_create, path: log, content: "make\\n"}\n'
    "  - {id: fails, type: command, run: 'echo junk > junk; exit 3'}\n"
    "  - {id: never, type: file_create, path: never, content: ''}\n"
)

RUN, RESUME = "run", "resume"


@dataclass(frozen=True)
class Kill:
    """The command is killed at the point when it reaches it for the `nth` time."""

    command: str
    nth: int = 1


_S, _E = SandboxPoint, EnginePoint
ONCE_MORE: Final = (Kill(RUN), Kill(RESUME, 2))
ONCE_A_COMMAND: Final = (Kill(RUN), Kill(RESUME))
TWO_VOLUMES: Final = (Kill(RUN), Kill(RUN, 2))

STEP_POINTS: Final[dict[Failpoint, tuple[Kill, ...]]] = {
    _S.LEASE_TAKEN: ONCE_A_COMMAND,
    _S.VOLUME_RESERVED: TWO_VOLUMES,
    _S.VOLUME_FORMATTED: TWO_VOLUMES,
    _S.VOLUME_ATTACHED: TWO_VOLUMES,
    _S.VOLUME_RECORDED: TWO_VOLUMES,
    _S.VOLUME_TRIMMED: (Kill(RUN), Kill(RUN, 2)),
    _S.VOLUME_DETACHED: (Kill(RUN), Kill(RUN, 2)),
    _S.BEFORE_CREATE: ONCE_MORE,
    _S.CONTAINER_CREATED: ONCE_MORE,
    _S.CONTAINER_STARTED: ONCE_MORE,
    _S.CONTAINER_READY: ONCE_MORE,
    _S.CONTAINER_REMOVED: ONCE_MORE,
    _S.LAYER_RECORDED: ONCE_MORE,
    _S.LAYER_MADE: ONCE_MORE,
    _S.BEFORE_MOUNT: ONCE_MORE,
    _S.AFTER_MOUNT: ONCE_MORE,
    _S.RUNNING: ONCE_MORE,
    _S.COMMAND_ENDED: ONCE_MORE,
    _S.SANDBOX_DEAD: ONCE_MORE,
    _S.AFTER_UNMOUNT: ONCE_MORE,
    _S.BEFORE_SEAL: ONCE_MORE,
    _S.MANIFEST_WRITTEN: ONCE_MORE,
    _S.LAYER_SYNCED: ONCE_MORE,
    _S.AFTER_SEAL: ONCE_MORE,
    _E.BEFORE_JOURNAL_ROW: (Kill(RUN), Kill(RUN, 7), Kill(RESUME, 3)),
    _E.JOURNAL_ROW_WRITTEN: (Kill(RUN), Kill(RUN, 4), Kill(RESUME, 3)),
    _E.AFTER_JOURNAL_ROW: (Kill(RUN), Kill(RUN, 4), Kill(RESUME, 3)),
    _E.LOG_WRITTEN: ONCE_A_COMMAND,
}


MERGE_POINTS: Final[dict[Failpoint, tuple[Kill, ...]]] = {
    _S.MERGING: (Kill(RUN), Kill(RESUME, 5)),
    _S.MERGED: ONCE_A_COMMAND,
    _S.MERGE_PLACED: (Kill(RUN),),
}
APPLY_POINTS: Final = {
    Point.RECORDED: 1,
    Point.STAGED_ONE: 2,
    Point.STAGED: 1,
    Point.SWAPPED_ONE: 3,
    Point.SWAPPED: 1,
    Point.COMMITTED: 1,
    Point.DISCARDED_ONE: 2,
    Point.DISCARDED: 1,
    Point.DONE: 1,
}
"""Point -> the later time at which it is reached, too."""
UNDONE_APPLY_POINTS: Final = (Point.TAKEN_BACK_ONE, Point.TAKEN_BACK, Point.FORGOTTEN)
GC_POINTS: Final = (
    _E.GC_ROWS_REMOVED,
    _S.VOLUME_FORGOTTEN,
    _E.GC_VOLUMES_REMOVED,
    _E.GC_CHECKPOINTS_FORGOTTEN,
    _E.GC_LAYER_REMOVED,
)
FORK_POINTS: Final = (_E.BEFORE_FORK_ROW, _E.AFTER_FORK_ROW)
EXPORT_POINTS: Final = (_E.EXPORT_WRITTEN, _E.EXPORT_PLACED)
ROLLBACK_POINTS: Final = (_E.BEFORE_ROLLBACK, _E.JOURNAL_ROW_WRITTEN, _E.AFTER_ROLLBACK)
RECOVERY_POINTS: Final = (
    _S.REAPED_ONE,
    _S.REAPED,
    _S.DEAD_UNMOUNTED,
    _S.DEAD_LAYERS_FORGOTTEN,
    _S.TIDIED_ONE,
    _S.TIDIED,
    _S.LEASES_FORGOTTEN,
    _E.BEFORE_RECOVERY,
    _E.EXECUTION_RECOVERED,
)
