"""Messages without numbers: appended, gathered, in pages of the newest."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import InvalidId, StoreBusy, TooLarge
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, Origin, Topic
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import BLOB_BYTES_MAX, FETCH_BLOBS_MAX, MESSAGES_TOPICS_KEPT
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import DAY_MS
from meshbox.mailbox import messages
from meshbox.mailbox.messages import MessageBoard, newest_of
from meshbox.mailbox.sweeping import sweep
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Deposit, NewBlob
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.mailbox.stores import NODE_ID, opened_store

ORIGIN = Origin(b"n" * 32, b"tag!")


async def fetched(
    board: MessageBoard, *topics: str, bytes_max: int = 10**6
) -> dict[str, list[bytes]]:
    return await board.read(await board.choose(topics, bytes_max=bytes_max))


async def own_log(store: EmbeddedStore, topic: str) -> LogRecord:
    (record,) = await store.topic(Namespace.MESSAGES, Topic(topic))
    return record


async def test_messages_come_back_oldest_first(store: EmbeddedStore, clock: ManualClock) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    for text in (b"one", b"two", b"", b"three"):
        await board.append("t", text, origin=ORIGIN)
        clock.advance(1)
    await board.append("u", b"other", origin=ORIGIN)
    assert await fetched(board, "t", "v", "u", "t") == {
        "t": [b"one", b"two", b"", b"three"],
        "v": [],
        "u": [b"other"],
    }


async def test_appends_at_once_do_not_collide_and_leave_no_hole(store: EmbeddedStore) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    texts = [b"%d" % n for n in range(100)]
    await asyncio.gather(*(board.append("t", text, origin=ORIGIN) for text in texts))
    assert sorted((await fetched(board, "t"))["t"]) == sorted(texts)
    assert (await own_log(store, "t")).held == SeqRanges.of(0, 100)


async def test_the_same_message_is_given_once(store: EmbeddedStore, clock: ManualClock) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    for text in (b"a", b"b", b"a"):
        await board.append("t", text, origin=ORIGIN)
        clock.advance(1)
    assert await fetched(board, "t") == {"t": [b"a", b"b"]}


async def test_messages_of_other_nodes_are_gathered_by_age(
    store: EmbeddedStore, clock: ManualClock
) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    other = LogId(Namespace.MESSAGES, Topic("t"), Author("other.node"))
    first_ms = store.now_ms()
    clock.advance(10)
    await board.append("t", b"middle", origin=ORIGIN)
    await store.commit(
        Deposit(
            [
                NewBlob(other, 0, BlobClass.OPAQUE, first_ms, ORIGIN, b"first"),
                NewBlob(other, 1, BlobClass.OPAQUE, first_ms + 20, ORIGIN, b"last"),
                NewBlob(other, 2, BlobClass.OPAQUE, first_ms + 21, ORIGIN, b"middle"),
            ]
        )
    )
    assert await fetched(board, "t") == {"t": [b"first", b"middle", b"last"]}


async def test_two_openings_write_two_logs() -> None:
    key_value = MemoryKeyValue()
    for text in (b"one", b"two"):
        async with opened_store(key_value) as store:
            board = MessageBoard(store, node_id=NODE_ID)
            await board.append("t", text, origin=ORIGIN)
            logs = await store.topic(Namespace.MESSAGES, Topic("t"))
            found = await fetched(board, "t")
        key_value = key_value.copy()
    assert [record.held for record in logs] == [SeqRanges.of(0, 1)] * 2
    assert sorted(found["t"]) == [b"one", b"two"]


async def test_a_log_that_was_forgotten_goes_on_above_its_numbers(
    store: EmbeddedStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer may know those as expired: below them it would want nothing."""
    monkeypatch.setattr(messages, "MESSAGES_TOPICS_KEPT", 1)
    board = MessageBoard(store, node_id=NODE_ID)
    for text in (b"one", b"two", b"three"):
        await board.append("t", text, origin=ORIGIN)
    before = await own_log(store, "t")
    clock.advance(100 * DAY_MS)
    await sweep(store)
    assert await store.topic(Namespace.MESSAGES, Topic("t")) == ()
    await board.append("another", b"takes the place of what is remembered", origin=ORIGIN)
    await board.append("t", b"four", origin=ORIGIN)
    after = await own_log(store, "t")
    assert after.log == before.log
    assert before.seen.highest == 2
    assert (after.seen - SeqRanges.of(0, 3)).count == 1
    assert await fetched(board, "t") == {"t": [b"four"]}


