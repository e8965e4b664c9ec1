"""After a power cut: what was acknowledged is there, what was shown is there, nothing else lies."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import IdentityLost, StoreFailed
from meshbox.core.ids import LogId
from meshbox.storage.embedded.cursors import CursorMint
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import FeedPage, MailboxStore, Outcome
from tests.contract.harness import PowerHarness
from tests.contract.material import (
    DAY_MS,
    PEER,
    blob,
    contents,
    held,
    log_of,
    put,
    put_cursor,
    put_one,
    record,
    sweep,
    turns,
    whole_feed,
)
from tests.contract.test_barrier import WithoutBarrier

X, Y = log_of("x"), log_of("y")


async def test_what_was_acknowledged_survives(power: PowerHarness) -> None:
    store = await power.open()
    await put(store, *(blob(store, seq) for seq in range(10)))
    await put_cursor(store, b"c")
    statistics = await store.statistics()
    power.hold_syncs()
    lost = asyncio.create_task(put(store, blob(store, 99)))
    await turns()
    store = await power.power_cut()
    with pytest.raises(StoreFailed):
        await lost
    assert sorted(await contents(store)) == list(range(10))
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"c"]
    assert (await store.statistics())._replace(used_bytes=0) == statistics._replace(used_bytes=0)


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_deposit_is_there_wholly_or_not_at_all(power: PowerHarness, kept: int) -> None:
    store = await power.open()
    power.hold_syncs()
    many = [blob(store, seq, log=log_of(f"log {seq % 7}")) for seq in range(50)]
    lost = asyncio.create_task(put(store, *many))
    await turns()
    store = await power.power_cut(unsynced_kept=kept)
    with pytest.raises(StoreFailed):
        await lost
    statistics = await store.statistics()
    assert (statistics.blobs, statistics.logs) == (50 * kept, 7 * kept)
    assert len(await held(store, *(log_of(f"log {at}") for at in range(7)))) == 50 * kept
    assert len((await whole_feed(store))[0]) == 7 * kept
    assert set(await put(store, *many)) == {Outcome.KNOWN if kept else Outcome.STORED}


class NeitherBarrierNorView(WithoutBarrier):
    """Both guards taken out: pages that are not durable, under cursors that hide it."""

    async def feed(self, after: bytes | None, *, logs_max: int, runs_max: int = 9) -> FeedPage:
        page = await super().feed(after, logs_max=logs_max, runs_max=runs_max)
        mint: CursorMint = self._mint
        cursor = mint.honoured(page.cursor, change=self.change)
        assert cursor is not None
        return page._replace(cursor=mint.mint(change=cursor.change, view=cursor.change))


async def cut_between_pages(power: PowerHarness) -> tuple[MailboxStore, list[LogId], bytes | None]:
    """The schedule of design.md 5: a log's entry moves, a reader reads, the power goes.

    X and Y are in the feed; X changes, so its entry is replaced by one at the end, which is not
    durable; a reader's page shows Y, and X is to come; the cut brings X's former entry back, in
    front of where the reader is.
    """
    store = await power.open()
    await put_one(store, blob(store, 0, log=X))
    await put_one(store, blob(store, 0, log=Y))
    power.hold_syncs()
    writing = asyncio.create_task(put(store, blob(store, 1, log=X)))
    await turns()
    reading = asyncio.create_task(store.feed(None, logs_max=1))
    await turns()
    page = reading.result() if reading.done() else None
    store = await power.power_cut()
    for task in (writing, *(() if page else (reading,))):
        with pytest.raises(StoreFailed):
            await task
    shown = [] if page is None else [r.log for r in page.records]
    return store, shown, None if page is None else page.cursor


async def test_a_replaced_entry_of_the_feed_hides_no_log(power: PowerHarness) -> None:
    store, shown, cursor = await cut_between_pages(power)
    assert (shown, cursor) == ([], None)  # The reader got no page, and begins again.
    records, _ = await whole_feed(store, cursor)
    assert {r.log for r in records} == {X, Y}


async def test_without_the_barrier_a_healthy_store_would_prove_its_own_loss(
    power: PowerHarness,
) -> None:
    power.store_class = WithoutBarrier
    store, shown, cursor = await cut_between_pages(power)
    assert shown == [Y]
    assert cursor is not None
    with pytest.raises(IdentityLost):
        store.honours(cursor)


async def test_without_barrier_and_view_a_log_would_be_hidden_for_ever(
    power: PowerHarness,
) -> None:
    power.store_class = NeitherBarrierNorView
    store, shown, cursor = await cut_between_pages(power)
    assert cursor is not None
    assert store.honours(cursor)
    records, _ = await whole_feed(store, cursor)
    assert X not in {*shown, *(r.log for r in records)}


async def test_a_page_that_was_shown_is_never_taken_back(power: PowerHarness) -> None:
    store = await power.open()
    cursor = None
    for at in range(20):
        await put(store, blob(store, at, log=log_of(str(at % 5))))
        power.hold_syncs()
        lost = asyncio.create_task(put(store, blob(store, 1000 + at, log=log_of(str(at % 3)))))
        await turns()
        reading = asyncio.create_task(store.feed(cursor, logs_max=2))
        await turns()
        if at % 2:
            power.release_syncs()
            cursor = (await reading).cursor
            await lost
        store = await power.power_cut(unsynced_kept=at % 4 // 2)
        await asyncio.gather(lost, reading, return_exceptions=True)
        assert cursor is None or store.honours(cursor)


async def test_node_time_does_not_go_back(power: PowerHarness) -> None:
    store = await power.open()
    power.clock.advance(3 * DAY_MS)
    await put(store, blob(store, 0))
    at = store.now_ms()
    power.clock.reboot(boot_id="boot-2", wall_ms=0, synchronised=False)
    store = await power.power_cut()
    assert store.now_ms() >= at


async def test_a_reading_can_be_made_durable_alone(power: PowerHarness) -> None:
    store = await power.open()
    power.clock.advance(3 * DAY_MS)
    at = store.now_ms()
    await store.flush_reading()
    power.clock.reboot(boot_id="boot-2", wall_ms=0, synchronised=False)
    store = await power.power_cut()
    assert store.now_ms() == at


@pytest.mark.parametrize("slices", [0, 1, 2, 3])
async def test_a_sweep_goes_on_where_it_was_cut(power: PowerHarness, slices: int) -> None:
    store = await power.open()
    logs = [log_of(f"{at}") for at in range(300)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    power.clock.advance(7 * DAY_MS)
    for _ in range(slices):
        await store.sweep_slice()
    power.hold_syncs()
    lost = asyncio.create_task(store.sweep_slice())
    await turns()
    store = await power.power_cut()
    await asyncio.gather(lost, return_exceptions=True)
    assert not await held(store, *logs)
    await sweep(store)
    statistics = await store.statistics()
    assert (statistics.logs, statistics.blobs, statistics.bytes) == (0, 0, 0)
    assert statistics.expired == 300
    assert (await record(store, logs[5])).expired.opaque.count == 1
    assert set(await put(store, *(blob(store, 0, log=log) for log in logs))) == {Outcome.EXPIRED}


async def test_cursors_are_never_ahead_of_their_data(power: PowerHarness) -> None:
    store = await power.open()
    assert isinstance(store, EmbeddedStore)
    for kept in (0, 1):
        power.hold_syncs()
        lost = asyncio.create_task(
            asyncio.wait(
                [
                    asyncio.create_task(put(store, blob(store, kept))),
                    asyncio.create_task(put_cursor(store, b"past %d" % kept)),
                ]
            )
        )
        await turns()
        store = await power.power_cut(unsynced_kept=kept)
        for task in (await lost)[0]:
            assert isinstance(task.exception(), StoreFailed)
        cursors = [cursor.cursor for cursor in await store.cursors(PEER)]
        assert cursors == [b"past 1"] * kept
        assert (1 in await contents(store)) == bool(cursors)
