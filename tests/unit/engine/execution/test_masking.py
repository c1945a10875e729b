"""Secrets never pass, however they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.attempt import AttemptOutcome
from engine.execution.masking import Masker
from engine.execution.output import masked_outcome
from sandbox.spec import CapturedOutput


def test_every_occurrence_is_replaced_and_longer_secrets_win() -> None:
    masker = Masker(["token", "token-long"])
    assert masker.mask(b"a token-long b token c") == b"a *** b *** c"
    assert masker.mask_text("x token y") == "x *** y"


def test_without_secrets_everything_passes_at_once() -> None:
    stream = Masker([]).stream()
    assert stream.feed(b"anything") == b"anything"
    assert stream.finish() == b""


@given(st.lists(st.integers(1, 7), max_size=30), st.binary(max_size=20), st.binary(max_size=20))
def test_a_secret_split_over_chunks_is_masked(cuts: list[int], before: bytes, after: bytes) -> None:
    secret = b"hunter2-hunter3"
    data = before + secret + after
    stream = Masker([secret.decode()]).stream()
    shown, rest = b"", data
    for cut in cuts:
        shown += stream.feed(rest[:cut])
        rest = rest[cut:]
    shown += stream.feed(rest) + stream.finish()
    assert secret not in shown
    assert shown == Masker([secret.decode()]).mask(data)


SHORT_ALPHABET = st.text("ab-", min_size=4, max_size=8)


@given(st.lists(SHORT_ALPHABET, min_size=1, max_size=4), st.text("ab-", max_size=40), st.lists(st.integers(1, 5)))
def test_output_in_chunks_is_masked_like_output_in_one_piece(secrets: list[str], text: str, cuts: list[int]) -> None:
    masker, stream, rest = Masker(secrets), Masker(secrets).stream(), text.encode()
    shown = b""
    for cut in cuts:
        shown += stream.feed(rest[:cut])
        rest = rest[cut:]
    assert shown + stream.feed(rest) + stream.finish() == masker.mask(text.encode())


def test_the_rest_of_a_secret_that_begins_like_another_is_not_shown() -> None:
    stream = Masker(["token", "token-of-the-king"]).stream()
    assert stream.feed(b"a token") + stream.feed(b"-of-the-king b") + stream.finish() == b"a *** b"


def test_a_repetitive_secret_in_a_flood_is_not_held_back_for_ever() -> None:
    stream = Masker(["aaaa"]).stream()
    shown = b"".join(stream.feed(b"a" * 1000) for _ in range(10))
    assert len(shown) >= 3 * (10_000 // 4 - 1)


def test_what_left_out_output_leaves_of_a_secret_is_masked() -> None:
    captured = CapturedOutput(head=b"it is hunter2-hun", tail=b"r2-hunter3 and hunter2-hunter3", omitted_bytes=70)
    masked = Masker(["hunter2-hunter3"]).mask_captured(captured)
    assert masked == CapturedOutput(head=b"it is ***", tail=b"*** and ***", omitted_bytes=70)


def test_json_is_masked_in_every_text_also_where_its_end_cuts_a_secret() -> None:
    masker = Masker(["hunter2"])
    value = {"failed": [{"message": "is hunter2!", "line": 3, "file": None}, {"message": "it was hunte"}]}
    assert masker.mask_json(value) == {
        "failed": [{"message": "is ***!", "line": 3, "file": None}, {"message": "it was ***"}]
    }
    assert masker.mask_json(None) is None


def test_an_outcome_is_masked_in_output_reason_findings_and_tests() -> None:
    outcome = AttemptOutcome(
        ok=False,
        layer=None,
        changed=False,
        detail="no file hunter2",
        stdout=CapturedOutput(head=b"out hunter2"),
        stderr=CapturedOutput(head=b"err hunter2"),
        findings=({"rule": "S105", "message": "Possible hardcoded password: 'hunter2'", "line": 3},),
        tests={"failed": [{"message": "hunter2"}]},
    )
    masked = masked_outcome(Masker(["hunter2"]), outcome)
    assert "hunter2" not in repr(masked)
    assert masked.findings[0] == {"rule": "S105", "message": "Possible hardcoded password: '***'", "line": 3}
