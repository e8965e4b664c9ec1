"""Logs with nothing held are forgotten, and what that means to clients and peers."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.core.forgetting import FORGET_AFTER_MS, FORGET_FLOOR_MS
from meshbox.core.ids import LogId, Namespace, Topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import SWEEP_LOGS_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS
from meshbox.core.room import (
    LIMIT_BYTES_MIN,
    RANGE_BYTES,
    Allocation,
    capacity_bytes,
    metadata_bytes,
)
from meshbox.storage.interface import Deposit, MailboxStore, NewBlob, Outcome, PeerCursor
from tests.contract.harness import FolderHarness, MemoryHarness, PowerHarness
from tests.contract.material import (
    DAY_MS,
    HOUR_MS,
    LOG,
    PEER,
    VERIFIED,
    blob,
    contents,
    held,
    log_of,
    put,
    put_one,
    record,
    sweep,
    turns,
    whole_feed,
)
from tests.searching import examples

FLOOR_MS = RETENTION_MAX_MS + FORGET_FLOOR_MS
LOGS = [log_of(f"{at:03}") for at in range(2 * SWEEP_LOGS_MAX + 10)]
LOG_BYTES = metadata_bytes(LogRecord(LOGS[0], 0)) + RANGE_BYTES
"""What one of them counts for, when it had one range."""


async def known(store: MailboxStore, *logs: LogId) -> list[LogId]:
    """Those of `logs` that are known, however one asks."""
    records = [found for found in await store.logs(logs) if found is not None]
    by_key = [found for found in await store.by_key([log.key for log in logs]) if found]
    assert by_key == records
    topics = dict.fromkeys(log.topic for log in logs)
    listed = [r for topic in topics for r in await store.topic(Namespace.LOGS, topic)]
    assert {r.log: r for r in listed} == {r.log: r for r in records}
    everything = {r.log: r for r in (await store.all_logs(None, logs_max=10_000)).values()}
    assert [everything.get(log) for log in logs] == list(await store.logs(logs))
    return [found.log for found in records]


async def metadata_held(store: MailboxStore) -> int:
    """The footprint is what is known, and nothing else, when nothing is held."""
    statistics = await store.statistics()
    records = (await store.all_logs(None, logs_max=10_000)).values()
    assert statistics.footprint_bytes == sum(map(metadata_bytes, records))
    assert (statistics.logs, statistics.blobs, statistics.bytes) == (0, 0, 0)
    return statistics.footprint_bytes


async def test_an_empty_log_is_forgotten_90_days_after_its_last_blob(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, blob(store, 0), blob(store, 0, log=log_of("b")))
    folder.clock.advance(20 * DAY_MS)
    await sweep(store)
    await put(store, blob(store, 1, log=log_of("b")))
    folder.clock.advance(FORGET_AFTER_MS - 20 * DAY_MS - BUCKET_MS)
    assert (await sweep(store)).forgotten == 0
    assert await known(store, LOG, log_of("b")) == [LOG, log_of("b")]
    folder.clock.advance(2 * BUCKET_MS)
    assert await known(store, LOG, log_of("b")) == [LOG, log_of("b")], "reading forgets nothing"
    assert (await sweep(store)).forgotten == 1
    assert await known(store, LOG, log_of("b")) == [log_of("b")]
    store = await folder.reopen()
    assert await known(store, LOG, log_of("b")) == [log_of("b")]
    folder.clock.advance(20 * DAY_MS)
    assert (await sweep(store)).forgotten == 1
    assert await known(await folder.reopen(), LOG, log_of("b")) == []


async def test_one_sweep_after_a_long_time_expires_and_forgets(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, *(blob(store, 0, log=log) for log in LOGS))
    folder.clock.advance(100 * DAY_MS)
    swept = await sweep(store)
    assert (swept.blobs, swept.forgotten) == (len(LOGS), len(LOGS))
    assert await known(store, *LOGS) == []
    assert await metadata_held(store) == 0
    assert (await store.statistics()).expired == len(LOGS)
    assert not (await store.sweep_slice()).more


async def test_it_goes_in_bounded_slices_also_over_a_restart(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, *(blob(store, 0, log=log) for log in LOGS))
    folder.clock.advance(7 * DAY_MS)
    await sweep(store)
    folder.clock.advance(90 * DAY_MS)
    for forgotten, more in [(SWEEP_LOGS_MAX, True), (SWEEP_LOGS_MAX, True), (10, False)]:
        store = await folder.reopen()
        left = len(await known(store, *LOGS))
        done = await store.sweep_slice()
        assert (done.forgotten, done.more) == (forgotten, more)
        assert len(await known(store, *LOGS)) == left - forgotten
    assert await metadata_held(store) == 0
    assert (await store.sweep_slice()).forgotten == 0


async def test_beyond_their_share_the_oldest_go_until_the_rest_is_within_it(
    folder: FolderHarness,
) -> None:
    share_bytes = 40 * LOG_BYTES
    store = await folder.open(allocation=Allocation(10 * share_bytes))
    for log in LOGS[:100]:
        await put(store, blob(store, 0, log=log))
        folder.clock.advance(BUCKET_MS)  # In 25 days: some are beyond the floor, some are not.
    await sweep(store)
    left = await known(store, *LOGS[:100])
    assert 0 < len(left) < 100
    assert left == LOGS[100 - len(left) : 100], "the oldest went"
    kept_ms = len(left) * BUCKET_MS
    assert kept_ms >= FLOOR_MS, "none within the floor"
    folder.clock.advance(FLOOR_MS)
    await sweep(store)
    assert await metadata_held(store) == share_bytes
    folder.clock.advance(30 * DAY_MS)
    assert (await sweep(store)).forgotten == 0, "what is within the share has its 90 days"


async def test_within_the_floor_nothing_is_forgotten_however_many_there_are(
    folder: FolderHarness,
) -> None:
    store = await folder.open(allocation=Allocation(100 * LOG_BYTES))
    await put(store, *(blob(store, 0, b"", log=log) for log in LOGS[:60]))
    folder.clock.advance(FLOOR_MS)
    assert (await sweep(store)).forgotten == 0
    assert len(await known(store, *LOGS)) == 60
    folder.clock.advance(BUCKET_MS)
    assert (await sweep(store)).forgotten > 40


async def test_a_forgotten_log_begins_anew(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, *(blob(store, seq, log=log) for seq in range(5) for log in (LOG, LOGS[0])))
    cursor = (await store.feed(None, logs_max=9)).cursor
    folder.clock.advance(100 * DAY_MS)
    await sweep(store)
    for _ in range(2):
        assert await put_one(store, blob(store, 3)) is Outcome.STORED
        assert await put_one(store, blob(store, 3, blob_class=VERIFIED)) is Outcome.REPLACED
        assert (await record(store)).seen == SeqRanges.single(3)
        assert (await record(store)).watermark is None
        assert (await record(store)).missing(3) == SeqRanges.of(0, 3)
        assert await known(store, LOG, LOGS[0]) == [LOG]
        assert [r.log for r in (await whole_feed(store, cursor))[0]] == [LOG]
        assert (await store.statistics()).logs == 1
        folder.clock.advance(100 * DAY_MS)
        await sweep(store)
        assert await known(store, LOG) == []
        assert await metadata_held(store) == 0


async def test_a_log_that_went_for_room_is_forgotten_and_asked_for_by_nobody(
    folder: FolderHarness,
) -> None:
    allocation = Allocation(60_000)
    store = await folder.open(allocation=allocation)
    await put(store, blob(store, 0, bytes(20_000)))
    folder.clock.advance(DAY_MS)
    await put(store, blob(store, 0, bytes(50_000), log=log_of("b")))
    assert not (await record(store)).runs
    store = await folder.reopen(allocation=Allocation(200_000))
    while await store.keep_room():
        pass
    assert (await store.refill(PEER, logs_max=9)).logs == (LOG.key,)
    assert not (await record(store)).seen, "known by name alone"
    folder.clock.advance(100 * DAY_MS)
    await sweep(store)
    assert await known(store, LOG, log_of("b")) == []
    assert await metadata_held(store) == 0
    while await store.keep_room():
        pass


async def test_the_refill_list_may_name_what_is_forgotten(folder: FolderHarness) -> None:
    store = await folder.open()
    await put(store, blob(store, 0))
    folder.clock.advance(90 * DAY_MS)
    await store.ask_for([LOG.key])
    folder.clock.advance(DAY_MS)
    assert (await sweep(store)).forgotten == 1
    page = await store.refill(PEER, logs_max=9)
    assert page.logs == (LOG.key,)
    assert await store.by_key(page.logs) == (None,)
    assert await put_one(store, blob(store, 0)) is Outcome.STORED


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("turns_first", range(4))
async def test_topics_are_listed_while_their_logs_are_forgotten(
    folder: FolderHarness, remembered: bool, turns_first: int
) -> None:
    """Some hundred logs are read in several turns; those that go between are left out."""
    store = await folder.open()
    logs = [log_of(f"{at:04}") for at in range(600)]
    await put(store, *(blob(store, 0, log=log) for log in logs))
    folder.clock.advance(FORGET_AFTER_MS - DAY_MS)
    await put(store, blob(store, 1, log=logs[599]))
    await sweep(store)
    folder.clock.advance(2 * DAY_MS)
    if not remembered:
        store = await folder.reopen()
    listing = asyncio.ensure_future(store.topic(Namespace.LOGS, Topic("topic")))
    await turns(turns_first)
    forgetting = asyncio.ensure_future(sweep(store))
    assert logs[599] in [found.log for found in await listing]
    assert (await forgetting).forgotten == 599
    assert [r.log for r in await store.topic(Namespace.LOGS, Topic("topic"))] == [logs[599]]


@pytest.mark.parametrize("slices", range(8))
@pytest.mark.parametrize("kept", [0, 1])
async def test_it_goes_on_where_the_power_was_cut(
    power: PowerHarness, slices: int, kept: int
) -> None:
    store = await power.open()
    await put(store, *(blob(store, 0, log=log) for log in LOGS))
    power.clock.advance(90 * DAY_MS)
    await put(store, blob(store, 0, log=log_of("late")))
    power.clock.advance(DAY_MS)
    for _ in range(slices):
        await store.sweep_slice()
    power.hold_syncs()
    lost = asyncio.ensure_future(store.sweep_slice())
    again = asyncio.ensure_future(put(store, blob(store, 7, log=LOGS[0])))
    await turns()
    store = await power.power_cut(unsynced_kept=kept)
    await asyncio.gather(lost, again, return_exceptions=True)
    await sweep(store)
    records = (await store.all_logs(None, logs_max=1_000)).values()
    assert {r.log for r in records} <= {log_of("late"), LOGS[0]}
    assert [b.log for b in await held(store, *LOGS, log_of("late"))][-1:] == [log_of("late")]
    power.clock.advance(95 * DAY_MS)
    await sweep(store)
    assert await metadata_held(store) == 0


async def test_a_late_peers_expired_blobs_are_settled_and_bring_nothing_back(
    folder: FolderHarness,
) -> None:
    store = await folder.open()
    offered = [blob(store, seq) for seq in range(5)]
    await put(store, *offered)
    folder.clock.advance(100 * DAY_MS)
    await sweep(store)
    cursor = PeerCursor(PEER, b"e" * 16, b"settled")
    assert set(await store.commit(Deposit(offered, (cursor,), whole=False))) == {Outcome.EXPIRED}
    assert [kept.cursor for kept in await store.cursors(PEER)] == [b"settled"]
    assert await known(store, LOG) == []
    assert await metadata_held(store) == 0


class Island:
    """A node: what it holds goes to another as it does in a session, with exact ages."""

    def __init__(self, harness: MemoryHarness, store: MailboxStore) -> None:
        self.harness = harness
        self.store = store

    async def give(self, other: Island) -> None:
        for stored in await held(self.store, *LOGS[:2]):
            age_ms = self.store.retention.age_ms(
                stored.stamp_ms, self.store.now_ms(), earlier_ms=stored.earlier_ms
            )
            now_ms, retention = other.store.now_ms(), other.store.retention
            stamp_ms = retention.stamp_of(now_ms, age_ms)
            earlier_ms = retention.earlier_ms(stamp_ms, asked_ms=now_ms, age_ms=age_ms)
            assert stored.data is not None
            taken = NewBlob(
                stored.log,
                stored.seq,
                stored.blob_class,
                stamp_ms,
                stored.origin,
                stored.data,
                earlier_ms=earlier_ms,
            )
            await put(other.store, taken, whole=False)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("deposit"), st.integers(0, 1), st.integers(0, 1), st.integers(0, 3)),
        st.tuples(st.just("give"), st.integers(0, 1)),
        st.tuples(st.just("sweep"), st.integers(0, 1)),
        st.tuples(st.just("pass"), st.sampled_from([1, 3, 20, 6 * 24, 15 * 24, 90 * 24])),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=examples(60), deadline=None)
def test_nothing_goes_round_between_two_nodes_that_forget_at_different_times(
    chosen: list[tuple[object, ...]],
) -> None:
    """A blob lives for a week after a client last deposited it, wherever it goes; and once no
    client does, both nodes come to know nothing, however often they meet."""

    async def live() -> None:
        islands: list[Island] = []
        for capacity in (None, 4_000):  # The second forgets at the floor.
            harness = MemoryHarness()
            islands.append(Island(harness, await harness.open(allocation=Allocation(capacity))))
        deposited_ms: dict[tuple[LogId, int], int] = {}
        now_ms = 0

        async def check() -> None:
            for island in islands:
                for stored in await held(island.store, *LOGS[:2]):
                    assert now_ms - deposited_ms[stored.log, stored.seq] < RETENTION_MAX_MS

        for name, *rest in chosen:
            numbers = [int(str(number)) for number in rest]
            if name == "deposit":
                at, log, seq = numbers
                store = islands[at].store
                outcome = await put_one(store, blob(store, seq, log=LOGS[log]))
                if outcome is Outcome.STORED:
                    deposited_ms[LOGS[log], seq] = now_ms
            elif name == "give":
                await islands[numbers[0]].give(islands[1 - numbers[0]])
            elif name == "sweep":
                await sweep(islands[numbers[0]].store)
            else:
                now_ms += numbers[0] * HOUR_MS
                for island in islands:
                    island.harness.clock.advance(numbers[0] * HOUR_MS)
            await check()
        for day in range(8 + 91):
            at = random.Random(day).randrange(2)
            await islands[at].give(islands[1 - at])
            if day % 3:
                await sweep(islands[at].store)
            for island in islands:
                island.harness.clock.advance(DAY_MS)
        for island in islands:
            await sweep(island.store)
            assert await island.store.all_logs(None, logs_max=9) == {}
            assert await contents(island.store, LOGS[0]) == {}
            await island.harness.close()

    asyncio.run(live())


async def test_the_smallest_limit_remembers_what_a_camp_writes(folder: FolderHarness) -> None:
    """A tenth of 16 MB: more logs than its phones have conversations, 90 days long."""
    assert capacity_bytes(LIMIT_BYTES_MIN) // 10 // 470 > 500
    store = await folder.open(allocation=Allocation(capacity_bytes(LIMIT_BYTES_MIN)))
    await put(store, *(blob(store, 0, log=log) for log in LOGS))
    folder.clock.advance(FORGET_AFTER_MS - DAY_MS)
    await sweep(store)
    assert len(await known(store, *LOGS)) == len(LOGS)
