"""Node time against a model that remembers everything that ever happened to the machine.

test_clock.py shows that no message ages by time that did not pass. Here is the other side: a
message is as old as it really is, less the time off that could not be known. What could be is said
by the clauses of design.md 4.5, read from the whole history, without a clock's state.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.core.clock import SystemReading
from meshbox.core.retention import BUCKET_MS, DAY_MS, HOUR_MS, RETENTION_MAX_MS, bucket_of
from tests.clocks import BUILD_DATE_MS
from tests.core.test_clock import NOW_MS, YEAR_MS, History, apply


class Span(NamedTuple):
    """Time that passed, how much of it node time gained at once, and whether it was time off."""

    passed_ms: int
    gained_ms: int
    off: bool = False


class Synchronised(NamedTuple):
    """The node saw a synchronised clock."""


class Stored(NamedTuple):
    """A message was stored, new."""

    stamp_ms: int


Event = Span | Synchronised | Stored


class Remembered(History):
    """A machine and the list of what happened to it, as far as its store can know."""

    def __init__(self, wall_ms: int, *, synchronised: bool) -> None:
        self.events: list[Event] = []
        self.saved_events: list[Event] = []
        self.seen_ms = 0
        super().__init__(wall_ms, synchronised=synchronised)

    def look(self) -> None:
        """What the node notices whenever it reads the clock."""
        self.events.append(Span(self.right_ms - self.seen_ms, self.right_ms - self.seen_ms))
        self.seen_ms = self.right_ms
        if self.system.synchronised and self.system.wall_ms >= BUILD_DATE_MS:
            self.events.append(Synchronised())

    def save(self) -> None:
        if not self.events:
            self.seen_ms = self.right_ms
        super().save()
        self.look()
        self.saved_events = list(self.events)

    def store(self, age_ms: int) -> None:
        self.look()
        stored = len(self.blobs)
        before = self.clock.now_ms(self.system.read())
        if age_ms == 0:
            self.events.append(Stored(before))
        super().store(age_ms)
        assert age_ms or len(self.blobs) == stored + 1, "what is new is never due"

    def _start(self) -> None:
        before, now = self.saved.system, self.system.read()
        passed_ms = self.right_ms - self.saved_right_ms
        off = now.boot_id != before.boot_id
        gained_ms = gain_ms(before, now) if off else passed_ms
        self.events = [*self.saved_events, Span(passed_ms, gained_ms, off)]
        self.seen_ms = self.right_ms
        super()._start()

    def check(self) -> None:
        super().check()
        self.look()
        now_ms = self.clock.now_ms(self.system.read())
        for at, event in enumerate(self.events):
            if isinstance(event, Stored):
                least_ms = known_age_ms(self.events, at, event)
                age_ms = self.retention.age_ms(event.stamp_ms, now_ms)
                assert age_ms >= min(least_ms, RETENTION_MAX_MS), "lives too long"


def gain_ms(before: SystemReading, now: SystemReading) -> int:
    """The clauses about a start in another boot."""
    sure_before, sure_now = (
        reading.synchronised and reading.wall_ms >= BUILD_DATE_MS for reading in (before, now)
    )
    forward_ms = now.wall_ms - before.wall_ms
    if forward_ms <= 0 or (sure_now and not sure_before):
        return 0
    if sure_before and sure_now:
        return forward_ms
    return 0 if before.wall_ms < BUILD_DATE_MS else min(forward_ms, 7 * DAY_MS)


def known_age_ms(events: list[Event], stored_at: int, stored: Stored) -> int:
    """How old the message that `events[stored_at]` stored must be taken to be, at least.

    What node time gained counts. What it did not gain between two synchronised moments counts when
    the message was there, in an earlier bucket, at the first time off between them.
    """
    node_ms = stored.stamp_ms - sum(e.gained_ms for e in events[:stored_at] if isinstance(e, Span))
    age_ms = lacking_ms = 0
    sure, first_off_at, back_ms = False, -1, 0
    for at, event in enumerate(events):
        if isinstance(event, Synchronised):
            waited_ms = node_ms - back_ms
            measured = (
                sure and stored_at < first_off_at and waited_ms < RETENTION_MAX_MS - BUCKET_MS
            )
            if measured and bucket_of(stored.stamp_ms) < bucket_of(back_ms):
                age_ms += lacking_ms
            sure, first_off_at, lacking_ms = True, -1, 0
        elif isinstance(event, Span):
            node_ms += event.gained_ms
            lacking_ms += event.passed_ms - event.gained_ms
            if event.off and first_off_at < 0:
                first_off_at, back_ms = at, node_ms
            if at > stored_at:
                age_ms += event.gained_ms
    return age_ms


spans_ms = st.sampled_from([0, 30_000, HOUR_MS, 7 * HOUR_MS, DAY_MS, 3 * DAY_MS, 9 * DAY_MS])
lags_ms = st.sampled_from([0, HOUR_MS, 3 * YEAR_MS])
"""How far an unsynchronised clock is behind what can be believed."""
step = st.one_of(
    st.tuples(st.just("run"), spans_ms),
    st.tuples(st.just("store"), st.sampled_from([0, DAY_MS])),
    st.tuples(st.just("save")),
    st.tuples(st.just("synchronise")),
    st.tuples(st.just("lie"), st.sampled_from([0, NOW_MS, 2 * NOW_MS])),
    st.tuples(st.just("kill")),
    st.tuples(st.just("cut"), spans_ms, lags_ms, st.booleans()),
)
day = st.tuples(
    st.just(("store", 0)),
    st.tuples(st.just("run"), spans_ms),
    st.one_of(st.just(("save",)), st.just(("synchronise",)), st.just(("lie", NOW_MS))),
    st.tuples(st.just("cut"), spans_ms, lags_ms, st.booleans()),
    st.one_of(st.just(("save",)), st.just(("synchronise",))),
)
"""What happens most days; anything may in between."""


@settings(max_examples=300)
@given(st.lists(st.one_of(day, st.tuples(step)), max_size=8), st.booleans())
def test_a_message_is_as_old_as_can_be_known(
    days: list[tuple[tuple, ...]], synchronised: bool
) -> None:
    history = Remembered(NOW_MS, synchronised=synchronised)
    history.check()
    for step_of_a_day in (step for day in days for step in day):
        apply(history, step_of_a_day)
        history.check()
