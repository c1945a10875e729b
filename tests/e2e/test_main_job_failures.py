"""How the command ends when something is wrong: exit codes, verdicts, findings, and what each `on_failure` does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

HEAD = "version: 1\nsandbox: {disk: 32MiB, memory: 256MiB, timeout: 30s}\n"
LIMITS = """\
on_failure: continue
steps:
  - {id: timeout, type: command, run: "sleep 60", timeout: 500ms}
  - {id: out_of_memory, type: command, run: [python3, -c, "print(len(bytearray(400 << 20)))"]}
  - {id: output_limit, type: command, run: "yes | head -c 1000000", output: 64KiB}
  - id: pids_limit
    type: command
    run: "for i in $(seq 60); do sleep 5 & done; exit 1"
    pids: 16
  - id: inodes
    type: command
    run: [python3, -c, "import itertools\\nfor i in itertools.count(): open(f'f{i}', 'w').close()"]
  - {id: bytes, type: command, run: "head -c 100M /dev/zero > big"}
  - {id: edit-too-big, type: command, run: "head -c 40M /dev/zero > big2; true"}
  - {id: after, type: command, run: "ls; head -c 1M /dev/zero > small"}
"""
FAULTY = """\
on_failure: continue
steps:
  - {id: findings, type: validation, checks: [syntax, lint], paths: [bad.py, typed.py]}
  - {id: types, type: validation, checks: [type], paths: [typed.py]}
  - {id: failing-tests, type: test, run: pytest -q}
  - {id: guarded, type: file_edit, path: good.py, content: "def (:\\n", checks: [syntax]}
  - {id: unmatched, type: file_edit, path: good.py, replace: {search: absent, with: x}}
  - {id: exists, type: file_create, path: good.py, content: x}
  - {id: missing, type: file_delete, path: absent.py}
  - {id: code, type: command, run: exit 42}
  - {id: dependant, type: command, run: "true", needs: [code]}
  - {id: independent, type: command, run: echo on > made.txt}
"""
ENDINGS = """\
on_failure: %s
steps:
  - {id: first, type: command, run: echo 1 > first.txt}
  - {id: second, type: command, run: echo 2 > second.txt}
  - {id: bad, type: command, run: echo 3 > half.txt; exit 7%s}
  - {id: last, type: command, run: echo 4 > last.txt}
"""
RETRIED = """\
retry: {attempts: 3, initial: 10ms, max: 20ms, jitter: 0s}
steps:
  - {id: never, type: command, run: "test ! -e trace && echo x > trace && head -c 12M /dev/zero > fill; exit 3"}
"""
FLAKY = """\
steps:
  - id: flaky
    type: command
    run: test $(($(date +%N | sed 's/^0*//') % 4)) = 0
    flaky: true
    retry: {attempts: 20, initial: 1ms, max: 1ms, jitter: 0s}
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "good.py").write_text("VALUE = 1\n")
        (made.project / "bad.py").write_text("import os\n\n\ndef broken(:\n    pass\n")
        (made.project / "typed.py").write_text('NUMBER: int = "text"\n')
        (made.project / "test_it.py").write_text(
            "import pytest\n\n\ndef test_good():\n    pass\n\n\n@pytest.mark.parametrize('n', [1, 2])\n"
            "def test_bad(n):\n    assert n == 1\n"
        )
        yield made


@pytest.fixture(autouse=True)
def _the_project_stays_as_it_is(bench: CommandBench) -> Iterator[None]:
    before = bench.files()
    yield
    assert bench.files() == before


def by_id(outcome: Any) -> dict[str, Any]:
    return {step["id"]: step for step in outcome["steps"]}


