"""Which topics are known, and which changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from meshbox.core.ids import Namespace, Topic
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import MailboxStore
from meshbox.sync.bridge import topics as module
from meshbox.sync.bridge.topics import KnownTopics
from tests.contract.harness import MemoryHarness
from tests.contract.material import blob, log_of, put
from tests.sync.bridge.bridging import deposit
from tests.waiting import eventually


def is_long(changed: list[str], count: int) -> bool:
    return len(changed) == count


@asynccontextmanager
async def following(known: KnownTopics) -> AsyncIterator[list[str]]:
    changed: list[str] = []
    known.listen(changed.append)
    task = asyncio.create_task(known.run())
    try:
        yield changed
    finally:
        task.cancel()


async def test_those_of_before_and_those_that_change(harness: MemoryHarness) -> None:
    store: MailboxStore = await harness.open()
    await deposit(store, "before", "a", 0)
    known = KnownTopics(store, carried=ALL_TOPICS, named=[Topic("named")])
    async with following(known) as changed:
        await eventually(lambda: changed == ["before"])
        await deposit(store, "new", "a", 0)
        await deposit(store, "before", "b", 0)
        await eventually(lambda: changed == ["before", "new", "before"])
        message = log_of("m", "message")._replace(namespace=Namespace.MESSAGES)
        await put(store, blob(store, 0, log=message))
        await deposit(store, "last", "a", 0)
        await eventually(lambda: changed[-1] == "last")
        assert "message" not in changed
    assert list(known) == ["named", "new", "before", "last"]


async def test_what_is_not_carried_is_not_known(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "another", "a", 0)
    await deposit(store, "carried", "a", 0)
    known = KnownTopics(store, carried=OwnTopics([Topic("carried")]), named=[])
    async with following(known) as changed:
        await eventually(lambda: changed)
    assert list(known) == ["carried"]


async def test_the_one_that_is_quiet_for_longest_goes_for_a_newcomer(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BRIDGED_TOPICS_MAX", 3)
    store = await harness.open()
    known = KnownTopics(store, carried=ALL_TOPICS, named=[Topic("named")])
    async with following(known) as changed:
        for count, topic in enumerate(("first", "second", "first", "third"), 1):
            await deposit(store, topic, "a", count)
            await eventually(partial(is_long, changed, count))
        assert list(known) == ["named", "first", "third"]
        known.forget(Topic("named"))
        known.forget(Topic("first"))
        assert (Topic("named") in known, Topic("first") in known) == (True, False)


class OpenedAnew(EmbeddedStore):
    """A store whose former cursors are not honoured any more."""

    def honours(self, cursor: bytes) -> bool:
        return False


async def test_all_is_read_again_after_a_new_opening(harness: MemoryHarness) -> None:
    harness.store_class = OpenedAnew
    store = await harness.open()
    await deposit(store, "t", "a", 0)
    async with following(KnownTopics(store, carried=ALL_TOPICS, named=[])) as changed:
        await eventually(lambda: changed == ["t"])
        await deposit(store, "u", "a", 0)
        await eventually(lambda: "u" in changed)
