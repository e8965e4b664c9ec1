"""Node time: the cases of design.md 4.5 one by one, then any history of a machine at all."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.clock import (
    GAPS_MAX,
    Gap,
    NodeClock,
    SavedReading,
    SyncPoint,
    SystemReading,
)
from meshbox.core.retention import (
    BUCKET_MS,
    DAY_MS,
    HOUR_MS,
    RETENTION_MAX_MS,
    Retention,
    bucket_of,
    bucket_start_ms,
)
from tests.clocks import BUILD_DATE_MS, ManualClock

MINUTE_MS = 60_000
YEAR_MS = 365 * DAY_MS
MONTH_MS = 30 * DAY_MS
NOW_MS = BUILD_DATE_MS + YEAR_MS
"""What the wall clock rightly says when a case begins."""
NODE_MS = BUILD_DATE_MS + 5 * DAY_MS
"""Node time then: anything else than the wall clock."""


def started(saved: SavedReading | None, system: SystemReading) -> NodeClock:
    return NodeClock.start(saved, system, build_date_ms=BUILD_DATE_MS)


def reading(
    boot_ms: int, wall_ms: int, *, synchronised: bool, boot_id: str = "b1"
) -> SystemReading:
    return SystemReading(boot_ms, boot_id, wall_ms, synchronised)


# --- the first opening of a store


@pytest.mark.parametrize(
    ("wall_ms", "first_ms"),
    [
        pytest.param(0, BUILD_DATE_MS, id="in 1970: the build date"),
        pytest.param(NOW_MS, NOW_MS, id="right: the wall clock"),
        pytest.param(BUILD_DATE_MS - 1, BUILD_DATE_MS, id="last month: the build date"),
    ],
)
@pytest.mark.parametrize("synchronised", [True, False])
def test_begins_at_the_wall_clock_but_not_before_the_build(
    wall_ms: int, first_ms: int, synchronised: bool
) -> None:
    system = reading(5_000, wall_ms, synchronised=synchronised)
    clock = started(None, system)
    assert clock.now_ms(system) == first_ms
    assert clock.gaps == ()


def test_a_clock_set_after_the_first_opening_moves_nothing() -> None:
    machine = ManualClock(wall_ms=30_000, synchronised=False)
    clock = started(None, machine.read())
    machine.advance(MINUTE_MS)
    machine.wall_ms, machine.synchronised = NOW_MS, True
    assert clock.now_ms(machine.read()) == BUILD_DATE_MS + MINUTE_MS
    assert clock.gaps == ()
    saved = clock.reading(machine.read())
    assert saved.synchronised_at == SyncPoint(BUILD_DATE_MS + MINUTE_MS, NOW_MS)


# --- what node time gains from the saved reading to the start

SAVED_BOOT_MS = 10 * HOUR_MS
NIGHT_MS = 8 * HOUR_MS

GAINS = [
    # (same boot, synchronised then, now, CLOCK_BOOTTIME now, wall clock since then, gain)
    pytest.param(True, True, True, SAVED_BOOT_MS + 7_000, 7_000, 7_000, id="restarted"),
    pytest.param(
        True, True, True, SAVED_BOOT_MS + 7_000, 10 * YEAR_MS, 7_000, id="same boot, +10 years"
    ),
    pytest.param(
        True, False, False, SAVED_BOOT_MS + 7_000, -10 * YEAR_MS, 7_000, id="same boot, -10 years"
    ),
    pytest.param(
        True, True, True, SAVED_BOOT_MS + NIGHT_MS, NIGHT_MS, NIGHT_MS, id="slept for a night"
    ),
    pytest.param(
        True, True, True, SAVED_BOOT_MS - HOUR_MS, 7_000, 0, id="a memory image was restored"
    ),
    pytest.param(False, True, True, 9_000, NIGHT_MS, NIGHT_MS, id="off for a night"),
    pytest.param(False, True, True, 9_000, MONTH_MS, MONTH_MS, id="off for a month"),
    pytest.param(False, True, True, 9_000, 3 * YEAR_MS, 3 * YEAR_MS, id="an old copy of a store"),
    pytest.param(False, True, False, 9_000, NIGHT_MS, NIGHT_MS, id="a night, not sure now"),
    pytest.param(False, True, False, 9_000, MONTH_MS, 7 * DAY_MS, id="a month, not sure now"),
    pytest.param(False, False, False, 9_000, NIGHT_MS, NIGHT_MS, id="a night, never sure"),
    pytest.param(False, False, False, 9_000, MONTH_MS, 7 * DAY_MS, id="a month, never sure"),
    pytest.param(False, False, True, 9_000, NIGHT_MS, 0, id="was it off, or was it set?"),
    pytest.param(False, True, True, 9_000, -HOUR_MS, 0, id="backwards, both sure"),
    pytest.param(False, True, False, 9_000, -HOUR_MS, 0, id="backwards, not sure now"),
    pytest.param(False, False, False, 9_000, -HOUR_MS, 0, id="backwards, never sure"),
    pytest.param(False, False, True, 9_000, -HOUR_MS, 0, id="backwards, sure now"),
    pytest.param(False, True, False, 9_000, 10 - NOW_MS, 0, id="1970 after a power cut"),
    pytest.param(False, True, True, 9_000, 10 - NOW_MS, 0, id="1970, called synchronised"),
]


@pytest.mark.parametrize(
    ("same_boot", "sure_then", "sure_now", "boot_ms", "forward_ms", "gain_ms"), GAINS
)
def test_gain_since_the_saved_reading(
    same_boot: bool, sure_then: bool, sure_now: bool, boot_ms: int, forward_ms: int, gain_ms: int
) -> None:
    saved = SavedReading(NODE_MS, reading(SAVED_BOOT_MS, NOW_MS, synchronised=sure_then))
    boot_id = "b1" if same_boot else "b2"
    now = reading(boot_ms, NOW_MS + forward_ms, synchronised=sure_now, boot_id=boot_id)
    clock = started(saved, now)
    assert clock.now_ms(now) == NODE_MS + gain_ms
    later = now._replace(boot_ms=boot_ms + 1_000, wall_ms=now.wall_ms + 1_000)
    assert clock.now_ms(later) == NODE_MS + gain_ms + 1_000


def test_a_wall_clock_from_before_the_build_date_measures_nothing() -> None:
    """A box that started in 1970 was off for a minute, and then somebody set its clock by hand."""
    saved = SavedReading(NODE_MS, reading(SAVED_BOOT_MS, 90_000, synchronised=False))
    now = reading(9_000, NOW_MS, synchronised=False, boot_id="b2")
    assert started(saved, now).now_ms(now) == NODE_MS


def test_a_wall_clock_at_the_build_date_measures() -> None:
    saved = SavedReading(NODE_MS, reading(SAVED_BOOT_MS, BUILD_DATE_MS, synchronised=False))
    now = reading(9_000, BUILD_DATE_MS + NIGHT_MS, synchronised=False, boot_id="b2")
    assert started(saved, now).now_ms(now) == NODE_MS + NIGHT_MS


def test_another_boot_is_noticed_in_mid_run() -> None:
    """Of a machine whose memory image was moved to another one."""
    clock = started(None, reading(SAVED_BOOT_MS, NOW_MS, synchronised=True))
    moved = reading(SAVED_BOOT_MS + NIGHT_MS, NOW_MS + 9_000, synchronised=True, boot_id="b2")
    assert clock.now_ms(moved) == NOW_MS + 9_000


def test_a_gap_is_forgotten_when_all_before_it_is_due() -> None:
    """A machine that is off for an hour in each bucket, and has no clock while it is."""
    true_ms = BUCKET_MS * (NOW_MS // BUCKET_MS)
    system = reading(0, true_ms, synchronised=True)
    saved = started(None, system).reading(system)
    gaps = []
    for number in range(60):
        true_ms += HOUR_MS
        boot_id = f"boot {number}"
        clock = started(saved, reading(0, BUILD_DATE_MS, synchronised=False, boot_id=boot_id))
        clock.now_ms(reading(0, true_ms, synchronised=True, boot_id=boot_id))
        true_ms += BUCKET_MS
        saved = clock.reading(reading(BUCKET_MS, true_ms, synchronised=True, boot_id=boot_id))
        gaps.append(len(saved.gaps))
    assert max(gaps) == gaps[-1] == (RETENTION_MAX_MS - BUCKET_MS) // BUCKET_MS - 1


def test_a_clock_before_the_build_date_is_not_believed_to_be_synchronised() -> None:
    machine = ManualClock(wall_ms=90_000, synchronised=True)
    clock = started(None, machine.read())
    machine.advance(HOUR_MS)
    saved = clock.reading(machine.read())
    assert saved.synchronised_at is None
    now = reading(9_000, NOW_MS, synchronised=True, boot_id="b2")
    assert started(saved, now).now_ms(now) == BUILD_DATE_MS + HOUR_MS


def test_a_newer_release_does_not_disown_what_an_older_one_saved() -> None:
    before_ms = BUILD_DATE_MS - DAY_MS
    saved = SavedReading(before_ms, reading(SAVED_BOOT_MS, before_ms, synchronised=True))
    now = reading(9_000, NOW_MS, synchronised=True, boot_id="b2")
    assert started(saved, now).now_ms(now) == NOW_MS


# --- within a run


def test_moves_with_boottime_whatever_the_wall_clock_does() -> None:
    machine = ManualClock()
    clock = started(None, machine.read())
    first_ms = clock.now_ms(machine.read())
    for step_ms in (-10 * YEAR_MS, 10 * YEAR_MS, 3, -7):
        machine.wall_ms += step_ms
        assert clock.now_ms(machine.read()) == first_ms
    machine.advance(NIGHT_MS)  # running or suspended: CLOCK_BOOTTIME counts both
    assert clock.now_ms(machine.read()) == first_ms + NIGHT_MS
    assert clock.gaps == ()


def test_an_older_reading_is_not_counted_twice() -> None:
    machine = ManualClock()
    clock = started(None, machine.read())
    old = machine.read()
    machine.advance(5_000)
    new = machine.read()
    now_ms = clock.now_ms(new)
    for _ in range(3):
        assert clock.now_ms(old) == now_ms
        clock.observe(old)
        assert clock.now_ms(new) == now_ms


# --- time off that node time did not gain, measured later


class Machine:
    """A machine with a mailbox that saves a reading at each step."""

    def __init__(self) -> None:
        self.system = ManualClock(wall_ms=NOW_MS, synchronised=True)
        self.right_ms = NOW_MS
        self.clock = started(None, self.system.read())
        self.saved = self.clock.reading(self.system.read())

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms(self.system.read())

    def run(self, passed_ms: int) -> None:
        self.right_ms += passed_ms
        self.system.advance(passed_ms)
        self.save()

    def save(self) -> None:
        self.saved = self.clock.reading(self.system.read())

    def synchronise(self) -> None:
        self.system.wall_ms, self.system.synchronised = self.right_ms, True
        self.save()

    def power_cut(
        self, off_ms: int, *, wall_ms: int | None = None, synchronised: bool = False
    ) -> None:
        """Off, and on again with a clock in 1970 unless `wall_ms` or `synchronised`."""
        self.right_ms += off_ms
        if synchronised:
            wall_ms = self.right_ms
        self.system.reboot(
            boot_id=self.system.boot_id + "'", wall_ms=wall_ms or 0, synchronised=synchronised
        )
        self.clock = started(self.saved, self.system.read())
        self.save()

    def age_ms(self, stamp_ms: int) -> int:
        return Retention(RETENTION_MAX_MS, None, self.clock.gaps).age_ms(stamp_ms, self.now_ms)


@pytest.mark.parametrize("unsure_ms", [0, 30_000, HOUR_MS, 3 * DAY_MS])
@pytest.mark.parametrize("off_ms", [HOUR_MS, NIGHT_MS, MONTH_MS])
def test_a_gap_is_what_the_clock_tells_once_it_is_synchronised(off_ms: int, unsure_ms: int) -> None:
    machine = Machine()
    old_ms, born_ms = machine.now_ms, machine.right_ms
    machine.run(DAY_MS)
    machine.power_cut(off_ms)
    new_ms = machine.now_ms
    assert new_ms == old_ms + DAY_MS, "nothing is gained from a clock in 1970"
    machine.run(unsure_ms)
    machine.synchronise()
    assert machine.clock.gaps == (Gap(bucket_start_ms(bucket_of(new_ms)), off_ms),)
    assert machine.now_ms == new_ms + unsure_ms, "node time itself does not jump"
    assert machine.age_ms(old_ms) == machine.right_ms - born_ms
    assert machine.age_ms(new_ms) == unsure_ms


def test_a_clock_that_is_never_synchronised_makes_no_gap() -> None:
    machine = Machine()
    machine.power_cut(NIGHT_MS)
    machine.run(3 * DAY_MS)
    assert [gap.length_ms for gap in machine.clock.gaps] == [None]
    assert machine.age_ms(NOW_MS) == 3 * DAY_MS


def test_a_clock_that_never_was_synchronised_makes_no_gap() -> None:
    machine = Machine()
    machine.system.synchronised = False
    machine.clock = started(None, machine.system.read())
    machine.save()
    machine.power_cut(NIGHT_MS)
    machine.synchronise()
    assert machine.clock.gaps == ()


def test_what_was_counted_is_no_gap() -> None:
    machine = Machine()
    machine.power_cut(NIGHT_MS, wall_ms=NOW_MS + NIGHT_MS)
    assert machine.now_ms == NOW_MS + NIGHT_MS
    machine.run(HOUR_MS)
    machine.synchronise()
    assert machine.clock.gaps == ()


def test_a_part_that_was_counted_is_not_counted_again() -> None:
    machine = Machine()
    machine.power_cut(MONTH_MS, wall_ms=NOW_MS + MONTH_MS)
    assert machine.now_ms == NOW_MS + 7 * DAY_MS
    machine.synchronise()
    assert machine.age_ms(NOW_MS) == MONTH_MS


def test_synchronised_in_a_later_run() -> None:
    machine = Machine()
    machine.run(DAY_MS)
    machine.power_cut(NIGHT_MS)
    machine.run(HOUR_MS)
    first_run_ms = machine.now_ms
    machine.power_cut(3 * HOUR_MS)
    machine.run(DAY_MS)
    machine.power_cut(MINUTE_MS, synchronised=True)
    assert machine.age_ms(NOW_MS) == machine.right_ms - NOW_MS
    assert machine.age_ms(first_run_ms) == DAY_MS, "how much was off before it, nobody knows"


def test_a_blob_received_before_the_gap_is_measured_does_not_age_by_it() -> None:
    """Back after a month; a peer hands over a blob of two days; then the clock is synchronised."""
    machine = Machine()
    machine.power_cut(MONTH_MS)
    asked_ms = machine.now_ms
    retention = Retention(RETENTION_MAX_MS, None, machine.clock.gaps)
    stamp_ms = retention.stamp_of(asked_ms, 2 * DAY_MS)
    earlier_ms = retention.earlier_ms(stamp_ms, asked_ms=asked_ms, age_ms=2 * DAY_MS)
    machine.run(MINUTE_MS)
    machine.synchronise()
    assert machine.age_ms(stamp_ms) + earlier_ms == 2 * DAY_MS + MINUTE_MS


def test_lost_and_found_again_within_a_boot_is_no_time_off() -> None:
    machine = Machine()
    for _ in range(3):
        machine.run(DAY_MS)
        machine.system.synchronised = False
        machine.system.wall_ms -= HOUR_MS
        machine.run(DAY_MS)
        machine.synchronise()
    assert machine.clock.gaps == ()
    assert machine.now_ms == NOW_MS + 6 * DAY_MS


def test_lost_before_the_power_cut() -> None:
    """Synchronised at home, a day in the camp, off for a night, synchronised at home again."""
    machine = Machine()
    machine.system.synchronised = False
    machine.run(DAY_MS)
    machine.power_cut(NIGHT_MS, synchronised=True)
    assert machine.now_ms == NOW_MS + DAY_MS
    assert machine.age_ms(NOW_MS) == DAY_MS + NIGHT_MS


@pytest.mark.parametrize("finds_time", [True, False])
def test_power_lost_every_50_seconds(finds_time: bool) -> None:
    """For a week; off for 10 s each time; synchronised, if at all, after 30 s."""
    machine = Machine()
    for _ in range(7 * DAY_MS // MINUTE_MS):
        machine.power_cut(10_000)
        machine.run(30_000)
        if finds_time:
            machine.synchronise()
        machine.right_ms += 20_000  # it runs on, and saves nothing more
    assert len(machine.clock.gaps) <= GAPS_MAX
    passed_ms = machine.right_ms - 20_000 - NOW_MS
    age_ms = machine.age_ms(NOW_MS)
    assert machine.now_ms == NOW_MS + 7 * DAY_MS // 2, "30 s of each minute were saved"
    if finds_time:
        assert passed_ms - BUCKET_MS <= age_ms <= passed_ms
    else:
        assert age_ms == machine.now_ms - NOW_MS


def test_old_gaps_are_forgotten_when_they_decide_nothing() -> None:
    machine = Machine()
    machine.power_cut(NIGHT_MS)
    machine.synchronise()
    (gap,) = machine.clock.gaps
    retention = Retention(RETENTION_MAX_MS, None, (gap,))
    while machine.clock.gaps:
        machine.run(HOUR_MS)
        assert machine.now_ms <= gap.start_ms + 8 * DAY_MS
    without = Retention(RETENTION_MAX_MS)
    assert without.due_through(machine.now_ms) == retention.due_through(machine.now_ms)


def test_an_unmeasured_gap_that_was_forgotten_is_not_charged_to_a_later_one() -> None:
    machine = Machine()
    machine.power_cut(MONTH_MS)
    machine.run(8 * DAY_MS)
    young_ms = machine.now_ms
    machine.run(BUCKET_MS)
    machine.power_cut(HOUR_MS)
    machine.synchronise()
    assert machine.age_ms(young_ms) <= BUCKET_MS + HOUR_MS


def test_what_is_saved_survives_messagepack() -> None:
    machine = Machine()
    machine.power_cut(NIGHT_MS)
    packed = msgspec.msgpack.encode(machine.saved)
    assert msgspec.msgpack.decode(packed, type=SavedReading) == machine.saved
    machine.synchronise()
    packed = msgspec.msgpack.encode(machine.saved)
    assert msgspec.msgpack.decode(packed, type=SavedReading) == machine.saved


# --- any history


class History:
    """A machine and what really happened, to hold node time against.

    The wall clock lies as it likes while it is not synchronised, but nobody sets it forward while
    the machine is off. A power cut takes back everything since the last saved reading.
    """

    def __init__(self, wall_ms: int, *, synchronised: bool) -> None:
        self.right_ms = NOW_MS
        self.system = ManualClock(
            wall_ms=NOW_MS if synchronised else wall_ms, synchronised=synchronised
        )
        self.clock = started(None, self.system.read())
        self.first_ms = self.clock.now_ms(self.system.read())
        self.last_ms = self.first_ms
        self.blobs: list[tuple[int, int, int]] = []
        self.save()

    @property
    def retention(self) -> Retention:
        return Retention(RETENTION_MAX_MS, None, self.clock.gaps)

    def save(self) -> None:
        self.saved = self.clock.reading(self.system.read())
        self.saved_right_ms = self.right_ms
        self.saved_blobs = len(self.blobs)

    def run(self, passed_ms: int) -> None:
        self.right_ms += passed_ms
        self.system.advance(passed_ms)

    def store(self, age_ms: int) -> None:
        now_ms = self.clock.now_ms(self.system.read())
        stamp_ms = self.retention.stamp_of(now_ms, age_ms)
        if not self.retention.due(bucket_of(stamp_ms), now_ms):
            earlier_ms = self.retention.earlier_ms(stamp_ms, asked_ms=now_ms, age_ms=age_ms)
            self.blobs.append((stamp_ms, earlier_ms, self.right_ms - age_ms))
        self.save()

    def synchronise(self) -> None:
        self.system.wall_ms, self.system.synchronised = self.right_ms, True

    def lie(self, wall_ms: int) -> None:
        self.system.wall_ms, self.system.synchronised = wall_ms, False

    def kill(self) -> None:
        """The process only: the same boot goes on."""
        self._start()

    def power_cut(self, off_ms: int, lag_ms: int, *, synchronised: bool) -> None:
        self.right_ms += off_ms
        believable_ms = self.saved.system.wall_ms + self.right_ms - self.saved_right_ms
        self.system.reboot(
            boot_id=self.system.boot_id + "'",
            wall_ms=self.right_ms if synchronised else believable_ms - lag_ms,
            synchronised=synchronised,
        )
        self._start()

    def _start(self) -> None:
        packed = msgspec.msgpack.encode(self.saved)
        saved = msgspec.msgpack.decode(packed, type=SavedReading)
        del self.blobs[self.saved_blobs :]
        self.clock = started(saved, self.system.read())
        self.last_ms = saved.node_ms
        self.save()

    def check(self) -> None:
        now_ms = self.clock.now_ms(self.system.read())
        assert self.last_ms <= now_ms, "went back"
        assert now_ms - self.first_ms <= self.right_ms - NOW_MS, "gained time that did not pass"
        self.last_ms = now_ms
        self._check_gaps()
        retention = self.retention
        for stamp_ms, earlier_ms, born_ms in self.blobs:
            right_age_ms = self.right_ms - born_ms
            assert retention.age_ms(stamp_ms, now_ms, earlier_ms=earlier_ms) <= right_age_ms
            assert 0 <= earlier_ms < RETENTION_MAX_MS
            if retention.due(bucket_of(stamp_ms), now_ms):
                assert right_age_ms >= RETENTION_MAX_MS - BUCKET_MS, "died early"

    def _check_gaps(self) -> None:
        gaps = self.clock.gaps
        assert len(gaps) <= GAPS_MAX
        assert all(gap.start_ms % BUCKET_MS == 0 for gap in gaps)
        assert all(gap.length_ms for gap in gaps[:-1]), "only the last may be unmeasured"
        starts = [gap.start_ms for gap in gaps if gap.length_ms]
        assert starts == sorted(set(starts))


spans_ms = st.one_of(
    st.integers(0, 2 * MINUTE_MS), st.integers(0, 2 * DAY_MS), st.integers(0, 40 * DAY_MS)
)
walls_ms = st.one_of(st.just(0), st.integers(0, 2 * NOW_MS))
steps = st.one_of(
    st.tuples(st.just("run"), spans_ms),
    st.tuples(st.just("store"), st.integers(0, 8 * DAY_MS)),
    st.tuples(st.just("store"), st.just(0)),
    st.tuples(st.just("save")),
    st.tuples(st.just("synchronise")),
    st.tuples(st.just("lie"), walls_ms),
    st.tuples(st.just("kill")),
    st.tuples(st.just("cut"), spans_ms, st.one_of(st.just(0), walls_ms), st.booleans()),
)


def apply(history: History, step: tuple) -> None:
    match step:
        case ("cut", off_ms, lag_ms, synchronised):
            history.power_cut(off_ms, lag_ms, synchronised=synchronised)
        case (name, *arguments):
            getattr(history, name)(*arguments)


@given(walls_ms, st.booleans(), st.lists(steps, max_size=40))
def test_never_back_never_ahead_and_nothing_dies_early(
    wall_ms: int, synchronised: bool, history_steps: list[tuple]
) -> None:
    history = History(wall_ms, synchronised=synchronised)
    history.check()
    for step in history_steps:
        apply(history, step)
        history.check()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), spans_ms),
            st.tuples(st.just("store"), st.integers(0, 6 * DAY_MS)),
            st.tuples(st.just("cut"), spans_ms, st.just(0), st.just(value=True)),
        ),
        max_size=30,
    )
)
def test_exact_where_the_clock_is_synchronised_on_both_sides(history_steps: list[tuple]) -> None:
    history = History(NOW_MS, synchronised=True)
    for step in history_steps:
        apply(history, step)
        now_ms = history.clock.now_ms(history.system.read())
        assert now_ms == history.right_ms
        for stamp_ms, earlier_ms, born_ms in history.blobs:
            age_ms = history.retention.age_ms(stamp_ms, now_ms, earlier_ms=earlier_ms)
            assert age_ms == history.right_ms - born_ms


@given(st.lists(st.tuples(spans_ms, spans_ms, st.integers(0, 6 * DAY_MS)), max_size=12))
def test_exact_again_once_every_gap_was_measured(cycles: list[tuple[int, int, int]]) -> None:
    """Off, unsynchronised for a while, synchronised, then a blob of some age; over and over.

    Only what was stored in the bucket in which the node came back misses the time off.
    """
    history = History(NOW_MS, synchronised=True)
    for off_ms, unsure_ms, age_ms in cycles:
        history.run(BUCKET_MS)
        history.save()
        history.power_cut(off_ms, lag_ms=2 * NOW_MS, synchronised=False)
        history.run(min(unsure_ms, HOUR_MS))
        history.synchronise()
        history.store(age_ms)
        now_ms = history.clock.now_ms(history.system.read())
        for stamp_ms, earlier_ms, born_ms in history.blobs:
            known_ms = history.retention.age_ms(stamp_ms, now_ms, earlier_ms=earlier_ms)
            if known_ms < RETENTION_MAX_MS:
                assert known_ms == history.right_ms - born_ms


@given(st.lists(steps, max_size=20), st.integers(0, 3 * NOW_MS), st.booleans())
def test_even_a_clock_set_forward_while_off_gains_at_most_a_week(
    history_steps: list[tuple], wall_ms: int, sure_before: bool
) -> None:
    history = History(NOW_MS, synchronised=sure_before)
    for step in history_steps:
        apply(history, step)
    history.save()
    system = SystemReading(1, "another", wall_ms, synchronised=False)
    gain_ms = started(history.saved, system).now_ms(system) - history.saved.node_ms
    assert 0 <= gain_ms <= 7 * DAY_MS
