"""Blobs and records as they are read: pages, parts, lists."""

from __future__ import annotations

import pytest

from meshbox.core.ids import Namespace, Topic
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.interface import BlobPage, MailboxStore
from tests.contract.harness import Harness
from tests.contract.material import (
    EVERYTHING,
    LOG,
    NO_BOUND,
    VERIFIED,
    blob,
    held,
    log_of,
    put,
    seqs,
)


async def page_of(
    store: MailboxStore,
    ranges: SeqRanges = EVERYTHING,
    *,
    blobs_max: int = NO_BOUND,
    bytes_max: int = NO_BOUND,
    whole_bytes_max: int = NO_BOUND,
) -> BlobPage:
    return await store.read(
        [(LOG, ranges)], blobs_max=blobs_max, bytes_max=bytes_max, whole_bytes_max=whole_bytes_max
    )


async def test_what_is_not_held_is_left_out(harness: Harness) -> None:
    store = await harness.open()
    assert await page_of(store) == BlobPage((), more=False)
    await put(store, *(blob(store, seq) for seq in (0, 1, 2, 5, 6, 9, SEQ_END - 1)))
    assert seqs((await page_of(store)).blobs) == [0, 1, 2, 5, 6, 9, SEQ_END - 1]
    some = SeqRanges([(1, 6), (8, 9), (9, 100)])
    assert seqs((await page_of(store, some)).blobs) == [1, 2, 5, 9]
    assert (await page_of(store, SeqRanges.of(3, 5))).blobs == ()


async def test_logs_come_in_the_order_asked(harness: Harness) -> None:
    store = await harness.open()
    first, second = log_of("first"), log_of("second")
    await put(store, *(blob(store, seq, log=log) for log in (second, first) for seq in range(3)))
    page = await store.read(
        [(second, EVERYTHING), (log_of("never"), EVERYTHING), (first, SeqRanges.of(1, 9))],
        blobs_max=NO_BOUND,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )
    assert [(b.log, b.seq) for b in page.blobs] == [
        (second, 0),
        (second, 1),
        (second, 2),
        (first, 1),
        (first, 2),
    ]


async def test_what_is_named_twice_comes_twice(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *(blob(store, seq) for seq in range(3)))
    page = await store.read(
        [(LOG, SeqRanges.of(0, 2)), (LOG, SeqRanges.of(1, 3))],
        blobs_max=NO_BOUND,
        bytes_max=NO_BOUND,
        whole_bytes_max=NO_BOUND,
    )
    assert seqs(page.blobs) == [0, 1, 1, 2]


@pytest.mark.parametrize("size_bytes", [1, 100, 5_000])
async def test_pages_end_at_their_bounds(harness: Harness, size_bytes: int) -> None:
    store = await harness.open()
    count = 700
    await put(store, *(blob(store, seq, b"x" * size_bytes) for seq in range(count)))
    by_count = await page_of(store, blobs_max=300)
    assert seqs(by_count.blobs) == list(range(300))
    assert by_count.more
    by_bytes = await page_of(store, bytes_max=10 * size_bytes)
    assert seqs(by_bytes.blobs) == list(range(10))
    assert by_bytes.more
    exactly = await page_of(store, blobs_max=count, bytes_max=count * size_bytes)
    assert len(exactly.blobs) == count
    assert not exactly.more
    one_less = await page_of(store, bytes_max=count * size_bytes - 1)
    assert len(one_less.blobs) == count - 1
    assert one_less.more


async def test_a_page_has_at_least_one_blob(harness: Harness) -> None:
    store = await harness.open()
    await put(store, blob(store, 0, b"x" * 1000), blob(store, 1, b"x"))
    page = await page_of(store, bytes_max=10)
    assert seqs(page.blobs) == [0]
    assert page.more


async def test_a_blob_that_is_not_read_whole_counts_as_nothing(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *(blob(store, seq, b"x" * (1000 if seq % 2 else 10)) for seq in range(10)))
    page = await page_of(store, bytes_max=30, whole_bytes_max=999)
    assert seqs(page.blobs) == [0, 1, 2, 3, 4, 5]
    assert [stored.data is None for stored in page.blobs] == [False, True] * 3
    assert [stored.size_bytes for stored in page.blobs] == [10, 1000] * 3
    assert page.more


async def test_parts_of_a_blob(harness: Harness) -> None:
    store = await harness.open()
    data = bytes(range(256)) * 4
    await put(store, blob(store, 0, data))
    (stored,) = await held(store)
    for offset, size in [(0, 10), (100, 500), (1000, 24), (1000, 100), (1024, 10), (0, 2000)]:
        part = await store.read_part(stored, offset=offset, size=size)
        assert part == data[offset : offset + size]
    await put(store, blob(store, 0, b"signed", blob_class=VERIFIED))
    assert await store.read_part(stored, offset=0, size=10) is None


async def test_records_of_logs_in_order(harness: Harness) -> None:
    store = await harness.open()
    logs = [log_of(f"author {at}") for at in range(50)]
    await put(store, *(blob(store, at, log=log) for at, log in enumerate(logs)))
    for _ in range(2):
        found = await store.logs([*reversed(logs), log_of("never"), logs[0]])
        assert [r and r.log for r in found] == [*reversed(logs), None, logs[0]]
        assert next(r.held for r in found if r) == SeqRanges.single(49)
        store = await harness.reopen()


async def test_a_topics_logs_are_ordered_by_author_bytes(harness: Harness) -> None:
    store = await harness.open()
    authors = ["b", "é", "a", "\uffff", "aa", "\U00010000", "B", "z" * 128]
    for author in authors:
        await put(store, blob(store, 0, log=log_of(author)))
        await put(store, blob(store, 0, log=log_of(author, topic="another")))
        assert len(await store.topic(Namespace.LOGS, Topic("topic"))) >= 1
    for _ in range(2):
        found = await store.topic(Namespace.LOGS, Topic("topic"))
        assert [r.log.author for r in found] == sorted(authors, key=str.encode)
        store = await harness.reopen()
    assert await store.topic(Namespace.LOGS, Topic("nobody's")) == ()
    assert await store.topic(Namespace.MESSAGES, Topic("topic")) == ()


async def test_a_topics_records_are_those_of_now(harness: Harness) -> None:
    store = await harness.open()
    for seq in range(5):
        await put(store, blob(store, seq, log=log_of("a")))
        await put(store, blob(store, seq, log=log_of("b")))
        found = await store.topic(Namespace.LOGS, Topic("topic"))
        assert [r.held for r in found] == [SeqRanges.of(0, seq + 1)] * 2
        assert list(found) == list(await store.logs([log_of("a"), log_of("b")]))


async def test_a_topic_of_many_logs(harness: Harness) -> None:
    store = await harness.open()
    logs = [log_of(f"{at:04}") for at in range(700)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    store = await harness.reopen()
    for _ in range(2):
        assert [r.log for r in await store.topic(Namespace.LOGS, Topic("topic"))] == logs


async def test_all_logs_by_pages(harness: Harness) -> None:
    store = await harness.open()
    logs = [log_of(f"author {at}", topic=f"topic {at % 7}") for at in range(40)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    found = []
    after = None
    while page := await store.all_logs(after, logs_max=7):
        assert all(key == record.log.key for key, record in page.items())
        found += [record.log for record in page.values()]
        after = next(reversed(page))
    assert found == sorted(logs, key=lambda log: log.key)
