"""The inventory: equal digests for equal holdings and for nothing else, whatever the history."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.admin import inventory as module
from meshbox.admin.inventory import inventory, topic_inventory
from meshbox.core.ids import Author, LogId, Namespace, Topic
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.contract.material import DAY_MS, HOUR_MS, VERIFIED, blob, log_of, put
from tests.mailbox.stores import opened_store
from tests.searching import examples

Content = tuple[str, int, bytes]

contents = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from([b"", b"x", b"y"])),
    max_size=12,
    unique_by=lambda content: content[:2],
)


@asynccontextmanager
async def holding(contents: Sequence[Content]) -> AsyncIterator[EmbeddedStore]:
    async with opened_store(MemoryKeyValue()) as store:
        for author, seq, data in contents:
            await put(store, blob(store, seq, data, log=log_of(author)))
        yield store


@given(contents, contents, st.randoms())
@settings(max_examples=examples(60))
async def test_digests_are_equal_when_the_blobs_are(
    left: list[Content], right: list[Content], random: object
) -> None:
    shuffled = list(left)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        first, same, other = [
            await inventory(await stack.enter_async_context(holding(some)))
            for some in (left, shuffled, right)
        ]
    assert first.digest == same.digest
    assert (first.digest == other.digest) == (set(left) == set(right))
    assert first.blobs == len(left)
    assert first.bytes == sum(len(data) for _, _, data in left)
    assert first.logs == len({author for author, _, _ in left})


async def test_the_digest_is_what_its_docstring_says(store: EmbeddedStore) -> None:
    await put(store, blob(store, 7, b"seven"))
    name = b"\0topic\0author\0"
    content = hashlib.blake2b(b"seven", digest_size=32).digest()
    expected = hashlib.blake2b(name + (7).to_bytes(8, "big") + content, digest_size=32)
    assert (await inventory(store)).digest == expected.hexdigest()


async def test_pages_of_any_size_give_the_same(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for author in "abcde":
        log = log_of(author)
        await put(store, *(blob(store, seq, log=log) for seq in (0, 1, 2, 9, 10, 2**64 - 1)))
    whole = await inventory(store)
    assert whole.blobs == 30
    monkeypatch.setattr(module, "_LOGS_PAGE", 2)
    monkeypatch.setattr(module, "_BLOBS_PAGE", 4)
    assert await inventory(store) == whole


async def test_it_tells_that_something_changed_meanwhile(store: EmbeddedStore) -> None:
    await put(store, blob(store, 0))
    document = await inventory(store)
    assert document.change == document.change_after == store.change


async def test_a_topic_log_by_log(store: EmbeddedStore, clock: ManualClock) -> None:
    a, b, other = log_of("a"), log_of("b"), log_of("a", topic="other")
    await put(store, blob(store, 0, log=a), blob(store, 1, log=a), blob(store, 5, log=a))
    await put(store, blob(store, 3, log=b, blob_class=VERIFIED), blob(store, 0, log=other))
    document = await topic_inventory(store, Topic("topic"))
    first, second = document.logs
    assert (first.author, first.held, first.told) == ("a", [(0, 1), (5, 5)], [(2, 4)])
    assert (first.blobs, first.watermark, first.namespace) == (3, 1, "logs")
    assert (second.author, second.held, second.told) == ("b", [(3, 3)], [(0, 2)])
    assert second.watermark is None
    assert document.blobs == 4
    clock.advance(7 * DAY_MS - HOUR_MS)
    await put(store, blob(store, 2, log=a))
    clock.advance(2 * HOUR_MS)
    first, second = (await topic_inventory(store, Topic("topic"))).logs
    assert (first.held, first.expired, first.told) == ([(2, 2)], [(0, 1), (5, 5)], [(3, 4)])
    assert (second.held, second.expired, second.told) == ([], [(3, 3)], [(0, 2)])


async def test_unsequenced_messages_are_listed_too(store: EmbeddedStore) -> None:
    log = LogId(Namespace.MESSAGES, Topic("topic"), Author("node"))
    await put(store, blob(store, 0, log=log), blob(store, 0))
    document = await topic_inventory(store, Topic("topic"))
    assert [(entry.namespace, entry.author) for entry in document.logs] == [
        ("logs", "author"),
        ("messages", "node"),
    ]
    assert document.digest == (await inventory(store)).digest


async def test_an_unknown_topic_has_no_logs(store: EmbeddedStore) -> None:
    document = await topic_inventory(store, Topic("nobody"))
    assert (document.logs, document.blobs) == ([], 0)
    assert document.digest == (await inventory(store)).digest


@pytest.mark.parametrize("topic", [None, Topic("topic")])
async def test_others_get_their_turn_between_logs_of_which_nothing_is_held(
    store: EmbeddedStore, clock: ManualClock, topic: Topic | None
) -> None:
    """10^5 of them held the loop for seconds."""
    pages = 3
    logs = [log_of(f"{at}") for at in range(pages * module._LOGS_PAGE)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    clock.advance(8 * DAY_MS)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(others())
    if topic is None:
        await inventory(store)
    else:
        await topic_inventory(store, topic)
    running.cancel()
    assert turns >= (pages if topic is None else len(logs))