async def test_of_more_than_a_page_the_newest_are_given(
    store: EmbeddedStore, clock: ManualClock
) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    for start in range(0, FETCH_BLOBS_MAX + 50, 50):
        numbers = range(start, start + 50)
        await asyncio.gather(*(board.append("t", b"%d" % n, origin=ORIGIN) for n in numbers))
        clock.advance(1)
    found = (await fetched(board, "t"))["t"]
    assert len(found) == FETCH_BLOBS_MAX
    assert found[0] == b"50"
    assert found[-1] == b"%d" % (FETCH_BLOBS_MAX + 49)


async def test_bytes_are_bounded_over_all_topics_and_one_message_always_comes(
    store: EmbeddedStore, clock: ManualClock
) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    for topic in ("t", "u"):
        for text in (b"x" * 60, b"y" * 60):
            await board.append(topic, text, origin=ORIGIN)
            clock.advance(1)
    page = await board.choose(["t", "u"], bytes_max=130)
    assert page.bytes_bound == 180
    assert await board.read(page) == {"t": [b"x" * 60, b"y" * 60], "u": [b"y" * 60]}
    assert await fetched(board, "t", "u", bytes_max=1) == {"t": [b"y" * 60], "u": []}


async def test_a_refused_append_leaves_no_hole() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        board = MessageBoard(store, node_id=NODE_ID)
        await board.append("t", b"one", origin=ORIGIN)
        key_value.busy_writes(True)
        for _ in range(3):
            with pytest.raises(StoreBusy):
                await board.append("t", b"refused", origin=ORIGIN)
        key_value.busy_writes(False)
        await board.append("t", b"two", origin=ORIGIN)
        assert (await own_log(store, "t")).held == SeqRanges.of(0, 2)
        assert await fetched(board, "t") == {"t": [b"one", b"two"]}


async def test_a_number_that_is_taken_is_passed_over(store: EmbeddedStore) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    await board.append("t", b"one", origin=ORIGIN)
    log = (await own_log(store, "t")).log
    taken = NewBlob(log, 1, BlobClass.OPAQUE, store.now_ms(), ORIGIN, b"taken")
    await store.commit(Deposit([taken]))
    await board.append("t", b"two", origin=ORIGIN)
    assert sorted((await fetched(board, "t"))["t"]) == [b"one", b"taken", b"two"]


async def test_a_forgotten_topic_goes_on_at_its_end(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshbox.mailbox.messages.MESSAGES_TOPICS_KEPT", 3)
    board = MessageBoard(store, node_id=NODE_ID)
    for round_ in range(3):
        for topic in "abcdefg":
            await board.append(topic, b"%d" % round_, origin=ORIGIN)
    assert len(board._tails) == 3 < MESSAGES_TOPICS_KEPT
    for topic in "abcdefg":
        assert (await own_log(store, topic)).held == SeqRanges.of(0, 3)


async def test_bad_topics_and_sizes_are_refused(store: EmbeddedStore) -> None:
    board = MessageBoard(store, node_id=NODE_ID)
    with pytest.raises(InvalidId):
        await board.append("a:b", b"", origin=ORIGIN)
    with pytest.raises(InvalidId):
        await board.choose(["a\0b"], bytes_max=1)
    with pytest.raises(TooLarge):
        await board.append("t", bytes(BLOB_BYTES_MAX + 1), origin=ORIGIN)


def record(name: str, *runs: tuple[int, int, int]) -> LogRecord:
    log = LogId(Namespace.MESSAGES, Topic("t"), Author(name))
    return LogRecord(log, 1, tuple(Run(*run, BlobClass.OPAQUE, 0, 0) for run in runs))


def test_the_newest_are_chosen_bucket_by_bucket() -> None:
    logs = [record("a", (0, 10, 1), (10, 12, 3)), record("b", (0, 4, 2), (7, 8, 3))]
    chosen = [(log.author, list(seqs)) for log, seqs in newest_of(logs, blobs_max=9)]
    assert chosen == [("a", [(10, 12)]), ("b", [(7, 8)]), ("b", [(0, 4)]), ("a", [(8, 10)])]


def test_logs_of_one_bucket_share_it() -> None:
    logs = [record("a", (0, 100, 1)), record("b", (0, 3, 1)), record("c", (5, 2**64, 1))]
    chosen = {log.author: list(seqs) for log, seqs in newest_of(logs, blobs_max=9)}
    assert chosen == {"a": [(97, 100)], "b": [(0, 3)], "c": [(2**64 - 3, 2**64)]}
