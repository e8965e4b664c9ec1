"""What is offered and what is wanted of it, against a model of single numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.inventory import ClassedRanges, LogDraft, LogRecord, Run
from meshbox.core.limits import BLOB_BYTES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS, Retention
from meshbox.core.session.frames import OfferedRun
from meshbox.core.wanting import offered, size_guess_bytes, wanted

LOG = LogId(Namespace.LOGS, parse_topic("t"), parse_author("w"))
RETENTION = Retention(RETENTION_MAX_MS)
NOW_MS = 100 * RETENTION_MAX_MS
FRESH = NOW_MS // BUCKET_MS
OPAQUE, VERIFIED = BlobClass.OPAQUE, BlobClass.VERIFIED

classes = st.dictionaries(st.integers(0, 15), st.sampled_from(BlobClass))


def record_of(held: dict[int, BlobClass], expired: dict[int, BlobClass]) -> LogRecord:
    draft = LogDraft(LogRecord(LOG, 0))
    for seq, blob_class in held.items():
        draft.add(seq, blob_class=blob_class, bucket=FRESH, size_bytes=1)
    seen = ClassedRanges()
    for seq, blob_class in expired.items():
        if seq not in held:
            seen = seen.adding(SeqRanges.single(seq), blob_class)
    return draft.finish(1)._replace(expired=seen)


@given(classes, classes, classes)
def test_wants_what_is_unseen_in_the_offered_class(
    theirs: dict[int, BlobClass], held: dict[int, BlobClass], expired: dict[int, BlobClass]
) -> None:
    ours = record_of(held, expired)
    offer = offered(record_of(theirs, {}).runs, retention=RETENTION, now_ms=NOW_MS)
    lacking = wanted(offer, ours, retention=RETENTION, now_ms=NOW_MS).ranges
    best = {
        seq: max(held.get(seq, -1), -1 if seq in held else expired.get(seq, -1)) for seq in theirs
    }
    assert list(lacking.numbers()) == sorted(s for s, c in theirs.items() if c > best[s])


@given(classes)
def test_wants_everything_of_an_unknown_log(theirs: dict[int, BlobClass]) -> None:
    offer = offered(record_of(theirs, {}).runs, retention=RETENTION, now_ms=NOW_MS)
    lacking = wanted(offer, None, retention=RETENTION, now_ms=NOW_MS).ranges
    assert list(lacking.numbers()) == sorted(theirs)


def test_what_is_due_is_neither_offered_nor_wanted() -> None:
    due = Run(0, 5, FRESH - 28, OPAQUE, 5, 1)
    last = Run(5, 9, FRESH - 27, OPAQUE, 4, 1)
    assert RETENTION.due(due.bucket, NOW_MS)
    assert not RETENTION.due(last.bucket, NOW_MS)
    offer = offered((due, last), retention=RETENTION, now_ms=NOW_MS)
    assert [(run.first, run.end) for run in offer] == [(5, 9)]
    old = OfferedRun(0, 5, OPAQUE, 5, 1, RETENTION_MAX_MS)
    assert not wanted([old], None, retention=RETENTION, now_ms=NOW_MS).ranges
    swept = RETENTION.with_swept(FRESH)
    assert not wanted(offer, None, retention=swept, now_ms=NOW_MS).ranges


def test_a_single_blob_that_is_too_large_is_not_wanted() -> None:
    large = OfferedRun(0, 1, OPAQUE, BLOB_BYTES_MAX + 1, BLOB_BYTES_MAX + 1, 0)
    assert not wanted([large], None, retention=RETENTION, now_ms=NOW_MS).ranges
    fits = large._replace(bytes=BLOB_BYTES_MAX, largest_bytes=BLOB_BYTES_MAX)
    assert wanted([fits], None, retention=RETENTION, now_ms=NOW_MS).ranges


def test_the_guess_of_a_size_is_the_largest_mean_and_never_nothing() -> None:
    runs = [OfferedRun(0, 10, OPAQUE, 100, 50, 0), OfferedRun(10, 12, OPAQUE, 61, 40, 0)]
    assert size_guess_bytes(runs) == 30
    assert size_guess_bytes([OfferedRun(0, 10, OPAQUE, 0, 0, 0)]) == 1
    assert size_guess_bytes([]) == 1


@given(classes, classes)
def test_what_there_is_no_room_for_is_passed_and_said_to_be(
    theirs: dict[int, BlobClass], held: dict[int, BlobClass]
) -> None:
    offer = offered(record_of(theirs, {}).runs, retention=RETENTION, now_ms=NOW_MS)
    ours = record_of(held, {})
    with_room = wanted(offer, ours, retention=RETENTION, now_ms=NOW_MS)
    assert not with_room.passed
    low = wanted(offer, ours, retention=RETENTION, now_ms=NOW_MS, floor=FRESH)
    assert low == with_room
    high = wanted(offer, ours, retention=RETENTION, now_ms=NOW_MS, floor=FRESH + 1)
    assert not high.ranges
    assert high.passed == bool(with_room.ranges)


def test_what_went_for_room_is_not_passed_again() -> None:
    gone = LogRecord(LOG, 1, evicted=ClassedRanges(SeqRanges.of(0, 5)))
    offer = [OfferedRun(0, 5, OPAQUE, 5, 1, 0)]
    passed = wanted(offer, gone, retention=RETENTION, now_ms=NOW_MS, floor=FRESH + 1)
    assert passed == (SeqRanges(), False)


def test_an_offer_says_of_a_run_all_but_its_bucket() -> None:
    run = Run(5, 9, FRESH - 2, VERIFIED, 40, 25)
    age_ms = RETENTION.age_least_ms(run.bucket, NOW_MS)
    assert age_ms > 0
    assert offered([run], retention=RETENTION, now_ms=NOW_MS) == (
        OfferedRun(5, 9, VERIFIED, 40, 25, age_ms),
    )


DUE = OfferedRun(0, 5, OPAQUE, 5, 1, RETENTION_MAX_MS)
NEW = OfferedRun(5, 9, OPAQUE, 4, 1, 0)
OLD = OfferedRun(9, 12, OPAQUE, 3, 1, BUCKET_MS)


def test_of_runs_that_are_due_in_part_the_rest_is_wanted() -> None:
    assert wanted([DUE, NEW], None, retention=RETENTION, now_ms=NOW_MS) == (
        SeqRanges.of(5, 9),
        False,
    )
    ours = record_of({6: OPAQUE}, {8: OPAQUE})
    assert wanted([DUE, NEW], ours, retention=RETENTION, now_ms=NOW_MS) == (
        SeqRanges([(5, 6), (7, 8)]),
        False,
    )


def test_what_is_passed_is_only_what_is_lacked() -> None:
    for held, passed in (
        ({}, True),
        ({9: OPAQUE, 10: OPAQUE}, True),
        (dict.fromkeys(range(9, 12), OPAQUE), False),
    ):
        lacked = wanted(
            [NEW, OLD], record_of(held, {}), retention=RETENTION, now_ms=NOW_MS, floor=FRESH
        )
        assert lacked == (SeqRanges.of(5, 9), passed)


def test_a_blob_too_large_is_told_by_its_run_wherever_that_is() -> None:
    large = OfferedRun(7, 8, OPAQUE, BLOB_BYTES_MAX + 1, BLOB_BYTES_MAX + 1, 0)
    assert not wanted([large], None, retention=RETENTION, now_ms=NOW_MS).ranges
    several = large._replace(first=0, end=1_000)
    assert wanted([several], None, retention=RETENTION, now_ms=NOW_MS).ranges.count == 1_000
