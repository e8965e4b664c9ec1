"""What a node was asked to keep, what it acknowledged and showed, and what it therefore owes.

A message is (topic, author, seq). Everything that was ever sent for it since it was last known is
a candidate: an answer that never came may have been a 201, and the first that is stored stays.
Once it was acknowledged the candidates are fixed; once it was shown, to a client or in an audit,
there is one.

Time is the campaign's, in milliseconds, and may jump while a request is on its way. So a message
is owed for `OWED_MS` (the shortest life, less what the campaign itself takes) from when it can
first have been stored, when it was sent, and overdue `LIFE_MS` after it can last have been: when
it was answered, or first seen.

A node says 201, too, to what had its week there, and stores nothing. So an answer proves nothing
of a message that is *doubtful*; it is owed from when it is shown on. A message becomes so

- at an audit where it is not, when nobody knows whether it was stored, and it was sent so long ago
  that its week may be over (a jump of more than a week);
- once its log may have been forgotten (core/forgetting.py): `FORGET_MS` after the last of its
  messages that was stored can first have been. Whatever was sent for it since it was known may
  then be stored anew, and another node may remember that it had its week.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from meshbox.core.forgetting import FORGET_AFTER_MS
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS

Message = tuple[str, str, int]
"""Topic, author and sequence number."""

_SLACK_MS: Final = 120_000
OWED_MS: Final = RETENTION_MAX_MS - BUCKET_MS - _SLACK_MS
LIFE_MS: Final = RETENTION_MAX_MS + _SLACK_MS
FORGET_MS: Final = FORGET_AFTER_MS - _SLACK_MS


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
    again: list[bytes] = field(default_factory=list)
    """What was sent for it since, and may be on its way."""
    doubtful: bool = False
    """It may have had its week before: a 201 does not say that it is stored."""


class Ledger:
    """Of one node."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """Messages, each once."""
        self.shown = 0
        self.doubted = 0
        """How often a message became doubtful."""
        self.renewed = 0
        """How often one that was doubtful was there after all."""
        self._stored_ms: dict[tuple[str, str], int] = {}
        """Log → when the last of its messages that were stored can first have been."""
        self._entries: dict[Message, _Entry] = {}
        self._lost: dict[Message, _Entry] = {}

    @property
    def topics(self) -> set[str]:
        """All that anything was sent to."""
        return {topic for topic, _, _ in self._entries}

    def sent(self, messages: Mapping[Message, bytes], *, now_ms: int) -> None:
        """They are on their way, by their digests."""
        self._doubt_forgotten(now_ms)
        for message, content in messages.items():
            entry = self._entries.setdefault(message, _Entry(now_ms))
            if entry.doubtful and not entry.candidates:
                entry.sent_ms = now_ms
            tries = entry.candidates if entry.known_ms is None else entry.again
            if content not in tries:
                tries.append(content)

    def answered(self, messages: Iterable[Message], *, now_ms: int) -> None:
        """A 201 came for them."""
        self._doubt_forgotten(now_ms)
        for message in messages:
            entry = self._entries[message]
            if entry.known_ms is None and not entry.doubtful:
                self._know(message, entry, now_ms)
                self.acknowledged += 1

    def show(self, found: Mapping[Message, bytes], *, asked_ms: int, now_ms: int) -> Findings:
        """A client was given these, by their digests: owed from now on, acknowledged or not.

        `asked_ms`: when it asked; the node answered then or later.
        """
        self._doubt_forgotten(now_ms)
        wrong, overdue = [], []
        for message, content in found.items():
            entry = self._entries.get(message)
            if entry is None or content not in entry.candidates:
                wrong.append(message)
                continue
            entry.candidates = [content]
            if asked_ms - self._seen(message, entry, now_ms) > LIFE_MS:
                overdue.append(message)
        return Findings(wrong=tuple(wrong), overdue=tuple(overdue))

    def claimed(self, messages: Iterable[Message], *, now_ms: int) -> None:
        """A client was told that nothing needs to be sent again for these."""
        self._doubt_forgotten(now_ms)
        for message in messages:
            entry = self._entries.get(message)
            if entry is not None and not entry.doubtful:
                self._seen(message, entry, now_ms)

    def audit(self, held: Mapping[Message, bytes], *, now_ms: int) -> Findings:
        """Against all that the node holds, while nothing is on its way. What it lost is reported
        once."""
        findings = self.show(held, asked_ms=now_ms, now_ms=now_ms)
        lost = []
        for entry in self._entries.values():
            entry.again = []
        for message in [message for message in self._entries if message not in held]:
            entry = self._entries[message]
            if entry.known_ms is None:
                self._miss(message, entry, now_ms)
            elif _is_owed(entry, now_ms):
                lost.append(message)
                self._lost[message] = self._entries.pop(message)
        return findings + Findings(lost=tuple(lost))

    def owed(self, *, now_ms: int) -> set[Message]:
        """What must be held now, by every node that nothing happened to."""
        return {m for m, e in self._entries.items() if _is_owed(e, now_ms) and not e.doubtful}

    def describe(self, message: Message, *, now_ms: int) -> str:
        """For people: how long ago it was sent and acknowledged."""
        entry = self._entries.get(message) or self._lost.get(message)
        hours = 3_600_000
        if entry is None:
            return f"seq {message[2]}, never sent"
        ages = [now_ms - ms for ms in (entry.sent_ms, entry.known_ms) if ms is not None]
        return f"seq {message[2]}, sent and known " + ", ".join(f"{a / hours:.2f} h" for a in ages)

    def _seen(self, message: Message, entry: _Entry, now_ms: int) -> int:
        """When it was known to be stored: now at the latest."""
        if entry.known_ms is None:
            self.shown += 1
            self.renewed += entry.doubtful
            return self._know(message, entry, now_ms)
        return entry.known_ms

    def _know(self, message: Message, entry: _Entry, now_ms: int) -> int:
        entry.known_ms = now_ms
        log = message[:2]
        self._stored_ms[log] = max(entry.sent_ms, self._stored_ms.get(log, entry.sent_ms))
        return now_ms

    def _miss(self, message: Message, entry: _Entry, now_ms: int) -> None:
        """Nobody knew it to be stored, and it is not there: no more will what was sent for it."""
        if not entry.doubtful and now_ms - entry.sent_ms <= OWED_MS:
            # It was not stored, and whoever asks anew begins anew.
            del self._entries[message]
            return
        self.doubted += not entry.doubtful
        entry.doubtful, entry.candidates = True, []

    def _doubt_forgotten(self, now_ms: int) -> None:
        """Nobody knows what the node remembers of logs that it may have forgotten."""
        for log, stored_ms in list(self._stored_ms.items()):
            if now_ms - stored_ms > FORGET_MS:
                del self._stored_ms[log]
                for message, entry in self._entries.items():
                    if message[:2] == log and entry.known_ms is not None:
                        # Stored before a jump of the clock it is gone, and after it is not.
                        held = entry.candidates if now_ms - entry.known_ms <= LIFE_MS else []
                        entry.candidates, entry.again = held + entry.again, []
                        entry.known_ms, entry.doubtful = None, True
                        self.doubted += 1


def _is_owed(entry: _Entry, now_ms: int) -> bool:
    return entry.known_ms is not None and now_ms - entry.sent_ms <= OWED_MS
