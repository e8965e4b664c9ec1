"""LogRecord and LogDraft against a naive model: dictionaries of single numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from meshbox.core import inventory
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, Topic
from meshbox.core.inventory import (
    NONE_SEEN,
    Admission,
    ClassedRanges,
    LogDraft,
    LogRecord,
    Run,
)
from meshbox.core.limits import LOG_RANGES_EMPTY_MAX, LOG_RANGES_MAX
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges
from meshbox.core.retention import BUCKET_MS, bucket_of
from meshbox.storage.interface import Outcome
from tests.contract.model import Kept, LogModel

LOG = LogId(Namespace.LOGS, Topic("topic"), Author("author"))
OPAQUE, VERIFIED = BlobClass.OPAQUE, BlobClass.VERIFIED
RANGES_MAX = 7

seqs = st.integers(0, 20)
classes = st.sampled_from(BlobClass)
number_sets = st.frozensets(seqs)


def ranges_of(numbers: frozenset[int] | set[int]) -> SeqRanges:
    return SeqRanges((number, number + 1) for number in numbers)


class LogMachine(RuleBasedStateMachine):
    """One log through any sequence of changes; `draft` is kept over several of them."""

    @initialize()
    def begin(self) -> None:
        self.draft = LogDraft(LogRecord(LOG, 0))
        self.model = LogModel()
        self.sum_known: Counter[tuple[int, BlobClass]] = Counter()
        self.exact = True
        self.change = 0
        self.oldest = 0
        self.record = LogRecord(LOG, 0)

    @rule(
        seq=seqs,
        blob_class=classes,
        bucket=st.integers(0, 3),
        size_bytes=st.integers(0, 100),
    )
    def store(self, seq: int, blob_class: BlobClass, bucket: int, size_bytes: int) -> None:
        bucket += self.oldest
        before = self.model.held.get(seq)
        new = Kept(blob_class, bucket * BUCKET_MS, b"x" * size_bytes)
        admission = self.draft.admit(seq, blob_class)
        outcome = self.model.admit(seq, new, due_through=self.oldest - 1)
        assert (
            admission
            is {
                Outcome.STORED: Admission.NEW,
                Outcome.KNOWN: Admission.HELD,
                Outcome.CONFLICT: Admission.HELD,
                Outcome.REPLACED: Admission.UPGRADE,
                Outcome.EXPIRED: Admission.EXPIRED,
            }[outcome]
        )
        if admission is Admission.UPGRADE:
            assert before is not None
            self.draft.remove(seq, size_bytes=len(before.data))
            self.exact = False
        if admission in (Admission.NEW, Admission.UPGRADE):
            self.draft.add(seq, blob_class=blob_class, bucket=bucket, size_bytes=size_bytes)

    @rule(buckets=st.integers(0, 2))
    def expire(self, buckets: int) -> None:
        self.oldest += buckets
        due = {s for s, k in self.model.held.items() if bucket_of(k.stamp_ms) < self.oldest}
        gone = self.draft.expire(self.oldest - 1)
        assert ranges_of(due) == SeqRanges((run.first, run.end) for run in gone)
        if not self.pushed:
            assert sum(run.bytes for run in gone) == sum(
                len(self.model.held[seq].data) for seq in due
            )
        self.model.expire(self.oldest - 1)

    pushed = False

    @rule()
    def trim(self) -> None:
        numbers = self.model.trim(RANGES_MAX)
        pushed = self.draft.trim()
        assert ranges_of(numbers) == SeqRanges((run.first, run.end) for run in pushed)
        # The parts of a run that was split know only their sum, so what is left is a guess now.
        self.pushed |= bool(pushed) and not self.exact

    @rule()
    def finish(self) -> None:
        self.change += 1
        self.record = self.draft.finish(self.change)
        assert self.record.change == self.change
        self.draft = LogDraft(self.record)

    @invariant()
    def the_record_is_the_models(self) -> None:
        record = self.draft.finish(self.change)
        assert record.log == LOG
        for blob_class in BlobClass:
            held = {s for s, kept in self.model.held.items() if kept.blob_class is blob_class}
            assert record.held_as(blob_class) == ranges_of(held)
            expired = {s for s, c in self.model.expired.items() if c is blob_class}
            assert record.expired[blob_class] == ranges_of(expired)
        numbers = set(self.model.held) | set(self.model.expired)
        assert record.held == ranges_of(set(self.model.held))
        assert record.seen == ranges_of(numbers)
        assert record.watermark == ranges_of(numbers).watermark
        for seq in range(22):
            run = record.run_of(seq)
            assert run == self.draft.run_of(seq)
            assert (run is not None) == (seq in self.model.held)

    @invariant()
    def runs_are_ordered_and_as_few_as_can_be(self) -> None:
        runs = self.draft.finish(0).runs
        assert [(run.first, run.end) for run in runs] == [
            (part.start, part.stop) for part, _ in self.model.runs()
        ]
        assert all(a.end <= b.first for a, b in pairwise(runs))

    @invariant()
    def bytes_are_those_of_the_blobs(self) -> None:
        record = self.draft.finish(0)
        sizes = [len(kept.data) for kept in self.model.held.values()]
        assert self.pushed or record.bytes == sum(sizes)
        for run in record.runs:
            assert run.bytes >= 0
            within = [len(self.model.held[seq].data) for seq in range(run.first, run.end)]
            assert run.largest_bytes >= max(within)
            assert not self.exact or run.bytes == sum(within)


def test_any_sequence_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "LOG_RANGES_MAX", RANGES_MAX)
    run_state_machine_as_test(LogMachine)


def test_a_number_held_again_does_not_count_as_expired_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the model of the store: the bound was one less for a log that was just mended."""
    monkeypatch.setattr(inventory, "LOG_RANGES_MAX", 3)
    draft = LogDraft(LogRecord(LOG, 0))
    for seq, bucket in [(0, 1), (2, 2), (4, 2)]:
        draft.add(seq, blob_class=OPAQUE, bucket=bucket, size_bytes=1)
    draft.expire(1)
    draft.add(0, blob_class=VERIFIED, bucket=2, size_bytes=1)
    assert draft.trim() == []
    assert draft.finish(1).held == ranges_of({0, 2, 4})


