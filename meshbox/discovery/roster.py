"""Who was heard on the LAN, who is silent, and what changed since it was last told.

Pure: time comes in as `now_ms`. Generic over what was found (`Peer`, `Mailbox`).

A name is what mDNS calls an instance; what it claims to be has a key (the node id). Several names
may claim one key, since anybody can write anything: their endpoints are joined, so that a liar adds
addresses at which TLS fails, and takes none away. DNS names are folded, keys never.

    heard ──6 s without a word──> asked ──3 times, 1 s apart, no answer──> dead ──> forgotten

Invariants: at most `names_max` names; the oldest that never proved itself goes first. Changes are
differences between what was told and what is, so however slowly they are taken they need no more
room than the names do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from meshbox.discovery.found import Found

SILENCE_MS = 6_000
"""Silence before a name is asked; with three tries a dead peer is gone within 10 s of silence."""
TRY_INTERVAL_MS = 1_000
"""A responder may hold an answer back for 1 s after the last multicast one (RFC 6762, 6)."""
TRIES_MAX = 3

F = TypeVar("F", bound=Found)


class Silence(NamedTuple):
    """Names to ask now, and names that answered none of the questions."""

    ask: list[str]
    dead: list[str]


@dataclass(slots=True)
class _Entry(Generic[F]):
    name: str
    item: F
    heard_ms: float
    asked_ms: float = 0.0
    tries: int = 0
    is_proven: bool = False


class Roster(Generic[F]):
    """The names heard of one service."""

    def __init__(self, *, names_max: int) -> None:
        self._names_max = names_max
        self._entries: dict[str, _Entry[F]] = {}
        self._names_of: dict[str, dict[str, None]] = {}
        self._told: dict[str, F] = {}
        self._dirty: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def entries(self) -> list[tuple[str, F]]:
        """Every name with what it claims to be."""
        return [(entry.name, entry.item) for entry in self._entries.values()]

    def current(self) -> list[F]:
        """Everything found, once a key."""
        found = (self._merged(key) for key in self._names_of)
        return [item for item in found if item is not None]

    def ages(self, *, now_ms: float) -> list[tuple[F, float]]:
        """Everything found, once a key, with the milliseconds since it was heard last."""
        aged = []
        for key, names in self._names_of.items():
            item = self._merged(key)
            if item is not None:
                heard_ms = max(self._entries[name].heard_ms for name in names)
                aged.append((item, now_ms - heard_ms))
        return aged

    def note(self, name: str, item: F, *, now_ms: float) -> bool:
        """Takes in that `name` claims to be `item`; false when there is no room for it."""
        entry = self._entries.get(name.lower())
        if entry is None:
            if len(self._entries) >= self._names_max and not self._make_room():
                return False
            self._entries[name.lower()] = _Entry(name, item, now_ms)
        else:
            self._unlink(entry)
            entry.item = item
        self._names_of.setdefault(item.key, {})[name.lower()] = None
        self._dirty[item.key] = None
        return True

    def forget(self, name: str) -> None:
        """The name said goodbye, or is dead."""
        entry = self._entries.pop(name.lower(), None)
        if entry is not None:
            self._unlink(entry)

    def heard(self, name: str, *, at_ms: float) -> None:
        """A record of `name` came at `at_ms`."""
        entry = self._entries[name.lower()]
        entry.heard_ms = max(entry.heard_ms, at_ms)

    def prove(self, name: str, *, now_ms: float) -> None:
        """What `name` claims to be is connected: alive, and no invention."""
        self.heard(name, at_ms=now_ms)
        self._entries[name.lower()].is_proven = True

    def silence(self, *, now_ms: float) -> Silence:
        """Whom to ask and whom to give up at `now_ms`; what is to be asked counts as asked."""
        ask, dead = [], []
        for entry in self._entries.values():
            if now_ms - entry.heard_ms < SILENCE_MS:
                entry.tries = 0
            elif entry.tries and now_ms - entry.asked_ms < TRY_INTERVAL_MS:
                continue
            elif entry.tries < TRIES_MAX:
                entry.tries += 1
                entry.asked_ms = now_ms
                ask.append(entry.name)
            else:
                dead.append(entry.name)
        return Silence(ask, dead)

    def take_changes(self) -> list[tuple[F | None, F | None]]:
        """What was told and what is, for every key where they differ; it is told from now on."""
        changes = []
        for key in self._dirty:
            before, after = self._told.pop(key, None), self._merged(key)
            if after is not None:
                self._told[key] = after
            if before != after:
                changes.append((before, after))
        self._dirty.clear()
        return changes

    def _merged(self, key: str) -> F | None:
        """What the names of `key` claim together; the name that spells the key speaks first."""
        names = sorted(
            self._names_of.get(key, ()),
            key=lambda name: not self._entries[name].name.startswith(key),
        )
        if not names:
            return None
        endpoints = tuple(at for name in names for at in self._entries[name].item.endpoints)
        return self._entries[names[0]].item.reached_also(endpoints)

    def _unlink(self, entry: _Entry[F]) -> None:
        names = self._names_of[entry.item.key]
        del names[entry.name.lower()]
        if not names:
            del self._names_of[entry.item.key]
        self._dirty[entry.item.key] = None

    def _make_room(self) -> bool:
        oldest = next((entry for entry in self._entries.values() if not entry.is_proven), None)
        if oldest is not None:
            self.forget(oldest.name)
        return oldest is not None
