"""What an operator may choose of the HTTP API, and the bounds that tests make shorter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from meshbox.core.errors import InvalidId, InvalidSetting
from meshbox.core.ids import is_app_name
from meshbox.core.limits import (
    ANSWERS_IN_FLIGHT_BYTES_MAX,
    BODIES_IN_FLIGHT_BYTES_MAX,
    BODY_BYTES_PER_S_MIN,
    BODY_LEAVE_MS_MAX,
    BODY_MS_MIN,
    BODY_UNREAD_MS_MAX,
    CONNECTIONS_MAX,
    HTTP_HEAD_MS_MAX,
    HTTP_IDLE_MS_MAX,
)
from meshbox.http_api.proxies import TrustedProxies


class Generation(Enum):
    """A family of routes that one span of app versions speaks."""

    MESSAGES = "messages"
    BLOBS = "blobs"
    BLIPS = "blips"


class IdRule(Enum):
    """Which topics and authors clients may name."""

    ANY = "any"
    HEX64 = "hex64"
    """64 hex digits, as all apps name them (`is_app_name`)."""

    def check(self, name: str) -> None:
        """`InvalidId` for a name that the rule forbids."""
        if self is IdRule.HEX64 and not is_app_name(name):
            raise InvalidId(f"{name[:80]!r} is not 64 hex digits")

    def check_all(self, topics: Mapping[str, Iterable[str]]) -> None:
        """The same for topics and the authors in each."""
        if self is IdRule.ANY:
            return
        for topic, authors in topics.items():
            self.check(topic)
            for author in authors:
                self.check(author)


ALL_GENERATIONS = frozenset(Generation)

STOP_MS_MAX: Final = 2_000
"""Milliseconds for requests in progress when the API stops: a node has 5 s for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How the HTTP API behaves; see core/limits.py for the reason of each bound."""

    generations: frozenset[Generation] = ALL_GENERATIONS
    ids: IdRule = IdRule.ANY
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    connections_max: int = CONNECTIONS_MAX
    head_ms_max: int = HTTP_HEAD_MS_MAX
    idle_ms_max: int = HTTP_IDLE_MS_MAX
    body_ms_min: int = BODY_MS_MIN
    body_bytes_per_s_min: int = BODY_BYTES_PER_S_MIN
    body_leave_ms_max: int = BODY_LEAVE_MS_MAX
    body_unread_ms_max: int = BODY_UNREAD_MS_MAX
    stop_ms_max: int = STOP_MS_MAX
    bodies_bytes_max: int = BODIES_IN_FLIGHT_BYTES_MAX
    answers_bytes_max: int = ANSWERS_IN_FLIGHT_BYTES_MAX

    def body_s_max(self, size_bytes: int) -> float:
        """Seconds that `size_bytes` may take to come or go."""
        return max(self.body_ms_min / 1000, size_bytes / self.body_bytes_per_s_min)


def parse_generations(text: str) -> frozenset[Generation]:
    """The generations that "blobs,blips" names; `InvalidSetting` for another word, or none."""
    try:
        generations = frozenset(Generation(word.strip()) for word in text.split(","))
    except ValueError as error:
        raise InvalidSetting(
            f"generations: {error}", hint="name some of messages, blobs, blips"
        ) from error
    return generations