def test_the_bytes_of_a_split_run_are_never_lost_nor_below_zero() -> None:
    draft = LogDraft(LogRecord(LOG, 0))
    sizes = [1, 1, 100, 3]
    for seq, size_bytes in enumerate(sizes):
        draft.add(seq, blob_class=OPAQUE, bucket=0, size_bytes=size_bytes)
    for seq, left in [(1, 104), (2, 4), (3, 1), (0, 0)]:
        draft.remove(seq, size_bytes=sizes[seq])
        record = draft.finish(0)
        assert record.bytes == left
        assert all(run.bytes >= 0 for run in record.runs)


@given(number_sets, number_sets, number_sets, classes)
def test_the_better_class_stays(
    opaque: frozenset[int], verified: frozenset[int], more: frozenset[int], blob_class: BlobClass
) -> None:
    seen = ClassedRanges(ranges_of(opaque - verified), ranges_of(verified))
    after = seen.adding(ranges_of(more), blob_class)
    assert after.all == ranges_of(opaque | verified | more)
    best = verified | more if blob_class is VERIFIED else verified
    assert after.verified == ranges_of(best)
    assert not after.opaque & after.verified
    assert after & ranges_of(more) == ClassedRanges(
        after.opaque & ranges_of(more), after.verified & ranges_of(more)
    )
    assert after - ranges_of(more) == ClassedRanges(
        after.opaque - ranges_of(more), after.verified - ranges_of(more)
    )


@given(number_sets, number_sets, number_sets, st.integers(0, 25))
def test_missing_is_what_a_client_should_upload(
    held: frozenset[int],
    expired: frozenset[int],
    evicted: frozenset[int],
    height: int,
) -> None:
    expired, evicted = expired - held, evicted - held - expired
    record = LogRecord(
        LOG,
        1,
        tuple(Run(seq, seq + 1, 0, OPAQUE, 1, 1) for seq in sorted(held)),
        ClassedRanges(ranges_of(expired)),
        ClassedRanges(EMPTY, ranges_of(evicted)),
    )
    expected = frozenset(range(height + 1)) - held - expired - evicted
    assert record.missing(height) == ranges_of(expected)


