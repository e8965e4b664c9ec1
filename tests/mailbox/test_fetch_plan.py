"""Pages are lowest first, fair and bounded; what is missing is always told."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.filling import NothingFilling
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, Topic
from meshbox.core.inventory import ClassedRanges, LogRecord, Run
from meshbox.core.limits import MISSING_MAX, MISSING_TOTAL_MAX
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS, Retention
from meshbox.mailbox.fetch_plan import (
    NOTHING,
    NewInLog,
    Page,
    missing_of,
    new_in,
    page_of,
    share_out,
)

NOW_MS = 1_000 * BUCKET_MS
FRESH = 999
RETENTION = Retention(RETENTION_MAX_MS)


def log_id(name: str, topic: str = "t") -> LogId:
    return LogId(Namespace.LOGS, Topic(topic), Author(name))


def run(first: int, end: int, *, bucket: int = FRESH, size: int = 10, largest: int = 10) -> Run:
    return Run(first, end, bucket, BlobClass.OPAQUE, (end - first) * size, largest)


def record(*runs: Run, expired: SeqRanges | None = None) -> LogRecord:
    gone = ClassedRanges(expired) if expired else ClassedRanges()
    return LogRecord(log_id("a"), 1, runs, gone)


class Holding:
    """A `Filling` that holds one number back."""

    def __init__(self, seq: int) -> None:
        self.seq = seq

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        del log
        return self.seq if above is None or self.seq > above else None


class Offered:
    """A `Filling` that holds back whatever a peer offered, as long as it is not looked at again."""

    def __init__(self, ranges: SeqRanges) -> None:
        self.ranges = ranges

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        del log
        return self.ranges.from_(0 if above is None else above + 1).lowest


def new(log: LogRecord, height: int | None, filling: object = None) -> NewInLog | None:
    return new_in(
        log,
        height,
        filling=filling or NothingFilling(),  # type: ignore[arg-type]
        retention=RETENTION,
        now_ms=NOW_MS,
    )


def seqs_of(found: NewInLog | None) -> list[int]:
    return [] if found is None else list(found.seqs.numbers())


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        (None, [0, 1, 2, 5, 6]),
        (0, [1, 2, 5, 6]),
        (2, [5, 6]),
        (4, [5, 6]),
        (6, []),
        (2**64 - 1, []),
    ],
)
def test_new_is_what_is_held_above_the_height(height: int | None, expected: list[int]) -> None:
    assert seqs_of(new(record(run(0, 3), run(5, 7)), height)) == expected


def test_what_is_due_is_not_new() -> None:
    due = 1_000 - RETENTION_MAX_MS // BUCKET_MS
    assert seqs_of(new(record(run(0, 3, bucket=due), run(3, 5)), None)) == [3, 4]
    assert new(record(run(0, 3, bucket=due)), None) is None


@pytest.mark.parametrize(
    ("height", "expected"),
    [(None, [0, 1]), (0, [1]), (1, []), (2, [5, 6]), (6, [])],
)
def test_a_log_stops_below_what_is_being_filled(height: int | None, expected: list[int]) -> None:
    log = record(run(0, 2), run(5, 7))
    assert seqs_of(new(log, height, Holding(2))) == expected


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([(0, 2)], [0, 1, 5, 6]),
        ([(1, 3)], [0, 1]),
        ([(1, 2), (5, 6)], [0, 1, 5, 6]),
        ([(0, 1), (5, 8), (9, 10)], [0, 1, 5, 6]),
        ([(0, 1), (4, 8)], [0, 1]),
    ],
)
def test_what_is_held_is_not_waited_for(
    offered: list[tuple[int, int]], expected: list[int]
) -> None:
    log = record(run(0, 2), run(5, 7))
    assert seqs_of(new(log, None, Offered(SeqRanges(offered)))) == expected


def test_what_is_held_as_opaque_is_waited_for_where_a_log_has_verified_blobs() -> None:
    verified = run(0, 2)._replace(blob_class=BlobClass.VERIFIED)
    offered = Offered(SeqRanges([(1, 2), (6, 7)]))
    assert seqs_of(new(record(verified, run(5, 8)), None, offered)) == [0, 1, 5]


def test_the_size_of_what_is_new_is_estimated_and_bounded() -> None:
    found = new(record(run(0, 4, size=100, largest=250), run(4, 6, size=7)), 1)
    assert found is not None
    assert found.bytes == 200 + 14
    assert found.bytes_bound == 400 + 14
    assert found.largest_bytes == 250


def page(
    *topics: list[NewInLog], blobs_max: int = 1_000, bytes_max: int = 10**9, turn: int = 0
) -> Page:
    return page_of(topics, blobs_max=blobs_max, bytes_max=bytes_max, turn=turn)


def whole(name: str, count: int, *, topic: str = "t", size: int = 10) -> NewInLog:
    log = log_id(name, topic)
    total = count * size
    return NewInLog(log, SeqRanges.of(0, count), total, total, size)


def counts(found: Page) -> dict[str, int]:
    return {log.author: seqs.count for log, seqs in found.wanted}


def test_nothing_new_is_an_empty_page() -> None:
    assert page() == page([], []) == NOTHING


def test_all_that_fits_is_one_page() -> None:
    found = page([whole("a", 3), whole("b", 2)], [], [whole("c", 1)], blobs_max=6, bytes_max=60)
    assert counts(found) == {"a": 3, "b": 2, "c": 1}
    assert not found.more


def test_authors_share_a_page_and_what_one_leaves_goes_to_the_others() -> None:
    found = page([whole("a", 100), whole("b", 3), whole("c", 100)], blobs_max=23)
    assert counts(found) == {"a": 10, "b": 3, "c": 10}
    assert found.more


def test_topics_share_a_page_however_many_authors_one_has() -> None:
    crowd = [whole(f"x{n}", 50, topic="crowd") for n in range(500)]
    found = page(crowd, [whole("a", 100, topic="quiet")], blobs_max=40)
    shares = Counter({log.topic: 0 for log, _ in found.wanted})
    for log, seqs in found.wanted:
        shares[log.topic] += seqs.count
    assert shares == {"crowd": 20, "quiet": 20}


def test_shares_are_counted_in_bytes_too() -> None:
    found = page([whole("large", 100, size=1_000), whole("small", 100, size=10)], bytes_max=5_050)
    assert counts(found) == {"large": 5, "small": 5}
    assert found.more


def test_the_first_turn_moves_on() -> None:
    logs = [whole("a", 9), whole("b", 9), whole("c", 9)]
    firsts = [page(logs, blobs_max=1, turn=turn).wanted[0][0].author for turn in range(4)]
    assert firsts == ["a", "b", "c", "a"]


def test_a_page_has_one_blob_even_if_that_is_too_large() -> None:
    found = page([whole("a", 2, size=10_000)], bytes_max=1)
    assert counts(found) == {"a": 1}
    assert found.bytes_bound == 10_000


def test_a_log_of_all_numbers_costs_no_more_than_a_page() -> None:
    endless = NewInLog(log_id("a"), SeqRanges.of(0, SEQ_END), SEQ_END, SEQ_END, 1)
    found = page([endless, whole("b", 2)], blobs_max=10)
    assert counts(found) == {"a": 8, "b": 2}


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 8)), min_size=1, max_size=4).map(
    lambda parts: SeqRanges((first, first + length) for first, length in parts)
)
new_logs = st.lists(
    st.lists(st.tuples(ranges, st.integers(0, 50)), max_size=4), min_size=1, max_size=4
).map(
    lambda topics: [
        [
            NewInLog(
                log_id(f"a{at}", f"t{number}"), seqs, size * seqs.count, size * seqs.count, size
            )
            for at, (seqs, size) in enumerate(logs)
        ]
        for number, logs in enumerate(topics)
    ]
)


@given(new_logs, st.integers(1, 12), st.integers(0, 200), st.integers(0, 20))
def test_a_page_is_bounded_lowest_first_and_never_empty(
    topics: list[list[NewInLog]], blobs_max: int, bytes_max: int, turn: int
) -> None:
    asked = {new.log: new for logs in topics for new in logs}
    found = page(*topics, blobs_max=blobs_max, bytes_max=bytes_max, turn=turn)
    given_count = sum(seqs.count for _, seqs in found.wanted)
    assert len({log for log, _ in found.wanted}) == len(found.wanted)
    for log, seqs in found.wanted:
        assert seqs == asked[log].seqs.take_lowest(seqs.count)
    assert given_count <= blobs_max
    assert bool(found.wanted) == bool(asked)
    assert found.more == (given_count < sum(new.seqs.count for new in asked.values()))
    sizes = [asked[log].largest_bytes for log, seqs in found.wanted for _ in seqs.numbers()]
    assert sum(sizes) - max(sizes, default=0) <= bytes_max
    assert read_bytes(sizes, bytes_max=bytes_max) <= found.bytes_bound


def read_bytes(sizes: list[int], *, bytes_max: int) -> int:
    """What a store reads of blobs of these sizes: at least one, and no more than fit."""
    total = 0
    for at, size in enumerate(sizes):
        if at and total + size > bytes_max:
            break
        total += size
    return total


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.booleans()), max_size=6),
    st.integers(0, 60),
)
def test_missing_is_what_was_never_seen_up_to_the_height(
    parts: list[tuple[int, int, bool]], height: int
) -> None:
    held: list[tuple[int, int]] = []
    expired: list[tuple[int, int]] = []
    end = 0
    for gap, length, is_held in parts:
        first = end + gap % 4
        end = first + length
        (held if is_held else expired).append((first, end))
    log = record(*(run(first, end) for first, end in held), expired=SeqRanges(expired))
    seen = set(SeqRanges(held + expired).numbers())
    assert list(missing_of(log, height).numbers()) == sorted(set(range(height + 1)) - seen)


@pytest.mark.parametrize("height", [2**63, 2**64 - 1])
def test_a_great_height_is_one_range(height: int) -> None:
    assert missing_of(None, height) == SeqRanges.of(0, height + 1)
    assert missing_of(record(run(0, 3), run(7, 9)), height) == SeqRanges([(3, 7), (9, height + 1)])


def shared(missing: dict[str, SeqRanges], *, log_max: int, total_max: int) -> dict[str, list[int]]:
    by_log = {log_id(name): seqs for name, seqs in missing.items()}
    listed = share_out(by_log, log_max=log_max, total_max=total_max)
    return {log.author: seqs for log, seqs in listed.items()}


def test_missing_is_shared_out_lowest_first() -> None:
    missing = {
        "a": SeqRanges.of(5, SEQ_END),
        "b": SeqRanges([(1, 3)]),
        "c": SeqRanges(),
        "d": SeqRanges.of(0, 100),
    }
    assert shared(missing, log_max=4, total_max=100) == {
        "a": [5, 6, 7, 8],
        "b": [1, 2],
        "d": [0, 1, 2, 3],
    }
    assert shared(missing, log_max=100, total_max=8) == {
        "a": [5, 6, 7],
        "b": [1, 2],
        "d": [0, 1, 2],
    }


@given(
    st.lists(st.integers(0, 30), max_size=20),
    st.integers(1, 10),
    st.integers(1, 40),
)
def test_no_log_that_misses_something_is_left_out(
    sizes: list[int], log_max: int, total_max: int
) -> None:
    missing = {f"a{at}": SeqRanges.of(at, at + size) for at, size in enumerate(sizes)}
    listed = shared(missing, log_max=log_max, total_max=total_max)
    assert set(listed) == {name for name, seqs in missing.items() if seqs}
    for name, seqs in listed.items():
        assert seqs == list(missing[name].numbers())[: len(seqs)]
        assert 1 <= len(seqs) <= log_max
    wanted = sum(min(size, log_max) for size in sizes)
    total = sum(map(len, listed.values()))
    assert total <= max(total_max, len(listed))
    assert total >= min(wanted, total_max - len(listed))


def test_more_logs_than_numbers_are_still_told_each() -> None:
    missing = {log_id(f"a{n}"): SeqRanges.of(0, SEQ_END) for n in range(MISSING_TOTAL_MAX + 5)}
    listed = share_out(missing, log_max=MISSING_MAX, total_max=MISSING_TOTAL_MAX)
    assert {len(seqs) for seqs in listed.values()} == {1}
    assert len(listed) == len(missing)
