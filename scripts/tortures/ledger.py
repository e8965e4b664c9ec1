"""What a node was asked to keep, what it acknowledged and showed, and what it therefore owes.

A message is (topic, author, seq). Everything that was ever sent for it since it was last known is
a candidate: an answer that never came may have been a 201, and the first that is stored stays.
Once it was acknowledged the candidates are fixed; once it was shown, to a client or in an audit,
there is one.

Time is the campaign's, in milliseconds, and may jump while a request is on its way. So a message
is owed for `OWED_MS` (the shortest life, less what the campaign itself takes) from when it can
first have been stored, when it was sent, and overdue `LIFE_MS` after it can last have been: when
it was answered, or first seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS

Message = tuple[str, str, int]
"""Topic, author and sequence number."""

_SLACK_MS: Final = 120_000
OWED_MS: Final = RETENTION_MAX_MS - BUCKET_MS - _SLACK_MS
LIFE_MS: Final = RETENTION_MAX_MS + _SLACK_MS


class Findings(NamedTuple):
    """What an audit found wrong."""

    lost: tuple[Message, ...] = ()
    """Acknowledged or shown, owed, and not there."""
    wrong: tuple[Message, ...] = ()
    """There with bytes that nobody can have stored, or taken back and there again."""
    overdue: tuple[Message, ...] = ()
    """Served after its life."""

    def __add__(self, other: object) -> Findings:
        assert isinstance(other, Findings)
        return Findings(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def digest(data: bytes) -> bytes:
    """What stands for the bytes of a message."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(slots=True)
class _Entry:
    sent_ms: int
    candidates: list[bytes] = field(default_factory=list)
    known_ms: int | None = None
    """When it was acknowledged or first shown; until then nothing is owed."""


class Ledger:
    """Of one node."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """Messages, each once."""
        self.shown = 0
        self._entries: dict[Message, _Entry] = {}
        self._lost: dict[Message, _Entry] = {}

    @property
    def topics(self) -> set[str]:
        """All that anything was sent to."""
        return {topic for topic, _, _ in self._entries}

    def sent(self, messages: Mapping[Message, bytes], *, now_ms: int) -> None:
        """They are on their way, by their digests."""
        for message, content in messages.items():
            entry = self._entries.setdefault(message, _Entry(now_ms))
            if entry.known_ms is None and content not in entry.candidates:
                entry.candidates.append(content)

    def answered(self, messages: Iterable[Message], *, now_ms: int) -> None:
        """A 201 came for them."""
        for message in messages:
            entry = self._entries[message]
            if entry.known_ms is None:
                entry.known_ms = now_ms
                self.acknowledged += 1

    def show(self, found: Mapping[Message, bytes], *, asked_ms: int, now_ms: int) -> Findings:
        """A client was given these, by their digests: owed from now on, acknowledged or not.

        `asked_ms`: when it asked; the node answered then or later.
        """
        wrong, overdue = [], []
        for message, content in found.items():
            entry = self._entries.get(message)
            if entry is None or content not in entry.candidates:
                wrong.append(message)
                continue
            entry.candidates = [content]
            if asked_ms - self._known(entry, now_ms) > LIFE_MS:
                overdue.append(message)
        return Findings(wrong=tuple(wrong), overdue=tuple(overdue))

    def claimed(self, messages: Iterable[Message], *, now_ms: int) -> None:
        """A client was told that nothing needs to be sent again for these."""
        for message in messages:
            entry = self._entries.get(message)
            if entry is not None:
                self._known(entry, now_ms)

    def audit(self, held: Mapping[Message, bytes], *, now_ms: int) -> Findings:
        """Against all that the node holds. What it lost is reported once."""
        findings = self.show(held, asked_ms=now_ms, now_ms=now_ms)
        lost = []
        for message in [message for message in self._entries if message not in held]:
            entry = self._entries[message]
            if entry.known_ms is None:
                # It was not stored, and whoever asks anew begins anew.
                del self._entries[message]
            elif _is_owed(entry, now_ms):
                lost.append(message)
                self._lost[message] = self._entries.pop(message)
        return findings + Findings(lost=tuple(lost))

    def owed(self, *, now_ms: int) -> set[Message]:
        """What must be held now."""
        return {message for message, entry in self._entries.items() if _is_owed(entry, now_ms)}

    def describe(self, message: Message, *, now_ms: int) -> str:
        """For people: how long ago it was sent and acknowledged."""
        entry = self._entries.get(message) or self._lost.get(message)
        hours = 3_600_000
        if entry is None:
            return f"seq {message[2]}, never sent"
        ages = [now_ms - ms for ms in (entry.sent_ms, entry.known_ms) if ms is not None]
        return f"seq {message[2]}, sent and known " + ", ".join(f"{a / hours:.2f} h" for a in ages)

    def _known(self, entry: _Entry, now_ms: int) -> int:
        """When it was known to be stored: now at the latest."""
        if entry.known_ms is None:
            entry.known_ms = now_ms
            self.shown += 1
        return entry.known_ms


def _is_owed(entry: _Entry, now_ms: int) -> bool:
    return entry.known_ms is not None and now_ms - entry.sent_ms <= OWED_MS
