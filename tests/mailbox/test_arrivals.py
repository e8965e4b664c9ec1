"""Who waits is woken by what is durable in its own topics, by the node's end, and in time."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from meshbox.core.errors import InvalidId, NodeBusy, StoreFailed
from meshbox.core.filling import NothingFilling
from meshbox.core.ids import LogId, parse_topic
from meshbox.core.limits import WAITED_NAMES_MAX, WAITERS_MAX
from meshbox.mailbox.arrivals import Arrivals
from meshbox.mailbox.mailbox import Mailbox
from meshbox.mailbox.sweeping import sweep
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.contract import material
from tests.mailbox.stores import NODE_KEY, opened_store
from tests.mailbox.test_mailbox import put
from tests.waiting import a_while, eventually

T = TypeVar("T")

AGES_S = 3_600.0
SOON_S = 20.0
"""Far more than a wake takes on a busy machine."""


async def soon(awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, SOON_S)


async def waiting(mailbox: Mailbox, **topics: dict[str, int]) -> asyncio.Task[None]:
    """A client that waits for ages, and does so already."""
    before = mailbox.waiters
    task = asyncio.create_task(mailbox.wait_for_new(topics, seconds=AGES_S))
    while mailbox.waiters == before:
        await asyncio.sleep(0)
        assert not task.done()
    return task


async def settle(mailbox: Mailbox) -> None:
    """Returns when all that was to tell is told: changes are told in their order."""
    topic = secrets.token_hex(4)
    last = await waiting(mailbox, **{topic: {}})
    await put(mailbox, (topic, "a", 0, b"x"))
    await soon(last)


class Holding:
    """Holds back everything from a number on."""

    def __init__(self, first: int | None) -> None:
        self.first = first

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        del log, above
        return self.first


async def test_what_is_new_already_is_not_waited_for(mailbox: Mailbox) -> None:
    await put(mailbox, ("t", "a", 0, b"x"))
    await soon(mailbox.wait_for_new({"u": {}, "t": {}}, seconds=AGES_S))
    await soon(mailbox.wait_for_new({"t": {"b": 3}}, seconds=AGES_S))


async def test_a_deposit_wakes_those_of_its_topic_alone(mailbox: Mailbox) -> None:
    mine, also, other = [
        await waiting(mailbox, **{topic: {}, more: {"a": 7}})
        for topic, more in (("t", "u"), ("s", "t"), ("w", "x"))
    ]
    await put(mailbox, ("t", "b", 4, b"x"))
    await soon(asyncio.gather(mine, also))
    await settle(mailbox)
    assert not other.done()
    assert mailbox.waiters == 1
    await put(mailbox, ("x", "a", 8, b"x"))
    await soon(other)
    assert mailbox.waiters == 0


async def test_what_is_not_new_to_it_wakes_nobody(mailbox: Mailbox) -> None:
    await put(mailbox, ("t", "a", 5, b"x"))
    client = await waiting(mailbox, t={"a": 5})
    await put(mailbox, ("t", "a", 5, b"x"), ("t", "a", 3, b"below"))
    await settle(mailbox)
    assert not client.done()
    await put(mailbox, ("t", "a", 6, b"above"))
    await soon(client)


async def test_an_unsequenced_message_of_the_topic_wakes_nobody(mailbox: Mailbox) -> None:
    client = await waiting(mailbox, t={})
    await mailbox.deposit_message("t", b"x", client="")
    await settle(mailbox)
    assert not client.done()
    mailbox.end_waits()
    await soon(client)


async def test_a_sweep_wakes_nobody(
    mailbox: Mailbox, store: EmbeddedStore, clock: ManualClock
) -> None:
    await put(mailbox, ("t", "a", 0, b"x"))
    client = await waiting(mailbox, t={"a": 0})
    clock.advance(8 * material.DAY_MS)
    assert (await sweep(store)).blobs == 1
    await settle(mailbox)
    assert not client.done()
    await put(mailbox, ("t", "a", 1, b"x"))
    await soon(client)


async def test_nothing_is_told_before_it_is_durable() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        client = await waiting(mailbox, t={})
        key_value.hold_syncs()
        deposit = asyncio.create_task(put(mailbox, ("t", "a", 0, b"x")))
        for _ in range(50):
            await a_while(0.001)
        assert store.change > store.durable_change
        assert not client.done()
        key_value.release_syncs()
        await soon(asyncio.gather(client, deposit))


async def test_waiting_ends_after_its_time_and_when_the_client_left(mailbox: Mailbox) -> None:
    await soon(mailbox.wait_for_new({"t": {}}, seconds=0.01))
    left = asyncio.get_running_loop().create_future()
    client = asyncio.create_task(mailbox.wait_for_new({"t": {}}, seconds=AGES_S, left=left))
    await eventually(lambda: mailbox.waiters)
    left.set_result(None)
    await soon(client)
    assert mailbox.waiters == 0


async def test_the_node_s_end_is_the_end_of_all_waiting(mailbox: Mailbox) -> None:
    clients = [await waiting(mailbox, t={}) for _ in range(3)]
    mailbox.end_waits()
    await soon(asyncio.gather(*clients))
    await soon(mailbox.wait_for_new({"t": {}}, seconds=AGES_S))


async def test_what_is_held_back_is_given_out_once_it_is_not(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is stored then, so nobody tells: who waits looks by itself."""
    monkeypatch.setattr("meshbox.mailbox.mailbox.WAIT_LOOK_MS", 10)
    holding = Holding(0)
    mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=holding)
    await put(mailbox, ("t", "a", 1, b"x"))
    client = await waiting(mailbox, t={})
    await a_while(0.05)
    assert not client.done()
    holding.first = None
    await soon(client)


async def test_a_store_that_fails_ends_the_waiting_with_its_fault() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        client = await waiting(mailbox, t={})
        key_value.fail_syncs(OSError("the disk is gone"))
        with pytest.raises(StoreFailed):
            await put(mailbox, ("u", "a", 0, b"x"))
        with pytest.raises(StoreFailed):
            await soon(client)


async def test_bad_names_are_refused_before_any_waiting(mailbox: Mailbox) -> None:
    names: list[dict[str, dict[str, int]]] = [{"a:b": {}}, {"t": {"a:b": 0}}]
    for heights in names:
        with pytest.raises(InvalidId):
            await soon(mailbox.wait_for_new(heights, seconds=AGES_S))


async def test_so_many_may_wait_and_no_more(store: EmbeddedStore) -> None:
    arrivals = Arrivals(store)
    topic = parse_topic("t")
    held = [arrivals.awaiting([topic], names=1) for _ in range(WAITERS_MAX)]
    for one in held:
        one.__enter__()
    with pytest.raises(NodeBusy), arrivals.awaiting([topic], names=1):
        pass
    held.pop().__exit__(None, None, None)
    with arrivals.awaiting([topic], names=1):
        assert len(arrivals) == WAITERS_MAX
    for one in held:
        one.__exit__(None, None, None)
    assert len(arrivals) == 0
    with arrivals.awaiting([topic], names=WAITED_NAMES_MAX), pytest.raises(NodeBusy):  # noqa: SIM117
        with arrivals.awaiting([topic], names=1):
            pass


async def test_blobs_of_a_peer_wake_as_those_of_a_client(store: EmbeddedStore) -> None:
    """Whatever moves the feed: here a commit below the mailbox."""
    first = material.blob(store, 0)
    mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
    client = await waiting(mailbox, **{first.log.topic: {}})
    await material.put(store, first)
    await soon(client)