def test_missing_of_the_greatest_height_costs_ranges_only() -> None:
    record = LogRecord(LOG, 1, (Run(5, 10, 0, OPAQUE, 5, 1),))
    assert record.missing(2**64 - 1).pairs == ((0, 5), (10, SEQ_END))


def test_evicted_numbers_are_seen_and_can_be_stored_again() -> None:
    record = LogRecord(LOG, 1, evicted=ClassedRanges(ranges_of({1, 2}), ranges_of({5})))
    assert record.seen == ranges_of({1, 2, 5})
    assert record.seen_verified == ranges_of({5})
    draft = LogDraft(record)
    assert draft.admit(1, OPAQUE) is Admission.NEW
    draft.add(1, blob_class=OPAQUE, bucket=0, size_bytes=1)
    after = draft.finish(2)
    assert after.evicted.all == ranges_of({2, 5})
    assert after.held == ranges_of({1})


@given(st.dictionaries(seqs, classes, min_size=1, max_size=20))
def test_an_empty_log_keeps_few_ranges_and_forgets_no_number(
    stored: dict[int, BlobClass],
) -> None:
    draft = LogDraft(LogRecord(LOG, 0))
    for seq, blob_class in stored.items():
        draft.add(3 * seq, blob_class=blob_class, bucket=0, size_bytes=1)
    before = draft.finish(1)
    draft.expire(0)
    after = draft.finish(2)
    assert not after.runs
    assert after.range_count <= max(LOG_RANGES_EMPTY_MAX, 0)
    assert before.seen - after.seen == EMPTY
    assert before.seen_verified - after.seen_verified == EMPTY
    assert after.seen.highest == before.seen.highest
    assert not after.expired.opaque & after.expired.verified


def test_what_only_counted_as_evicted_leaves_seen_once_something_is_held() -> None:
    draft = LogDraft(LogRecord(LOG, 0))
    for seq in range(0, 12, 2):
        draft.add(seq, blob_class=OPAQUE, bucket=1, size_bytes=1)
    for run in draft.finish(1).runs:
        draft.evict(run, count=1, size_bytes=1)
    went = SeqRanges((seq, seq + 1) for seq in range(0, 12, 2))
    closed = draft.finish(2).evicted.all
    assert not went - closed
    assert closed - went
    draft.narrow_evicted(went)
    assert draft.finish(3).evicted.all == closed
    draft.add(20, blob_class=OPAQUE, bucket=2, size_bytes=1)
    draft.narrow_evicted(went)
    assert draft.finish(4).evicted.all == went


def held_by(*runs: Run, evicted: ClassedRanges = NONE_SEEN) -> LogDraft:
    return LogDraft(LogRecord(LOG, 1, runs, evicted=evicted))


def test_the_lowest_blobs_of_a_run_go_for_room_and_the_rest_stays() -> None:
    run = Run(3, 7, 0, VERIFIED, 40, 25)
    draft = held_by(run)
    draft.evict(run, count=3, size_bytes=15)
    after = draft.finish(2)
    assert after.runs == (Run(6, 7, 0, VERIFIED, 25, 25),)
    assert after.evicted == ClassedRanges(EMPTY, ranges_of({3, 4, 5}))


def test_the_rest_of_a_run_may_be_empty_blobs() -> None:
    run = Run(0, 2, 0, OPAQUE, 10, 10)
    draft = held_by(run)
    draft.evict(run, count=1, size_bytes=10)
    assert draft.finish(2).runs == (Run(1, 2, 0, OPAQUE, 0, 10),)