def test_each_limit_has_its_verdict_and_costs_the_next_step_nothing(bench: CommandBench) -> None:
    outcome = bench.run(HEAD + LIMITS, expect=1)
    steps = by_id(outcome)
    for verdict in ("timeout", "out_of_memory", "output_limit", "pids_limit"):
        assert steps[verdict]["verdict"] == verdict, steps[verdict]
    assert steps["timeout"]["exit_code"] is None
    assert 400 <= steps["timeout"]["duration_ms"] < 20_000
    assert [steps[name]["verdict"] for name in ("inodes", "bytes", "edit-too-big")] == ["disk_limit"] * 3
    assert [steps[name]["checkpoint"] for name in ("inodes", "bytes", "edit-too-big")] == [None] * 3
    assert len(steps["output_limit"]["stdout_tail"]) <= 64 * 1024
    after = steps["after"]
    assert after["state"] == "succeeded"
    assert set(after["stdout_tail"].split()) == set(bench.files())
    assert outcome["state"] == "failed"
    assert "timeout" in outcome["error"]


def test_what_a_step_finds_wrong_is_told_with_its_place(bench: CommandBench) -> None:
    outcome = bench.run(HEAD + FAULTY, expect=1)
    steps = by_id(outcome)
    found = {(finding["file"], finding["check"]): finding for finding in steps["findings"]["findings"]}
    assert found["bad.py", "syntax"]["line"] == 4
    assert [(wrong["file"], wrong["line"], wrong["check"]) for wrong in steps["types"]["findings"]] == [
        ("typed.py", 1, "type")
    ]
    failed = steps["failing-tests"]["tests"]
    assert (failed["tests"], failed["failures"]) == (3, 1)
    assert [test["name"] for test in failed["failed"]] == ["test_bad[2]"]
    assert steps["guarded"]["findings"][0]["file"] == "good.py"
    assert "absent" in steps["unmatched"]["detail"] or "good.py" in steps["unmatched"]["detail"]
    assert "good.py" in steps["exists"]["detail"]
    assert "absent.py" in steps["missing"]["detail"]
    assert (steps["code"]["exit_code"], steps["code"]["verdict"]) == (42, None)
    assert steps["dependant"]["state"] == "skipped"
    assert steps["independent"]["state"] == "succeeded"
    assert outcome["changes"] == {"added": 1, "modified": 0, "deleted": 0}


@pytest.mark.parametrize(
    ("policy", "extra", "states", "head", "added"),
    [
        ("rollback", "", ["rolled_back", "rolled_back", "failed", "skipped"], "c0", 0),
        ("rollback", ", rollback_to: first", ["succeeded", "rolled_back", "failed", "skipped"], "c1", 1),
        ("stop", "", ["succeeded", "succeeded", "failed", "skipped"], "c2", 2),
        ("continue", "", ["succeeded", "succeeded", "failed", "succeeded"], None, 3),
    ],
)
def test_a_failure_ends_as_the_plan_says(
    policy: str, extra: str, states: list[str], head: str | None, added: int, bench: CommandBench
) -> None:
    outcome = bench.run(HEAD + ENDINGS % (policy, extra), expect=1)
    assert outcome["state"] == "failed"
    assert [step["state"] for step in outcome["steps"]] == states
    assert head is None or outcome["head"] == head
    assert outcome["changes"]["added"] == added
    branch = by_id(outcome)["bad"]["checkpoint"]
    assert "half.txt" in bench("diff", outcome["execution_id"], f"c2..{branch}", "--stat").stdout


def test_every_attempt_starts_from_the_same_checkpoint_and_with_the_same_room(bench: CommandBench) -> None:
    outcome = bench.run(HEAD + RETRIED, expect=1)
    assert [(step["attempts"], step["exit_code"], step["verdict"]) for step in outcome["steps"]] == [(3, 3, None)]
    retries = [event for event in bench.events(outcome["execution_id"]) if event["kind"] == "step-retrying"]
    assert [event["data"]["attempt"] for event in retries] == [1, 2]


def test_a_flaky_step_is_tried_again_until_it_succeeds(bench: CommandBench) -> None:
    outcome = bench.run(HEAD + FLAKY)
    assert outcome["steps"][0]["state"] == "succeeded"
    events = bench.events(outcome["execution_id"])
    assert sum(event["kind"] == "step-retrying" for event in events) == outcome["steps"][0]["attempts"] - 1


