"""The Cassandra store beyond the contract: its pure parts, and several stores of one keyspace.

Everything that says so runs on the real server.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cassandra import AuthenticationFailed, InvalidRequest, Unauthorized
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.clock import SystemReading
from meshbox.core.errors import (
    InvalidSetting,
    StoreBusy,
    StoreFailed,
    StoreForeign,
    StoreRefused,
    StoreUnprepared,
)
from meshbox.core.ids import Author, BlobClass, LogId, Namespace, Topic, node_id_of
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.ranges import SeqRanges
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS
from meshbox.storage.cassandra import following, listing
from meshbox.storage.cassandra.address import (
    Access,
    parse_cluster,
    parse_replication,
    show_replication,
)
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.faults import LoginRefused, fault_of
from meshbox.storage.cassandra.feed_counter import FeedCounter
from meshbox.storage.cassandra.known import KnownLog
from meshbox.storage.cassandra.listing import ALL, Listing
from meshbox.storage.cassandra.lives import blob_s
from meshbox.storage.cassandra.merging import Row, hold, merge
from meshbox.storage.cassandra.planning import LogChange
from meshbox.storage.cassandra.positions import UNITS_PER_MS, Positions, ms_of, position_of
from meshbox.storage.cassandra.schema import create_tables
from meshbox.storage.cassandra.statements import Statements
from meshbox.storage.cassandra.stepping import STEPS_MAX, known_after, next_row
from meshbox.storage.cassandra.store import CassandraStore
from meshbox.storage.interface import MailboxStore, Outcome
from meshbox.storage.leases import Leases
from meshbox.storage.openings import Log
from scripts.clusters.certificates import certify
from scripts.clusters.cluster import Cluster
from tests import cassandra
from tests.clocks import ManualClock
from tests.contract.material import LOG, VERIFIED, blob, contents, log_of, put, put_one, whole_feed
from tests.waiting import a_while, eventually

NODE = node_id_of(b"n" * 32)
LAG_MS = 2_000
on_cassandra = pytest.mark.xdist_group("cassandra")


# What decides, without any server.


@given(st.lists(st.integers(0, 5)), st.integers(0, 2**20))
def test_positions_ascend_whatever_the_clock_does(steps: list[int], salt: int) -> None:
    positions, now_ms, given_ones = Positions(salt), 1_000_000, [0]
    for step in steps:
        now_ms += step - 2
        given_ones.append(positions.next(now_ms))
        assert given_ones[-1] % 1_024 == salt % 1_024
        assert ms_of(given_ones[-1]) >= now_ms
    assert all(a < b for a, b in pairwise(given_ones))


def test_what_another_process_gave_is_passed() -> None:
    positions = Positions(1)
    positions.hear(5 * UNITS_PER_MS)
    before = positions.last
    positions.hear(1)
    assert positions.last > before, "whoever waits is to look again"
    assert positions.next(0) > 5 * UNITS_PER_MS


async def test_all_whose_news_were_behind_are_woken_together() -> None:
    positions = Positions(0)
    counter = FeedCounter(positions)
    before = counter.value
    for _ in range(3):
        counter.move_soon()
    await counter.moved()
    assert counter.value == before + 1
    at = positions.next(1_000)
    counter.move()
    assert counter.value == at
    counter.move_soon()
    counter.close()


runs = st.builds(
    lambda first, count, bucket, blob_class: Run(
        first, first + count, bucket, blob_class, 10 * count, 10
    ),
    st.integers(0, 30),
    st.integers(1, 8),
    st.integers(100, 102),
    st.sampled_from(BlobClass),
)


def numbers(held: Sequence[Run]) -> dict[int, tuple[BlobClass, int]]:
    return {seq: (run.blob_class, run.bucket) for run in held for seq in range(run.first, run.end)}


@given(st.lists(runs, max_size=12))
def test_runs_are_held_as_a_dictionary_of_numbers_would(added: list[Run]) -> None:
    held: list[Run] = []
    naive: dict[int, tuple[BlobClass, int]] = {}
    for run in added:
        hold(held, run)
        for seq, new in numbers([run]).items():
            if seq not in naive or naive[seq][0] < new[0]:
                naive[seq] = new
        assert numbers(held) == naive
        assert all(a.end <= b.first for a, b in pairwise(held))
        assert all(a[:4] != (b.first, *a[1:4]) or a.end != b.first for a, b in pairwise(held))
    assert sum(run.bytes for run in held) <= 10 * len(naive)


def row(position: int, *held: Run, whole: bool = False, includes: Sequence[int] = ()) -> Row:
    ids = frozenset((other, b"w") for other in includes)
    record = LogRecord(LOG, position, tuple(sorted(held)), last_bucket=100)
    return Row((position, b"w"), record, whole, ids)


@given(st.lists(runs, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_rows_are_merged_the_same_in_any_order(added: list[Run], chance: random.Random) -> None:
    rows = [row(10 * at, run) for at, run in enumerate(added)]
    record = merge(rows, lag=0)
    chance.shuffle(rows)
    assert merge(rows, lag=0) == record
    assert record.change == 10 * (len(added) - 1)


def test_a_whole_row_is_where_to_begin() -> None:
    first, second, late, last = (
        Run(seq, seq + 1, 100, BlobClass.OPAQUE, 5, 5) for seq in (0, 1, 2, 3)
    )
    whole = row(100, first, whole=True, includes=[90])
    # Pushed out by whoever wrote the whole row: it is older than the lag, or named.
    rows = [row(40, second), row(90, second), row(95, late), whole, row(110, last)]
    merged = merge(rows, lag=50)
    assert merged.held == SeqRanges([(0, 1), (2, 4)])
    assert merged.change == 110


def test_what_comes_again_has_not_expired() -> None:
    expired = LogRecord(LOG, 1)._replace(
        expired=LogRecord(LOG, 1).expired.adding(SeqRanges.of(0, 9), BlobClass.OPAQUE)
    )
    again = Run(3, 4, 100, BlobClass.VERIFIED, 5, 5)
    merged = merge(
        [Row((1, b"w"), expired, whole=True, includes=frozenset()), row(2, again)], lag=0
    )
    assert merged.expired.opaque == SeqRanges([(0, 3), (4, 9)])


def test_what_a_process_wrote_is_what_its_rows_make() -> None:
    """Steps, and a whole row after so many of them, which names those within the lag."""
    lag_ms = 20
    known: KnownLog | None = None
    written: list[Row] = []
    record = LogRecord(LOG, 0)
    for seq in range(STEPS_MAX + 2):
        run = Run(2 * seq, 2 * seq + 1, 100, BlobClass.VERIFIED, 5, 5)
        after = record._replace(runs=(*record.runs, run), last_bucket=100)
        change = LogChange(record, after, added=[run])
        new = next_row(change, known, (position_of(1 + seq), b"w"), lag_ms=lag_ms)
        known = known_after(change, new, known, read_ms=0)
        written.append(new)
        record = known.record
        assert merge(written, lag=position_of(lag_ms)) == record
    assert [new.whole for new in written] == [False] * STEPS_MAX + [True, False]
    assert written[-2].includes == {new.id for new in written[-2 - lag_ms : -2]}
    assert known is not None
    assert known.steps == 1


@given(st.integers(0, 10**5), st.integers(0, 10**13))
def test_no_blob_lives_for_ever(bucket: int, now_ms: int) -> None:
    ttl_s = blob_s(bucket, retention_ms=RETENTION_MAX_MS, now_ms=now_ms)
    assert ttl_s >= 86_400
    due_ms = bucket * BUCKET_MS + RETENTION_MAX_MS
    assert now_ms + ttl_s * 1_000 >= due_ms, "never sooner than the node says"


@pytest.mark.parametrize(
    ("text", "contacts"),
    [
        ("cassandra://db/mail", (("db", 9042),)),
        ("cassandra://db:1,10.0.0.1/mail", (("db", 1), ("10.0.0.1", 9042))),
        ("cassandra://[::1]:7,[::2]/m_1", (("::1", 7), ("::2", 9042))),
    ],
)
def test_a_cluster_is_named(text: str, contacts: tuple[tuple[str, int], ...]) -> None:
    address = parse_cluster(text)
    assert address.contacts == contacts
    assert parse_cluster(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        *("cassandra://", "cassandra://db", "cassandra://db/", "cassandra:///mail", "db/mail"),
        *("cassandra://db/Mail", "cassandra://db/a;drop", "cassandra://db:x/mail"),
        *("cassandra://a b/mail", "cassandra://db:70000/mail", "cassandra://" + "a," * 17 + "/m"),
    ],
)
def test_what_names_no_cluster_is_told(text: str) -> None:
    with pytest.raises(InvalidSetting):
        parse_cluster(text)


def test_replication_is_said_by_data_centre() -> None:
    assert parse_replication("3") == {"": 3}
    assert parse_replication("dc1:3,dc2:2") == {"dc1": 3, "dc2": 2}
    for text in ("3", "dc1:3,dc2:2"):
        assert show_replication(parse_replication(text)) == text
    for bad in ("", "0", "x", "dc1:3,2", "a'b:3", "dc1:1,dc1:2", "10"):
        with pytest.raises(InvalidSetting):
            parse_replication(bad)


def nobody(*said: Exception) -> NoHostAvailable:
    return NoHostAvailable("nobody", dict(enumerate(said)))


UNABLE = "Unable to perform authentication: Cannot achieve consistency level QUORUM"
FULL = "Guardrail replica_disk_usage violated: Write request failed because disk usage exceeds …"
SHUT = ConnectionException("the connection is shut")


@pytest.mark.parametrize(
    ("error", "dialled", "fault", "words"),
    [
        # What operators have to know is told, whichever server said it, or when it was dialled.
        (nobody(SHUT, AuthenticationFailed("no")), None, StoreRefused, "user or password"),
        (nobody(), LoginRefused("no"), StoreRefused, "user or password"),
        (nobody(SHUT), OSError("[SSL: …] failed"), StoreFailed, "no TLS"),
        (nobody(SHUT), OSError("refused"), StoreFailed, "does not answer .*refused"),
        (nobody(), None, StoreFailed, "does not answer"),
        (Unauthorized("no MODIFY"), LoginRefused("no"), StoreRefused, "does not let .*no MODIFY"),
        # A server that cannot read its roles knows nothing of this one.
        (AuthenticationFailed(UNABLE), None, StoreFailed, "does not answer"),
        (InvalidRequest("no table"), None, StoreUnprepared, "another schema"),
        (InvalidRequest(FULL), None, StoreFailed, "does not take this .*disk usage"),
    ],
)
def test_what_servers_say_becomes_what_is_to_be_done(
    error: Exception, dialled: Exception | None, fault: type[StoreFailed], words: str
) -> None:
    told = fault_of(error, "testing", dialled=dialled)
    assert type(told) is fault
    assert re.search(words, str(told))


# On the real server.


@pytest.fixture
async def keyspace(cassandra_keyspace: Access) -> Access:
    await cassandra.empty(cassandra_keyspace)
    return cassandra_keyspace


Opener = Callable[..., Awaitable[CassandraStore]]


class WallClock:
    """The machine's, called synchronised."""

    def read(self) -> SystemReading:
        import time

        return SystemReading(0, "boot", time.time_ns() // 1_000_000, synchronised=True)


@pytest.fixture
async def opener(keyspace: Access) -> AsyncIterator[Opener]:
    """Opens stores of one keyspace, as processes would."""
    stores: list[CassandraStore] = []

    async def open_store(
        clock: ManualClock | WallClock | None = None,
        access: Access = keyspace,
        log: Log = lambda *_, **__: None,
    ) -> CassandraStore:
        stores.append(
            await CassandraStore.open(
                access,
                system_clock=clock or WallClock(),
                retention_ms=RETENTION_MAX_MS,
                cursor_key=b"k" * 32,
                node_id=NODE,
                lag_ms=LAG_MS,
                log=log,
            )
        )
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


async def holds(store: MailboxStore, seqs: set[int], log: LogId = LOG) -> bool:
    return set(await contents(store, log)) == seqs


@on_cassandra
async def test_what_one_process_stores_others_show(opener: Opener) -> None:
    first, second = await opener(), await opener()
    assert await contents(second) == {}
    for seq in range(5):
        await put(first if seq % 2 else second, blob(first, seq))
    for store in (first, second):
        await eventually(lambda store=store: holds(store, set(range(5))))  # type: ignore[misc]
        assert [r.log for r in await store.topic(Namespace.LOGS, Topic("topic"))] == [LOG]
    await put(first, blob(first, 0, log=log_of("new")))

    async def lists_both() -> bool:
        return len(await second.topic(Namespace.LOGS, Topic("topic"))) == 2

    await eventually(lists_both)
    assert await put_one(second, blob(second, 0, b"other", log=log_of("new"))) is Outcome.CONFLICT
    assert first.epoch == second.epoch


@on_cassandra
async def test_a_waiter_is_woken_by_what_another_process_stores(opener: Opener) -> None:
    first, second = await opener(), await opener()
    waiting = asyncio.ensure_future(second.wait_beyond(second.change))
    await a_while(2 * LAG_MS / 1_000)
    assert not waiting.done()
    await put(first, blob(first, 0))
    async with asyncio.timeout(5):
        await waiting


@on_cassandra
@pytest.mark.parametrize("is_other", [False, True], ids=["the same process", "another process"])
async def test_who_waits_is_woken_once_news_can_be_read(opener: Opener, is_other: bool) -> None:
    """A round has its positions, and the feed tells of it, before its rows are there. A page of
    that moment lacks them, and nobody may be left waiting for the next change."""
    writer = await opener()
    reader = await opener() if is_other else writer
    write_row = writer._writer._write_row
    is_told, may_write = asyncio.Event(), asyncio.Event()

    async def held_up(key: bytes, row: Row) -> None:
        is_told.set()
        await may_write.wait()
        await write_row(key, row)  # type: ignore[arg-type]

    writer._writer._write_row = held_up  # type: ignore[method-assign]
    before = reader.change
    storing = asyncio.ensure_future(put(writer, blob(writer, 0)))
    await is_told.wait()
    if is_other:
        await reader.wait_beyond(before)
    page = await reader.feed(None, logs_max=9)
    assert not page.records
    may_write.set()
    await storing
    async with asyncio.timeout(5):
        while not page.records:
            await reader.wait_beyond(page.view)
            page = await reader.feed(page.cursor, logs_max=9)
    assert [record.held for record in page.records] == [SeqRanges.of(0, 1)]


@on_cassandra
async def test_a_peer_with_a_cursor_misses_nothing(opener: Opener) -> None:
    """Three processes deposit to the same logs at once; a peer asks now one, now the other."""
    stores = [await opener() for _ in range(3)]
    logs = [log_of(f"log {at}") for at in range(4)]
    shown: dict[LogId, SeqRanges] = {log: SeqRanges() for log in logs}
    chance = random.Random(1)
    cursor: bytes | None = None

    async def deposit(process: int) -> None:
        for number in range(30):
            log = chance.choice(logs)
            new = blob(stores[process], 3 * number + process, log=log)
            assert await put_one(stores[process], new) is Outcome.STORED
            stored[log].add(new.seq)

    async def follow() -> None:
        nonlocal cursor
        page = await chance.choice(stores).feed(cursor, logs_max=chance.randrange(1, 4))
        cursor = page.cursor
        for record in page.records:
            shown[record.log] |= record.held

    stored: dict[LogId, set[int]] = {log: set() for log in logs}
    depositing = asyncio.gather(*(deposit(at) for at in range(3)))
    while not depositing.done():
        await follow()
    await depositing

    async def has_all() -> bool:
        await follow()
        return all(set(shown[log].numbers()) == stored[log] for log in logs)

    await eventually(has_all)

    # And the cursor comes to rest: after the lag nothing is shown again.
    async def is_quiet() -> bool:
        nonlocal cursor
        records, cursor = await whole_feed(stores[0], cursor)
        return not records

    await eventually(is_quiet)
    for log in logs:
        for store in stores:
            assert await holds(store, stored[log], log)


@on_cassandra
async def test_racing_processes_agree_on_the_first(opener: Opener) -> None:
    first, second = await opener(), await opener()
    for seq in range(20):
        await asyncio.gather(
            put_one(first, blob(first, seq, b"one")), put_one(second, blob(second, seq, b"two"))
        )
    await a_while(LAG_MS / 1_000)
    assert await contents(first) == await contents(second)
    assert len(await contents(await opener())) == 20


@on_cassandra
async def test_a_round_that_took_too_long_is_stamped_anew(opener: Opener) -> None:
    """As a process that was stopped between stamping and writing: the row must not be too old."""
    slow, other = await opener(), await opener()
    await put(other, blob(other, 0))
    write_row = slow._writer._write_row
    delays = iter([2 * LAG_MS / 1_000, 0, 0, 0])

    async def late(key: bytes, row: Row) -> None:
        await a_while(next(delays))
        await write_row(key, row)  # type: ignore[arg-type]

    slow._writer._write_row = late  # type: ignore[method-assign]
    storing = asyncio.ensure_future(put(slow, blob(slow, 1)))
    cursor = None
    while not storing.done():
        # Meanwhile others write the log whole, dropping what is older than the lag.
        _, cursor = await whole_feed(other, cursor)
        await put(other, blob(other, 2), blob(other, 3, blob_class=VERIFIED))
        await a_while(0.05)
    assert await storing == (Outcome.STORED,)
    found, _ = await whole_feed(other, cursor)
    assert [r.held for r in found] == [SeqRanges.of(0, 4)]
    await eventually(lambda: holds(other, {0, 1, 2, 3}))


@on_cassandra
async def test_who_did_not_look_drops_nothing_that_others_wrote(opener: Opener) -> None:
    """A whole row stands for all that is older than the lag, and drops it: also what was written
    while this process was stopped, and it knows nothing of."""
    slow, other = await opener(), await opener()

    async def blind() -> None:
        raise StoreFailed("the test says so")

    slow._following.look = blind  # type: ignore[method-assign]
    await put(slow, blob(slow, 0))
    await put(other, blob(other, 1))
    await a_while(1.5 * LAG_MS / 1_000)
    assert await put_one(slow, blob(slow, 0, blob_class=VERIFIED)) is Outcome.REPLACED
    assert sorted(await contents(await opener())) == [0, 1]
    # The same between looking and writing.
    look = slow._writer._held
    delays = iter([1.5 * LAG_MS / 1_000, 0])

    async def late(blobs: Any, records: Any) -> Any:
        await a_while(next(delays))
        return await look(blobs, records)

    slow._writer._held = late  # type: ignore[method-assign]
    await put(other, blob(other, 2))
    with pytest.raises(StoreBusy):
        await put(slow, blob(slow, 1, blob_class=VERIFIED))
    assert await put_one(slow, blob(slow, 1, blob_class=VERIFIED)) is Outcome.REPLACED
    assert sorted(await contents(await opener())) == [0, 1, 2]


@on_cassandra
async def test_many_steps_are_folded_and_few_rows_are_left(
    opener: Opener, keyspace: Access
) -> None:
    store = await opener()
    for seq in range(150):
        await put(store, blob(store, seq))
    await a_while(LAG_MS / 1_000)
    for seq in range(150, 300):
        await put(store, blob(store, seq))
    connection = await Connection.open(keyspace, keyspace=keyspace.address.keyspace)
    try:
        read = await connection.prepare("SELECT count(*) FROM ks.seen", idempotent=True)
        ((count,),) = await connection.execute(read)
    finally:
        await connection.close()
    assert count < 250
    assert len(await contents(await opener())) == 300


@on_cassandra
async def test_a_clock_that_is_not_trusted_stores_nothing(opener: Opener, keyspace: Access) -> None:
    with pytest.raises(StoreFailed, match="not synchronised"):
        await opener(ManualClock(synchronised=False))
    store = await opener()
    await put(store, blob(store, 0))
    behind = ManualClock(wall_ms=store.now_ms() - 3 * LAG_MS)
    with pytest.raises(StoreFailed, match="after now"):
        await opener(behind)


@on_cassandra
async def test_a_list_of_many_logs_is_a_tree_of_small_partitions(
    keyspace: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FULL_LOGS", 20)
    monkeypatch.setattr(listing, "COUNT_EVERY", 4)
    connection = await Connection.open(keyspace, keyspace=keyspace.address.keyspace)
    try:
        statements = await Statements.prepare(connection)
        lists = [Listing(connection, statements) for _ in range(2)]
        logs = [LogId(Namespace.LOGS, Topic(f"{at % 3}"), Author(f"{at}")) for at in range(300)]
        for at, log in enumerate(logs):
            await lists[at % 2].add(log, log.key)
        await lists[0].add(logs[7], logs[7].key)
        ordered = sorted(logs, key=lambda log: log.key)
        assert [log async for log in lists[1].logs(ALL)] == ordered
        after = ordered[100].key
        assert [log async for log in lists[0].logs(ALL, after)] == ordered[101:]
        owner = listing.owner_of(Namespace.LOGS, Topic("1"))
        of_topic = [log async for log in lists[0].logs(owner)]
        assert of_topic == [log for log in ordered if log.topic == "1"]
        read = await connection.prepare(
            "SELECT owner, path, count(log) FROM ks.listing GROUP BY owner, path", idempotent=True
        )
        counts = [count for _, _, count in await connection.execute(read)]
        assert len(counts) > 15
        assert max(counts) <= 20 + 2 * 4
    finally:
        await connection.close()


@on_cassandra
async def test_what_is_not_as_it_should_be_is_told(keyspace: Access, tmp_path: Path) -> None:
    def opening(access: Access) -> Awaitable[CassandraStore]:
        return CassandraStore.open(
            access,
            system_clock=WallClock(),
            retention_ms=RETENTION_MAX_MS,
            cursor_key=b"k" * 32,
            node_id=NODE,
        )

    address = keyspace.address
    with pytest.raises(StoreUnprepared, match="not there or has another schema"):
        await opening(replace(keyspace, address=replace(address, keyspace="nobody")))
    (tmp_path / "password").write_text("wrong")
    wrong = replace(keyspace, password_file=tmp_path / "password")
    with pytest.raises(StoreRefused, match="refuses the user or password"):
        await opening(wrong)
    with pytest.raises(StoreRefused, match="requires authentication"):
        await opening(replace(keyspace, user=None, password_file=None))
    # What one server says tells more than that another one is not there.
    gone = ("127.0.0.1", 1)
    with pytest.raises(StoreRefused):
        await opening(replace(wrong, address=replace(address, contacts=(gone, *address.contacts))))
    with pytest.raises(InvalidSetting, match="cannot read"):
        await opening(replace(keyspace, password_file=tmp_path / "none"))
    with pytest.raises(StoreFailed, match="does not answer"):
        await opening(replace(keyspace, address=replace(address, contacts=(gone,))))
    nameless = (("nobody.invalid", 9042),)
    with pytest.raises(StoreFailed, match="none of Cassandra's servers has an address"):
        await opening(replace(keyspace, address=replace(address, contacts=nameless)))
    with pytest.raises(StoreFailed, match="the data centre that cassandra_datacenter names"):
        await opening(replace(keyspace, datacenter="another"))
    connection = await Connection.open(keyspace, keyspace=address.keyspace)
    try:
        for version, fault in (("99", StoreForeign), ("0", StoreUnprepared)):
            await connection.define(
                f"INSERT INTO ks.mailbox (name, value) VALUES ('schema', textAsBlob('{version}'))"
            )
            with pytest.raises(fault, match=f"schema {version}"):
                await opening(keyspace)
        await create_tables(connection)
    finally:
        await connection.close()
    await (await opening(keyspace)).close()


@on_cassandra
async def test_a_keyspace_may_change_under_a_process(opener: Opener, keyspace: Access) -> None:
    store = await opener()
    await put(store, blob(store, 0))
    counted = await store.statistics()
    connection = await Connection.open(keyspace, keyspace=keyspace.address.keyspace)

    async def in_trouble() -> bool:
        return store.trouble is not None

    async def well() -> bool:
        return store.trouble is None

    try:
        await connection.define("DROP TABLE ks.seen")
        with pytest.raises(StoreFailed):
            await put(store, blob(store, 1))
        await eventually(in_trouble)
        assert "lacks seen" in str(store.trouble)
        assert (await store.statistics()).logs == counted.logs
        await create_tables(connection)
        await eventually(well)
        # What it remembered of the old table would have it say "known", and keep nothing.
        assert await put_one(store, blob(store, 0)) is Outcome.STORED
        for version in ("99", "1"):
            await connection.define(
                f"INSERT INTO ks.mailbox (name, value) VALUES ('schema', textAsBlob('{version}'))"
            )
            await eventually(well if version == "1" else in_trouble)
        await connection.define("DELETE FROM ks.mailbox WHERE name = 'node'")
        async with asyncio.timeout(10):
            await store.lost
        with pytest.raises(StoreFailed, match="belongs to nobody"):
            await put(store, blob(store, 1))
        other = await opener()
        await connection.define("DELETE FROM ks.mailbox WHERE name = 'epoch'")
        async with asyncio.timeout(10):
            assert "another epoch" in (await other.lost).message
    finally:
        await create_tables(connection)
        await connection.close()


@on_cassandra
async def test_a_password_may_change_under_a_process(
    opener: Opener,
    keyspace: Access,
    cassandra_cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is connected stays so; what connects again does so by what the file has then."""
    monkeypatch.setattr(following, "LOGIN_INTERVAL_S", 0.2)
    password = tmp_path / "password"
    told: list[str] = []
    async with cassandra.role(keyspace, password) as access:
        store = await opener(access=access, log=lambda event, **_: told.append(event))
        await cassandra.define(
            keyspace,
            f"ALTER ROLE {access.user} WITH PASSWORD = 'second'",
            # This server remembers passwords for an hour, others for 2 s.
            f"DELETE FROM system_views.credentials_cache_keys WHERE role = '{access.user}'",
        )
        await eventually(lambda: told == ["login.refused"])
        await put(store, blob(store, 0))
        assert store.trouble is None
        cassandra_cluster.kill(1)
        cassandra_cluster.start(1)
        await eventually(lambda: isinstance(store.trouble, StoreRefused), within_s=60)
        with pytest.raises(StoreRefused, match="refuses the user or password"):
            await put(store, blob(store, 1))
        password.unlink()
        await eventually(lambda: "cannot read" in str(store.trouble), within_s=60)
        password.write_text("second")
        await eventually(lambda: store.trouble is None, within_s=60)
        assert await put_one(store, blob(store, 1)) is Outcome.STORED
        await eventually(lambda: "login.accepted" in told)
        # Also while nobody answered, nobody let it in.
        assert [event for event in told if event.startswith("login")] == [
            "login.refused",
            "login.accepted",
        ]


@on_cassandra
async def test_a_server_has_to_prove_itself_where_an_authority_is_named(
    keyspace: Access, cassandra_cluster: Cluster, tmp_path: Path
) -> None:
    authority = cassandra_cluster.folder / "node-1" / "ca.pem"
    secure = replace(keyspace, ca_file=authority)
    connection = await Connection.open(secure, keyspace="system_views")
    try:
        read = await connection.prepare("SELECT ssl_protocol FROM ks.clients", idempotent=True)
        protocols = [protocol for (protocol,) in await connection.execute(read)]
        assert any(protocol and protocol.startswith("TLSv1.") for protocol in protocols)
    finally:
        await connection.close()
    other, own = tmp_path / "ca.pem", tmp_path / "server.pem"
    certify("127.0.0.1", authority=other, server=own)
    with pytest.raises(StoreFailed, match="no TLS with Cassandra"):
        await Connection.open(replace(keyspace, ca_file=other), keyspace=None)
    with pytest.raises(InvalidSetting, match="cannot use"):
        await Connection.open(replace(keyspace, ca_file=tmp_path / "none"), keyspace=None)


# Leases, on the real server.


class Office:
    """A process that does something whenever it has the lease, and for how long it did."""

    def __init__(self, leases: Leases, name: str = "office") -> None:
        self.is_held = False
        self.terms = 0
        self._leases = leases
        self._name = name
        self._task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        while True:
            async with self._leases.lease(self._name) as over:
                self.is_held, self.terms = True, self.terms + 1
                try:
                    await over.wait()
                finally:
                    self.is_held = False

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@on_cassandra
async def test_of_several_processes_one_has_a_lease_and_another_when_it_lets_go(
    opener: Opener,
) -> None:
    offices = [Office((await opener()).leases) for _ in range(3)]
    for left in (3, 2, 1):
        await eventually(lambda: any(office.is_held for office in offices))
        assert sum(office.is_held for office in offices) == 1
        assert len(offices) == left
        (holder,) = (office for office in offices if office.is_held)
        await holder.leave()
        offices.remove(holder)


@on_cassandra
async def test_leases_of_other_names_are_nobodys_concern(opener: Opener) -> None:
    leases = (await opener()).leases
    one, other = Office(leases, "one"), Office(leases, "other")
    await eventually(lambda: one.is_held and other.is_held)
    await one.leave()
    await other.leave()


@on_cassandra
async def test_a_lease_that_cannot_be_renewed_is_over_before_another_has_it(
    opener: Opener,
) -> None:
    """As a process whose servers do not answer it: it stops by its own clock."""
    cut, other = await opener(), await opener()
    first = Office(cut.leases)
    await eventually(lambda: first.is_held)
    second = Office(other.leases)
    execute, is_mended = cut._parts.connection.execute, asyncio.Event()

    async def held_up(statement: Any, *values: Any) -> Any:
        await is_mended.wait()
        return await execute(statement, *values)

    cut._parts.connection.execute = held_up  # type: ignore[method-assign]
    held: list[tuple[bool, bool]] = []

    async def has_passed() -> bool:
        held.append((first.is_held, second.is_held))
        return second.is_held

    await eventually(has_passed)
    assert (True, True) not in held
    assert (False, False) in held, "it stopped, and only then another one began"
    is_mended.set()
    await second.leave()
    await eventually(lambda: first.terms == 2)
    await first.leave()


@on_cassandra
async def test_a_lease_that_another_process_has_is_lost_at_the_next_renewal(
    opener: Opener, keyspace: Access
) -> None:
    """As a process that was stopped for longer than its lease lasted."""
    office = Office((await opener()).leases)
    await eventually(lambda: office.is_held)
    connection = await Connection.open(keyspace, keyspace=keyspace.address.keyspace)
    try:
        taken = "INSERT INTO ks.mailbox (name, value) VALUES ('lease office', 0x00) USING TTL 3"
        await connection.define(taken)
        await eventually(lambda: not office.is_held)
        await eventually(lambda: office.terms == 2)
    finally:
        await connection.close()
        await office.leave()