def test_a_part_that_held_more_than_its_share_takes_it_from_those_it_was_once_one_with() -> None:
    other_bucket, other_class = Run(0, 1, 9, OPAQUE, 50, 50), Run(2, 3, 5, VERIFIED, 50, 50)
    part = Run(8, 10, 5, OPAQUE, 10, 30)
    first, second = Run(4, 5, 5, OPAQUE, 5, 30), Run(6, 7, 5, OPAQUE, 7, 30)
    draft = held_by(other_bucket, other_class, first, second, part)
    draft.evict(part, count=1, size_bytes=21)
    after = draft.finish(2)
    assert [run.bytes for run in after.runs] == [50, 50, 0, 1, 0]


def test_while_something_is_held_what_went_is_known_one_from_another() -> None:
    draft = held_by(*(Run(seq, seq + 1, 0, OPAQUE, 1, 1) for seq in range(0, 20, 2)))
    for run in draft.finish(1).runs[:-1]:
        draft.evict(run, count=1, size_bytes=1)
    assert draft.finish(2).evicted.opaque == ranges_of(set(range(0, 18, 2)))


def test_what_went_for_room_expires_with_its_own_class_as_if_it_had_stayed() -> None:
    went = ClassedRanges(ranges_of({1, 2}), ranges_of({5, 6}))
    draft = held_by(Run(8, 9, 0, OPAQUE, 1, 1), evicted=went)
    draft.expire_evicted(ClassedRanges(ranges_of({2, 5})))
    after = draft.finish(2)
    assert after.evicted == ClassedRanges(ranges_of({1}), ranges_of({6}))
    assert after.expired == ClassedRanges(ranges_of({2}), ranges_of({5}))
    assert draft.admit(2, OPAQUE) is Admission.EXPIRED
    assert draft.admit(2, VERIFIED) is Admission.NEW


def test_a_log_that_holds_nothing_stays_small_when_what_went_expires() -> None:
    went = ClassedRanges(ranges_of(set(range(0, 20, 2))))
    draft = held_by(evicted=went)
    draft.expire_evicted(went)
    assert draft.finish(2).range_count <= LOG_RANGES_EMPTY_MAX


def test_what_there_is_room_for_again_leaves_seen() -> None:
    draft = held_by(Run(8, 9, 0, OPAQUE, 1, 1), evicted=ClassedRanges(ranges_of({1, 2, 5})))
    draft.release(ClassedRanges(ranges_of({2}), ranges_of({5})))
    assert draft.finish(2).evicted.all == ranges_of({1})


def test_a_log_that_holds_nothing_releases_all_that_went() -> None:
    draft = held_by(evicted=ClassedRanges(ranges_of({1, 2, 5})))
    draft.release(ClassedRanges(ranges_of({2})))
    assert draft.finish(2).evicted == ClassedRanges()


def test_a_blob_joins_the_runs_on_both_sides() -> None:
    left, right = Run(0, 3, 5, OPAQUE, 30, 12), Run(4, 6, 5, OPAQUE, 20, 15)
    before, after = Run(0, 1, 9, OPAQUE, 1, 1), Run(8, 9, 9, OPAQUE, 1, 1)
    draft = held_by(before, left._replace(first=1), right, after)
    draft.add(3, blob_class=OPAQUE, bucket=5, size_bytes=7)
    assert draft.finish(2).runs == (before, Run(1, 6, 5, OPAQUE, 57, 15), after)


def test_what_is_taken_out_of_a_run_leaves_a_part_on_each_side() -> None:
    draft = held_by(Run(3, 9, 5, VERIFIED, 60, 20))
    draft.remove(5, size_bytes=10)
    assert draft.finish(2).runs == (
        Run(3, 5, 5, VERIFIED, 20, 20),
        Run(6, 9, 5, VERIFIED, 30, 20),
    )
    draft.remove(3, size_bytes=20)
    draft.remove(8, size_bytes=0)
    assert [(run.first, run.end, run.bytes) for run in draft.finish(3).runs] == [
        (4, 5, 0),
        (6, 8, 30),
    ]


def test_a_log_knows_the_newest_bucket_that_ever_took_a_blob_of_it() -> None:
    draft = held_by()
    for seq, bucket in ((0, 5), (1, 7), (2, 6)):
        draft.add(seq, blob_class=OPAQUE, bucket=bucket, size_bytes=1)
    draft.expire(9)
    assert draft.finish(2).last_bucket == 7


