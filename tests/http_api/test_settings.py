"""What an operator may choose."""

from __future__ import annotations

import pytest

from meshbox.core.errors import InvalidId, InvalidSetting
from meshbox.http_api.settings import (
    ALL_GENERATIONS,
    Generation,
    HttpSettings,
    IdRule,
    parse_generations,
)


def test_generations_are_named_by_words() -> None:
    assert parse_generations("blobs, blips") == {Generation.BLOBS, Generation.BLIPS}
    assert parse_generations("messages,blobs,blips") == ALL_GENERATIONS


@pytest.mark.parametrize("text", ["", "blobs,", "dollops", "BLOBS", "all"])
def test_another_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting):
        parse_generations(text)


@pytest.mark.parametrize("name", ["0" * 64, "ab" * 32, "AB" * 32])
def test_64_hex_digits_suit_both_rules(name: str) -> None:
    IdRule.HEX64.check(name)
    IdRule.ANY.check(name)


@pytest.mark.parametrize("name", ["", "t", "0" * 63, "0" * 65, "g" * 64, "٣" * 64, "0" * 64 + "\n"])
def test_other_names_suit_only_the_rule_for_any(name: str) -> None:
    IdRule.ANY.check(name)
    with pytest.raises(InvalidId):
        IdRule.HEX64.check(name)


def test_a_body_has_the_time_that_its_size_allows() -> None:
    settings = HttpSettings(body_ms_min=2_000, body_bytes_per_s_min=1_000)
    assert [settings.body_s_max(size) for size in (0, 2_000, 5_000)] == [2, 2, 5]
