"""Who is asked for what: the one ledger of wants that all sessions of a node share.

It knows, a log, which peers offer numbers that we lack and which one of them is being asked. It
never knows what is stored: whether something is still wanted is read from the store each time.
All methods are plain calls from one thread; time comes in as monotonic milliseconds.

Rules (design.md 4.12, 9): a log is asked of one peer at a time, so that it grows in ascending
order; an owner that is silent for `WANT_PATIENCE_MS` loses the log to the next peer that offers
it, unless that one usually takes a good part of this time itself, or the owner does, or says
anything else meanwhile: when all are slow, or we are, asking another makes nothing quicker, and
everything come twice. When a session ends, its logs are free at once. While a log is being filled,
fetches stop below the lowest number wanted: as long as it gains, at most `FILLING_HOLD_MS_MAX` a
day, and not for the sake of a peer that broke a promise in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from meshbox.core.ids import LogId, NodeId
from meshbox.core.limits import (
    FILLING_DAY_MS,
    FILLING_GAIN_MS,
    FILLING_HOLD_MS_MAX,
    FILLING_LOGS_MAX,
    GAINED_LOGS_MAX,
    SYNC_STREAMS_MAX,
    WANT_PATIENCE_MS,
    WANT_PATIENCE_SLOW_MS,
    WANT_TYPICAL_TIMES,
)
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.turns import Turns
from meshbox.core.way_out import WayOut
from meshbox.core.yielding import Yielding

NO_WAYS: Final[Mapping[str, WayOut]] = {}
_LEARNT_OF: Final = 4
"""One of so many parts of the moving average is the last time."""


@dataclass(slots=True)
class _LogWants:
    """The peers that offer what we lack of one log."""

    offered: dict[NodeId, SeqRanges] = field(default_factory=dict)
    broken: set[NodeId] = field(default_factory=set)
    owner: NodeId | None = None
    heard_ms: int = 0
    """When the owner was asked or last answered."""
    asked_ms: int | None = None
    """When the owner was asked, until something of it is stored."""
    gained_ms: int = 0
    """When the log was first wanted or last gained a number."""
    carrier: NodeId | None = None
    """The owner that brought something last."""


@dataclass(slots=True)
class _Hold:
    """How long a log has held fetches back since `day_ms`."""

    day_ms: int
    held_ms: int = 0


class WantLedger:
    """The wants of one node. Memory: the unsettled pages of the connected peers."""

    __slots__ = (
        *("_gained", "_gained_all", "_heard_ms", "_holds", "_logs", "_typical_ms", "_ways"),
        *("_woken", "gains", "turns", "yielding"),
    )

    def __init__(self, ways: Mapping[str, WayOut] = NO_WAYS) -> None:
        """`ways`: the ways out that are peers, by node id."""
        self._ways = ways
        self.turns = Turns()
        """Who may send blobs in parts."""
        self.yielding = Yielding()
        """How much of a backlog may be in flight."""
        self.gains = 0
        """How often something was stored that a peer had brought."""
        self._gained: OrderedDict[LogId, int] = OrderedDict()
        self._gained_all = 0
        """Where every log not in `_gained` may have gained last."""
        self._logs: dict[LogId, _LogWants] = {}
        self._holds: OrderedDict[LogId, _Hold] = OrderedDict()
        self._woken: set[NodeId] = set()
        self._heard_ms: OrderedDict[NodeId, int] = OrderedDict()
        """When a peer said anything last."""
        self._typical_ms: OrderedDict[NodeId, float] = OrderedDict()
        """From asking a peer to its first blob being stored: a moving average."""

    def declare(self, peer: NodeId, log: LogId, lacking: SeqRanges, *, now_ms: int) -> None:
        """`peer` offers `lacking`, all that it could give us of `log` now; empty: nothing more."""
        wants = self._logs.get(log)
        if not lacking:
            if wants is not None:
                self._forget(peer, log, wants)
            return
        if wants is None:
            wants = self._logs[log] = _LogWants(gained_ms=now_ms)
        wants.offered[peer] = lacking

    def claim(self, peer: NodeId, log: LogId, *, now_ms: int) -> bool:
        """Whether `peer`, which must have been declared, may be asked for `log` now.

        Of a way out that others share it may not before it is this node's turn (core/way_out.py),
        but for a log of which it brought something last.
        If not, `take_woken` names it when the log is free; without a word from the owner another
        claim succeeds after `WANT_PATIENCE_MS`, `WANT_TYPICAL_TIMES` the time that `peer` usually
        takes, or as often that of the owner, up to `WANT_PATIENCE_SLOW_MS`, which is also for an
        owner that said anything within `WANT_PATIENCE_MS`.
        """
        wants = self._logs[log]
        rival = wants.owner if wants.owner != peer else None
        if rival and now_ms - wants.heard_ms < self._patience_ms(peer, rival, now_ms):
            return False
        if not self._is_due(peer, log, wants, now_ms):
            return False
        if rival:
            self._learn(rival, wants, now_ms)
        if wants.asked_ms is None:
            wants.asked_ms = now_ms
        wants.owner, wants.heard_ms = peer, now_ms
        return True

    def heard(self, peer: NodeId, *, now_ms: int) -> None:
        """`peer` said something, whatever it was."""
        self._heard_ms[peer] = now_ms
        self._heard_ms.move_to_end(peer)
        if len(self._heard_ms) > SYNC_STREAMS_MAX:
            self._heard_ms.popitem(last=False)

    def answered(self, peer: NodeId, log: LogId, *, gained: SeqRanges, now_ms: int) -> None:
        """`peer` answered; `gained` are numbers that are now stored: nobody's lacking any more."""
        if gained:
            self._count_gain(log)
        wants = self._logs.get(log)
        if wants is None:
            return
        if gained:
            for other, lacking in wants.offered.items():
                wants.offered[other] = lacking - gained
                if other in self._ways and other != peer:
                    self._ways[other].shown(log.key, now_ms=now_ms)
        if wants.owner != peer:
            return
        wants.heard_ms = now_ms
        if gained:
            wants.carrier = peer
            self._learn(peer, wants, now_ms)
            self._count_hold(log, min(now_ms - wants.gained_ms, FILLING_GAIN_MS), now_ms)
            wants.gained_ms = now_ms

    def gained_since(self, log: LogId, gains: int) -> bool:
        """Whether `log` may have gained since `self.gains` was `gains`: what was read of it before
        may lack what is stored now, and would be asked for twice."""
        return self._gained.get(log, self._gained_all) > gains

    def broke_promise(self, peer: NodeId, log: LogId) -> None:
        """`peer` did not have what it offered: it no longer holds fetches of `log` back."""
        wants = self._logs.get(log)
        if wants is not None:
            wants.broken.add(peer)

    def release(self, peer: NodeId, log: LogId) -> None:
        """Nothing is asked of `peer` in `log` any more; others that offer it are woken."""
        wants = self._logs.get(log)
        if wants is not None and wants.owner == peer:
            wants.owner = wants.asked_ms = None
            self._woken.update(other for other in wants.offered if other != peer)

    def take_woken(self) -> frozenset[NodeId]:
        """The peers whose claims may succeed now, or who may get a turn; each is named once."""
        woken = self.turns.take_woken() | self._woken
        self._woken.clear()
        return woken

    def __contains__(self, log: LogId) -> bool:
        """Whether some connected peer offers something of `log` that we lack."""
        return log in self._logs

    def stop_below(self, log: LogId, *, above: int | None, now_ms: int) -> int | None:
        """The lowest number over `above` that is being filled from a peer; None: hold nothing."""
        wants = self._logs.get(log)
        if wants is None or now_ms - wants.gained_ms > FILLING_GAIN_MS:
            return None
        if self._held_ms(log, now_ms) > FILLING_HOLD_MS_MAX:
            return None
        first = 0 if above is None else above + 1
        lowest = [
            ranges.from_(first).lowest
            for peer, ranges in wants.offered.items()
            if peer not in wants.broken
        ]
        return min((seq for seq in lowest if seq is not None), default=None)

    def lacking(self, log: LogId) -> SeqRanges:
        """Everything of `log` that some connected peer offers and we lack."""
        wants = self._logs.get(log)
        result = EMPTY
        if wants is not None:
            for ranges in wants.offered.values():
                result |= ranges
        return result

    @property
    def holds_remembered(self) -> int:
        """Logs whose holding back of the day is remembered."""
        return len(self._holds)

    def _is_due(self, peer: NodeId, log: LogId, wants: _LogWants, now_ms: int) -> bool:
        """Whether it is this node's turn to ask `peer`; if it is, it takes it."""
        way = self._ways.get(peer)
        if way is None or peer in (wants.owner, wants.carrier):
            return True
        typical_ms = self._typical_ms.get(peer, 0.0)
        due_ms = way.due_ms(log.key, since_ms=wants.gained_ms, now_ms=now_ms, typical_ms=typical_ms)
        if now_ms < due_ms:
            return False
        way.acting(log.key, now_ms=now_ms)
        return True

    def _forget(self, peer: NodeId, log: LogId, wants: _LogWants) -> None:
        self.release(peer, log)
        wants.offered.pop(peer, None)
        wants.broken.discard(peer)
        if not wants.offered:
            del self._logs[log]

    def _count_gain(self, log: LogId) -> None:
        self.gains += 1
        self._gained[log] = self.gains
        self._gained.move_to_end(log)
        if len(self._gained) > GAINED_LOGS_MAX:
            self._gained_all = self._gained.popitem(last=False)[1]

    def held_up(self, late_ms: int) -> None:
        """We could hear nobody for so long: what was asked for may have come meanwhile."""
        for wants in self._logs.values():
            wants.heard_ms += late_ms

    def _patience_ms(self, peer: NodeId, owner: NodeId, now_ms: int) -> float:
        peer_ms = WANT_TYPICAL_TIMES * self._typical_ms.get(peer, 0.0)
        owner_ms = WANT_TYPICAL_TIMES * self._typical_ms.get(owner, 0.0)
        heard_ms = self._heard_ms.get(owner)
        if heard_ms is not None and now_ms - heard_ms < WANT_PATIENCE_MS:
            owner_ms = WANT_PATIENCE_SLOW_MS
        return max(WANT_PATIENCE_MS, peer_ms, min(owner_ms, WANT_PATIENCE_SLOW_MS))

    def _learn(self, peer: NodeId, wants: _LogWants, now_ms: int) -> None:
        """How long `peer` takes, by what it was asked for last; at least, if it did not answer."""
        if wants.asked_ms is None:
            return
        took_ms = now_ms - wants.asked_ms
        wants.asked_ms = None
        typical_ms = self._typical_ms.pop(peer, float(took_ms))
        self._typical_ms[peer] = typical_ms + (took_ms - typical_ms) / _LEARNT_OF
        if len(self._typical_ms) > SYNC_STREAMS_MAX:
            self._typical_ms.popitem(last=False)

    def _count_hold(self, log: LogId, gained_after_ms: int, now_ms: int) -> None:
        held_ms = self._held_ms(log, now_ms)
        day_ms = self._holds[log].day_ms if log in self._holds else now_ms
        self._holds[log] = _Hold(day_ms, held_ms + gained_after_ms)
        self._holds.move_to_end(log)
        if len(self._holds) > FILLING_LOGS_MAX:
            self._holds.popitem(last=False)

    def _held_ms(self, log: LogId, now_ms: int) -> int:
        hold = self._holds.get(log)
        if hold is not None and now_ms - hold.day_ms >= FILLING_DAY_MS:
            del self._holds[log]
            hold = None
        return hold.held_ms if hold is not None else 0