def test_a_bad_plan_ends_with_2_and_says_where(bench: CommandBench) -> None:
    plan = bench.directory / "bad.yaml"
    plan.write_text("version: 1\nsteps:\n  - {type: command, run: ls, tiemout: 3s}\n")
    done = bench("run", plan, expect=2)
    assert "bad.yaml:3:30: steps[0].tiemout: unknown key (did you mean timeout?)" in done.stderr
    assert done.stdout == ""
    shown = bench.shown("check", plan, expect=2)
    assert "tiemout" in json.dumps(shown)
    refused = bench.run("version: 1\nsteps: []\n", expect=2)
    assert (refused["execution_id"], refused["state"], refused["exit_code"]) == (None, None, 2)


def test_a_machine_that_cannot_ends_with_3(bench: CommandBench) -> None:
    plan = HEAD + "environment: {image: no-such-image}\nsteps: [{type: command, run: ls}]\n"
    assert bench.run(plan, expect=3)["error_type"] == "ImageNotFoundError"
    reads_only = CommandBench(bench.directory, variables={"DOCKER_HOST": f"unix://{bench.directory}/no.sock"})
    refused = reads_only.run(HEAD + "steps: [{type: command, run: ls}]\n", expect=3)
    assert refused["error_type"] == "EngineUnreachableError"
    assert reads_only.shown("status")


def test_a_conflict_keeps_the_whole_apply_away_until_it_is_forced(bench: CommandBench) -> None:
    plan = (
        HEAD
        + 'steps:\n  - {type: file_edit, path: good.py, content: "VALUE = 2\\n"}\n'
        + ("  - {type: file_create, path: extra.txt, content: more}\n")
    )
    outcome = bench.run(plan)
    good, extra = bench.project / "good.py", bench.project / "extra.txt"
    good.write_text("VALUE = 3\n")
    try:
        refused = bench("apply", outcome["execution_id"], "--json", expect=5)
        assert "good.py" in refused.stdout + refused.stderr
        assert not extra.exists()
        bench("apply", outcome["execution_id"], "--force")
        assert (good.read_text(), extra.read_text()) == ("VALUE = 2\n", "more")
        bench("apply", outcome["execution_id"], "--undo")
        assert good.read_text() == "VALUE = 3\n"
        assert not extra.exists()
    finally:
        good.write_text("VALUE = 1\n")


def test_two_runs_at_once_over_one_store_and_one_project_do_not_meet(bench: CommandBench) -> None:
    plan = HEAD + (
        "steps:\n"
        "  - {id: a, type: command, run: 'sleep 0.3; echo %s > who.txt'}\n"
        "  - {id: b, type: command, run: 'sleep 0.3; cat who.txt'}\n"
        "  - {id: c, type: validation, checks: [syntax], paths: [good.py]}\n"
    )
    both = [bench.start(plan % name, "--quiet") for name in ("one", "two")]
    outcomes = [json.loads(stdout) for _, stdout in (running.ended() for running in both)]
    assert [outcome["state"] for outcome in outcomes] == ["completed", "completed"], outcomes
    assert [by_id(outcome)["b"]["stdout_tail"] for outcome in outcomes] == ["one\n", "two\n"]
    assert bench.left() == []


def test_a_volume_that_is_gone_is_told_and_collected(bench: CommandBench) -> None:
    outcome = bench.run(HEAD + "steps: [{type: command, run: echo 1 > a.txt}]\n")
    execution_id = outcome["execution_id"]
    image = bench.home / "volumes" / f"{execution_id}.img"
    shutil.move(image, bench.directory / "away.img")
    done = bench("diff", execution_id, expect=3)
    assert "fault of sandstone" not in done.stderr
    report = bench.shown("gc", "--all")
    assert execution_id in report["executions"]