def test_the_highest_number_is_held_like_any_other() -> None:
    last = SEQ_END - 1
    draft = held_by(Run(last, SEQ_END, 0, OPAQUE, 1, 1))
    assert draft.finish(2).run_of(last) == draft.run_of(last) == Run(last, SEQ_END, 0, OPAQUE, 1, 1)


def single(seq: int, blob_class: BlobClass) -> Run:
    return Run(seq, seq + 1, 0, blob_class, 1, 1)


def spread(first: int, count: int) -> set[int]:
    return set(range(first, first + 2 * count, 2))


def test_over_the_bound_the_highest_opaque_range_leaves_seen_then_the_next() -> None:
    """Whether it is held, has expired or went for room; verified ones stay above it."""
    held = (
        *(single(seq, OPAQUE) for seq in sorted(spread(0, LOG_RANGES_MAX - 6))),
        single(5_000, OPAQUE),
        single(9_000, VERIFIED),
    )
    expired = ClassedRanges(ranges_of({4_000, 6_000}), ranges_of({8_000}))
    evicted = ClassedRanges(ranges_of({3_000, 7_000}), ranges_of({8_500}))
    draft = LogDraft(LogRecord(LOG, 1, held, expired, evicted))
    assert draft.finish(2).range_count == LOG_RANGES_MAX + 2
    assert draft.trim() == []
    after = draft.finish(3)
    assert after.range_count == LOG_RANGES_MAX
    assert after.evicted == ClassedRanges(ranges_of({3_000}), evicted.verified)
    assert after.expired == ClassedRanges(ranges_of({4_000}), expired.verified)
    assert after.runs == held
    draft.add(1_000_000, blob_class=VERIFIED, bucket=0, size_bytes=1)
    assert draft.trim() == [single(5_000, OPAQUE)]
    draft.add(2_000_000, blob_class=VERIFIED, bucket=0, size_bytes=1)
    assert draft.trim() == []
    assert draft.finish(4).expired == ClassedRanges(EMPTY, expired.verified)


def test_over_the_bound_verified_ranges_leave_seen_when_no_opaque_one_is_left() -> None:
    held = tuple(single(seq, VERIFIED) for seq in sorted(spread(0, LOG_RANGES_MAX - 1)))
    expired = ClassedRanges(EMPTY, ranges_of({8_000}))
    evicted = ClassedRanges(EMPTY, ranges_of({9_000}))
    draft = LogDraft(LogRecord(LOG, 1, held, expired, evicted))
    draft.add(10_000, blob_class=VERIFIED, bucket=0, size_bytes=1)
    assert draft.trim() == [single(10_000, VERIFIED)]
    after = draft.finish(2)
    assert (after.runs, after.expired, after.evicted) == (held, expired, NONE_SEEN)


@pytest.mark.parametrize(("expired", "evicted"), [(20, 20), (20, 0), (0, 20)])
def test_a_log_that_holds_nothing_uses_all_the_ranges_it_may(expired: int, evicted: int) -> None:
    record = LogRecord(
        LOG,
        1,
        (single(500, OPAQUE),),
        ClassedRanges(ranges_of(spread(200, expired)), ranges_of(spread(0, expired))),
        ClassedRanges(ranges_of(spread(300, evicted)), ranges_of(spread(100, evicted))),
    )
    draft = LogDraft(record)
    if evicted:
        draft.evict(record.runs[0], count=1, size_bytes=1)
    else:
        draft.expire(0)
    assert draft.finish(2).range_count == LOG_RANGES_EMPTY_MAX


def test_what_is_just_above_the_verified_stays_opaque_in_an_empty_log() -> None:
    expired = ClassedRanges(ranges_of({3, 9}), ranges_of({0, 2, 4, 6, 8}))
    draft = LogDraft(LogRecord(LOG, 1, (single(9, OPAQUE),), expired=expired - ranges_of({9})))
    draft.expire(0)
    after = draft.finish(2)
    assert after.expired.opaque == ranges_of({9})
    assert ranges_of({3}) - after.expired.verified == EMPTY
