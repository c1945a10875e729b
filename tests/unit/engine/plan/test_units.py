"""Sizes and durations: what is understood, and what the errors say would be right."""

from datetime import timedelta

import pytest

from engine.plan.refusal import ValueRefusedError
from engine.plan.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (4096, 4096),
        (0, 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("1GiB", 1 << 30),
        ("512MiB", 512 << 20),
        ("10MB", 10_000_000),
        ("10 MB", 10_000_000),
        ("1.5GiB", 3 << 29),
        ("1kB", 1000),
        ("1KB", 1000),
        ("2TiB", 2 << 40),
    ],
)
def test_a_size_is_bytes_or_a_number_with_its_unit(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1G", "1GiB (powers of 1024) or 1GB (powers of 1000)"),
        ("512m", "512MiB"),
        ("1gib", "write 1GiB"),
        ("10mb", "write 10MB"),
        ("1 gigabyte", "512MiB"),
        ("-1", "512MiB"),
        (-1, "512MiB"),
        (10**18, "512MiB"),
        ("", "512MiB"),
        ("1.5", "whole number"),
        ("0.3B", "whole number"),
        ("1e9", "512MiB"),
        ("9" * 40, "512MiB"),
        ("\u0661GiB", "512MiB"),
    ],
)
def test_what_is_no_size_is_refused_with_what_would_be_right(text: str | int, hint: str) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        parse_size(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        (2, 2000),
        (0.25, 250),
        ("2", 2000),
        ("2.5", 2500),
        ("500ms", 500),
        ("2s", 2000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("1.5h", 5_400_000),
        ("0s", 0),
        (" 3s ", 3000),
    ],
)
def test_a_duration_is_seconds_or_parts_with_units(text: str | float, milliseconds: int) -> None:
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1:30", "write 1m30s"),
        ("01:02:03", "write 1h2m3s"),
        ("10min", "write 10m"),
        ("10 minutes", "write 10m"),
        ("5 m", "write 5m"),
        ("3 hours", "write 3h"),
        ("2sec", "write 2s"),
        ("90M", "write 90m"),
        ("30m1h", "largest first"),
        ("1m1m", "each unit once"),
        ("1h 30m", "1h30m"),
        ("", "500ms"),
        ("soon", "500ms"),
        ("-5s", "500ms"),
        (-5, "500ms"),
        (float("nan"), "500ms"),
        (float("inf"), "500ms"),
        ("999999999999999d", "500ms"),
        ("9" * 30, "500ms"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_would_be_right(text: str | float, hint: str) -> None:
    with pytest.raises(ValueRefusedError) as caught:
        parse_duration(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1500, "1500B"), (1 << 30, "1GiB"), (3 << 29, "1536MiB"), (1 << 50, "1024TiB")],
)
def test_a_size_is_written_as_short_as_it_is_exact(size: int, text: str) -> None:
    assert format_size(size) == text
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=120), "2m"),
        (timedelta(milliseconds=1500), "1s500ms"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(microseconds=1), "0.001ms"),
        (timedelta(days=1, minutes=5), "1d5m"),
    ],
)
def test_a_duration_is_written_so_that_it_reads_back(span: timedelta, text: str) -> None:
    assert format_duration(span) == text
    assert parse_duration(text) == span
