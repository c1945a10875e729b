"""Secrets never pass, however they are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.execution.masking import Masker


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
