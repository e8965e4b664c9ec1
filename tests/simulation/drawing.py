"""Schedules drawn from seeds: a mesh, what phones do in it, and what goes wrong.

A seed allows only some kinds of faults, so that runs differ in kind and not only in order: what
one fault would hide, another run shows without it. Phones behave as phones: they append to their
log, bring the same blobs to several mailboxes at different times, and sometimes the newest first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from meshbox.core.ids import BlobClass
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import DAY_MS, HOUR_MS
from tests.simulation.links import Cuts, Leaves, Meets, Parts, Slows
from tests.simulation.machines import (
    BacksUp,
    Clones,
    Crashes,
    FailsDisk,
    Restarts,
    Restores,
    SetsClock,
    SlowsDisk,
)
from tests.simulation.scenes import little_room, lively, plots, starved, strangers, way_out
from tests.simulation.schedule import Ends, Event, Schedule
from tests.simulation.traffic import Deposits, Harasses, Passes, Polls, Sweeps

NODES: Final = (*(2,) * 10, *(3,) * 16, *(4,) * 6, *(5,) * 3, 6, 7, 9, 12)
SIZES_BYTES: Final = (40, 40, 40, 40, 40, 40, 300, 300, 1_500, 3_000, 6_000)
"""Of blobs: from many in a frame to many frames and pieces for one (small.py)."""


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    return _Drawing(seed).schedule()


class _Drawing:
    """One schedule while it is drawn."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = rng = random.Random(f"schedule {seed}")
        self._nodes = rng.choice(NODES)
        self._links = self._draw_links()
        self._end_s = rng.uniform(3, 14)
        self._events: list[Event] = []

    def schedule(self) -> Schedule:
        rng = self._rng
        for log in range(rng.choice((1, 2, 2, 3, 3, 4, 6))):
            self._write(log)
        for phone in range(3):
            for _ in range(rng.randint(0, 6)):
                self._events.append(Polls(self._at(), phone, self._node()))
        faults = [fault for fault in self._faults() if rng.random() < 0.35]
        calm = rng.random() < 0.15
        for _ in range(0 if calm or not faults else rng.randint(1, 10)):
            self._events += rng.choice(faults)()
        self._events += little_room(self._seed, nodes=self._nodes, end_s=self._end_s)
        self._events += strangers(self._seed, links=self._links)
        self._events += plots(self._seed, nodes=self._nodes, end_s=self._end_s)
        self._events += lively(self._seed, nodes=self._nodes)
        self._events += starved(self._seed, nodes=self._nodes, end_s=self._end_s)
        self._events.sort(key=lambda event: event.at_s)
        events = tuple(self._events)
        return Schedule(self._seed, self._nodes, self._links, events, way_out(self._seed))

    def _draw_links(self) -> tuple[Ends, ...]:
        """A tree, and some more."""
        rng = self._rng
        shape = rng.choice(("line", "star", "tree", "full"))
        near: dict[str, Callable[[int], int]] = {
            "line": lambda number: number - 1,
            "star": lambda _: 0,
            "tree": rng.randrange,
            "full": lambda _: 0,
        }
        links = {(number, near[shape](number)) for number in range(1, self._nodes)}
        if shape == "full" and self._nodes <= 5:
            links = {(b, a) for b in range(self._nodes) for a in range(b)}
        for _ in range(rng.randint(0, self._nodes // 2)):
            a, b = sorted(rng.sample(range(self._nodes), 2))
            links.add((b, a))
        return tuple(sorted(links))

    def _write(self, log: int) -> None:
        """One author's log: what is written, and where it is brought when."""
        rng = self._rng
        mixed = rng.random() < 0.25
        classes = list(BlobClass) if mixed else [rng.choice(list(BlobClass))]
        size_bytes = rng.choice(SIZES_BYTES)
        seq = 0
        for _ in range(rng.randint(1, 4)):
            count = rng.choice((1, 1, 1, 2, 3, 5, 12, 30))
            written = SeqRanges.of(seq, seq + count)
            seq += count
            if rng.random() < 0.04:
                written = SeqRanges((n, n + 1) for n in range(0, 2 * count, 2))
            at_s = self._at()
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                brought = written if rng.random() < 0.8 else SeqRanges.of(0, seq)
                self._bring(at_s, log, brought, rng.choice(classes), size_bytes, variant=0)
                if rng.random() < 0.4:
                    soon_s = at_s + rng.choice((0.01, 0.03, 0.1, 1.0))
                    self._events.append(Polls(soon_s, rng.randrange(3), self._node()))
                at_s += rng.choice((0.0, 0.01, 0.5, 4.0))
            if mixed and rng.random() < 0.4:
                self._bring(self._at(), log, written, BlobClass.OPAQUE, size_bytes, variant=1)

    def _bring(
        self,
        at_s: float,
        log: int,
        seqs: SeqRanges,
        blob_class: BlobClass,
        size_bytes: int,
        *,
        variant: int,
    ) -> None:
        kept = seqs.take_lowest(max(1, 12_000 // size_bytes))
        self._events.append(
            Deposits(round(at_s, 3), self._node(), log, kept, blob_class, variant, size_bytes)
        )

    def _faults(self) -> list[Callable[[], list[Event]]]:
        """A way to draw each kind of fault."""
        rng, at, node, link, some_s = self._rng, self._at, self._node, self._link, self._some_s
        days_ms = (*(HOUR_MS * h for h in (1, 7, 24, 72, 158, 165)), 8 * DAY_MS)
        return [
            lambda: [Cuts(at(), link())],
            lambda: [Cuts(at(), link(), rng.randint(1, 25))],
            lambda: [Parts(at(), link(), some_s(12))],
            lambda: [Slows(at(), link(), rng.choice((100, 1_000, 4_000)), some_s(8))],
            lambda: [Crashes(at(), node(), rng.choice((0, 0, 1, 2)), some_s(2))],
            lambda: [Crashes(at(), node(), 0, some_s(2), *self._clock())],
            lambda: [Restarts(at(), node(), some_s(1))],
            lambda: [SlowsDisk(at(), node(), rng.choice((50, 400, 2_000)), some_s(5))],
            lambda: [FailsDisk(at(), node(), some_s(2))],
            lambda: [SetsClock(at(), node(), *self._clock())],
            self._restored,
            self._parted_for_days,
            lambda: [Harasses(at(), node(), rng.randrange(99), rng.randrange(99)) for _ in "abc"],
            lambda: [Clones(at(), node())],
            lambda: [Leaves(at(), link()), Meets(at(), link())],
            lambda: [Passes(at(), rng.choice(days_ms)), *(Sweeps(at(), node()) for _ in "ab")],
        ]

    def _restored(self) -> list[Event]:
        """What was stored since is lost there, what was told of it is not."""
        node, times_s = self._node(), sorted(self._at() for _ in range(3))
        one = SeqRanges.of(0, 1)
        return [
            BacksUp(times_s[0], node),
            *(Deposits(times_s[1], node, log, one) for log in (7, 8, 9)),
            Restores(times_s[2], node),
            Deposits(times_s[2], node, 10, SeqRanges.of(0, self._rng.randint(1, 4))),
        ]

    def _parted_for_days(self) -> list[Event]:
        """Two parts of a mesh do not hear of each other for days, and then what is left."""
        link, times_s = self._link(), sorted(self._at() for _ in range(4))
        first_ms, then_ms = (self._rng.choice((1, 3, 5)) * DAY_MS for _ in "ab")
        return [
            Leaves(times_s[0], link),
            Cuts(times_s[0], link),
            Passes(times_s[1], first_ms),
            Meets(times_s[2], link),
            Passes(times_s[3], then_ms),
        ]

    def _clock(self) -> tuple[int, bool]:
        """A wall clock: right, not known to be right, or long ago."""
        return self._rng.choice(((0, True), (0, False), (-3 * DAY_MS, False), (-60_000, True)))

    def _at(self) -> float:
        return round(self._rng.uniform(0, self._end_s), 3)

    def _some_s(self, most_s: float) -> float:
        return round(self._rng.uniform(0, most_s), 3)

    def _node(self) -> int:
        return self._rng.randrange(self._nodes)

    def _link(self) -> Ends:
        return self._rng.choice(self._links)
