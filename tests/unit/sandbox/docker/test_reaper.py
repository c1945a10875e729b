"""What the reaper removes, and above all what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.docker.reaper import reap
from sandbox.errors import SandboxUnavailableError


class FakeEngine:
    """Containers by id, with their labels."""

    def __init__(self, containers: dict[str, dict[str, str]], stubborn: str = "") -> None:
        self.containers = containers
        self.stubborn = stubborn

    async def list(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        return [{"Id": name, "Labels": own} for name, own in self.containers.items() if labels.items() <= own.items()]

    async def remove(self, container: str) -> None:
        if container == self.stubborn:
            raise SandboxUnavailableError("busy")
        del self.containers[container]


def labelled(store: str, lease: str) -> dict[str, str]:
    return {"sandstone": store, "sandstone.lease": lease}


def is_live(lease: str) -> bool:
    return lease == "live"


async def test_containers_of_dead_leases_of_this_store_go_and_no_others(tmp_path: Path) -> None:
    engine = FakeEngine(
        {
            "mine": labelled("store", "live"),
            "left": labelled("store", "dead"),
            "unlabelled": {"sandstone": "store"},
            "theirs": labelled("other", "dead"),
            "foreign": {},
        }
    )
    removed = await reap(engine, "store", tmp_path / "slots", is_live)  # type: ignore[arg-type]
    assert sorted(removed) == ["left", "unlabelled"]
    assert sorted(engine.containers) == ["foreign", "mine", "theirs"]


async def test_one_that_will_not_go_holds_the_others_up_not(tmp_path: Path) -> None:
    engine = FakeEngine({"one": labelled("s", "dead"), "two": labelled("s", "dead")}, stubborn="one")
    assert await reap(engine, "s", tmp_path / "slots", is_live) == ["two"]  # type: ignore[arg-type]


async def test_empty_slots_of_dead_leases_go_and_no_others(tmp_path: Path) -> None:
    slots = tmp_path / "slots"
    for name in ("dead-1", "live-1", "dead-full", "something", "dead-2"):
        (slots / name).mkdir(parents=True)
    (slots / "dead-2" / "file").write_text("still there")
    removed = await reap(FakeEngine({}), "s", slots, is_live)  # type: ignore[arg-type]
    assert removed == ["dead-1"]
    assert sorted(path.name for path in slots.iterdir()) == ["dead-2", "dead-full", "live-1", "something"]


async def test_reaping_again_finds_nothing(tmp_path: Path) -> None:
    engine = FakeEngine({"left": labelled("s", "dead")})
    await reap(engine, "s", tmp_path, is_live)  # type: ignore[arg-type]
    assert await reap(engine, "s", tmp_path, is_live) == []  # type: ignore[arg-type]
