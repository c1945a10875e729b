"""A program for tests: runs a plan whose step hangs and ignores being cancelled. Arguments: home, plan."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engine.cli import main
from tests.unit.engine.cli.fake_application import Act, FakeApplication, Script

if __name__ == "__main__":
    script = Script({"unit": Act(hang=True)})
    application = FakeApplication(Path(sys.argv[1]), script)

    async def never(execution_id: str, reason: str = "") -> None:
        await asyncio.Event().wait()

    application.engine.cancel = never
    sys.exit(main(["run", sys.argv[2]], opener=application.open))
