"""Who was heard on the LAN, who is silent, and what changed since it was last told.

Pure: time comes in as `now_ms`. Generic over what was found (`Peer`, `Mailbox`).

A name is what mDNS calls an instance; what it claims to be has a key (the node id). Several names
may claim one key, since anybody can write anything: their endpoints are joined, so that a liar adds
addresses at which TLS fails, and takes none away. DNS names are folded, keys never.

    heard ──6 s without a word──> asked ──3 times, 1 s apart, no answer──> dead ──> forgotten

Anybody can invent thousands of names a second. A name is credible when it was heard twice (who is
there announces more than once, and answers), when it proved itself, or while there are few others:
the first `strangers_max` are believed at once, so that nobody waits where nobody forges. What is
not credible is remembered and not told.

Invariants: at most `names_max` names; the oldest that was heard only once goes first. Changes are
differences between what was told and what is, so however slowly they are taken they need no more
room than the names do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from meshbox.core.limits import DISCOVERED_STRANGERS_MAX
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
    is_known: bool = False
    is_proven: bool = False
    is_early: bool = False

    @property
    def is_credible(self) -> bool:
        return self.is_known or self.is_early


def _never(_: str) -> float:
    return 0.0


class Roster(Generic[F]):
    """The names heard of one service.

    `last_heard` says when a name was heard last, for whoever is about to make room: the news may
    not have come by `heard` yet.
    """

    def __init__(
        self,
        *,
        names_max: int,
        strangers_max: int = DISCOVERED_STRANGERS_MAX,
        last_heard: Callable[[str], float] = _never,
    ) -> None:
        self._names_max = names_max
        self._strangers_max = strangers_max
        self._last_heard = last_heard
        self._unknown: dict[str, None] = {}
        self._early = 0
        self._entries: dict[str, _Entry[F]] = {}
        self._names_of: dict[str, dict[str, None]] = {}
        self._told: dict[str, F] = {}
        self._dirty: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def entries(self) -> list[tuple[str, F]]:
        """Every name with what it claims to be."""
        return [(entry.name, entry.item) for entry in self._entries.values()]

    @property
    def has_strangers(self) -> bool:
        """Whether there are names that are not credible: somebody is inventing them."""
        return bool(self._unknown)

    def credible_names(self) -> list[str]:
        """The names that were heard again or believed at once."""
        return [entry.name for entry in self._entries.values() if entry.is_credible]

    def current(self) -> list[F]:
        """Everything credible, once a key."""
        found = (self._merged(key) for key in self._names_of)
        return [item for item in found if item is not None]

    def ages(self, *, now_ms: float) -> list[tuple[F, float]]:
        """Everything credible, once a key, with the milliseconds since it was heard last."""
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
            self._add(_Entry(name, item, now_ms))
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
            self._no_stranger(entry)

    def heard(self, name: str, *, at_ms: float) -> None:
        """A record of `name` came at `at_ms`."""
        entry = self._entries[name.lower()]
        if at_ms > entry.heard_ms:
            entry.heard_ms = at_ms
            self._believe(entry)

    def prove(self, name: str, *, now_ms: float) -> None:
        """What `name` claims to be is connected: alive, and no invention."""
        self.heard(name, at_ms=now_ms)
        entry = self._entries[name.lower()]
        entry.is_proven = True
        self._believe(entry)

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

    @property
    def has_changes(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._dirty)

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
            (name for name in self._names_of.get(key, ()) if self._entries[name].is_credible),
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

    def _add(self, entry: _Entry[F]) -> None:
        self._entries[entry.name.lower()] = entry
        entry.is_early = self._early < self._strangers_max
        if entry.is_early:
            self._early += 1
        else:
            self._unknown[entry.name.lower()] = None

    def _believe(self, entry: _Entry[F]) -> None:
        if not entry.is_known:
            entry.is_known = True
            self._no_stranger(entry)
            self._dirty[entry.item.key] = None

    def _no_stranger(self, entry: _Entry[F]) -> None:
        """It was heard again, or it is gone: another may be believed at once."""
        self._unknown.pop(entry.name.lower(), None)
        self._early -= entry.is_early
        entry.is_early = False

    def _make_room(self) -> bool:
        """Forgets the oldest name that was heard only once; else the oldest that is not proven.

        Those believed at once stay while there are others: a place among them that became free
        each time would be another invention believed.
        """
        while self._unknown:
            entry = self._entries[next(iter(self._unknown))]
            self.heard(entry.name, at_ms=self._last_heard(entry.name))
            if not entry.is_known:
                self.forget(entry.name)
                return True
        oldest = next((entry for entry in self._entries.values() if not entry.is_proven), None)
        if oldest is not None:
            self.forget(oldest.name)
        return oldest is not None
