"""Durations and sizes: what is written is read, what is shown is read back, the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import InvalidSetting
from meshbox.node.quantities import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [("7d", 604_800_000), ("90s", 90_000), ("6d12h", 561_600_000), ("1m1ms", 60_001), ("0s", 0)],
)
def test_durations(text: str, duration_ms: int) -> None:
    assert parse_duration(text) == duration_ms


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-1d", "1.5h", "7D", "7w", "\u0667d", "1d,"])
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidSetting, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("10GB", 10**10),
        ("10 GB", 10**10),
        ("512MiB", 2**29),
        ("1kb", 1_000),
        ("1TiB", 2**40),
        ("7B", 7),
        ("42", 42),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1.5GB", "1XB", "1 000", "9" * 19, "1K"])
def test_other_text_is_no_size(text: str) -> None:
    with pytest.raises(InvalidSetting, match="not a size"):
        parse_size(text)


@given(st.integers(0, 10**14))
def test_a_shown_duration_is_read_back(duration_ms: int) -> None:
    assert parse_duration(show_duration(duration_ms)) == duration_ms


@given(st.integers(0, 10**17))
def test_a_shown_size_is_read_back(size_bytes: int) -> None:
    assert parse_size(show_size(size_bytes)) == size_bytes


def test_round_sizes_are_shown_in_their_own_unit() -> None:
    assert [show_size(n) for n in (0, 999, 10**10, 2**29)] == ["0B", "999B", "10GB", "512MiB"]
