"""Opening the application over a damaged journal removes nothing: its rows do not say any more what is rubbish."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.journal_world import VOLUME, make


def _dead_process_left(home: Path) -> None:
    """A filled journal, the volume of one of its executions, and the lease of a process that was killed."""
    make(home)
    (home / "volumes").mkdir()
    (home / "volumes" / f"{VOLUME}.img").write_bytes(b"layers")
    (home / "leases").mkdir()
    (home / "leases" / "dead").touch()


def _lose_the_volumes(home: Path) -> None:
    with closing(sqlite3.connect(home / "journal.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER volumes_discounted")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name='volumes_counted'").fetchone()
        connection.execute("DELETE FROM volumes")
        connection.execute(
            sql.replace("volumes_counted AFTER INSERT", "volumes_discounted AFTER DELETE").replace("+", "-")
        )


def _empty(home: Path) -> None:
    (home / "journal.db").write_bytes(b"")
    (home / "journal.mark").unlink()


def _remove(home: Path) -> None:
    for path in home.glob("journal.*"):
        path.unlink()


@pytest.fixture(params=[_lose_the_volumes, _empty, _remove])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    _dead_process_left(tmp_path)
    request.param(tmp_path)
    return tmp_path


def _status(home: Path) -> subprocess.CompletedProcess[str]:
    """Any command opens the state directory and puts in order what the dead left."""
    program = Path(sys.executable).with_name("sandstone")
    environment = os.environ | {"SANDSTONE_HOME": str(home)}
    return subprocess.run([program, "status"], env=environment, capture_output=True, text=True, check=False)


def test_volumes_stay_when_the_journal_lost_their_rows(damaged: Path) -> None:
    done = _status(damaged)
    assert done.returncode == 3
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert (damaged / "volumes" / f"{VOLUME}.img").read_bytes() == b"layers"
    assert (damaged / "leases/dead").exists()


def test_a_whole_journal_opens_and_what_the_dead_left_goes(tmp_path: Path) -> None:
    """What the refusals above keep from happening."""
    _dead_process_left(tmp_path)
    done = _status(tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "leases/dead").exists()
