"""A mailbox over real stores: what clients rely on, poll by poll."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import InvalidId, StoreFailed, TooLarge, TooManyRanges
from meshbox.core.filling import NothingFilling
from meshbox.core.ids import LogId, Namespace
from meshbox.core.limits import LOG_RANGES_MAX, MISSING_MAX, REQUEST_TOPICS_MAX
from meshbox.core.retention import BUCKET_MS, RETENTION_MAX_MS
from meshbox.mailbox.deposit import ClientBlob
from meshbox.mailbox.mailbox import FetchAnswer, Mailbox
from meshbox.mailbox.sweeping import sweep
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.keyvalue import Family
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.mailbox.asking import fetch
from tests.mailbox.stores import NODE_KEY, opened_store
from tests.waiting import eventually

ME = "192.168.1.5"

Logs = dict[str, dict[str, dict[int, bytes]]]


def blobs_in(answer: FetchAnswer) -> Logs:
    found: Logs = {topic: {} for topic in answer.topics}
    for blob in answer.blobs:
        assert blob.data is not None
        found[blob.log.topic].setdefault(blob.log.author, {})[blob.seq] = blob.data
    return found


def missing_in(answer: FetchAnswer) -> dict[tuple[str, str], list[int]]:
    return {(log.topic, log.author): list(seqs) for log, seqs in answer.missing.items()}


async def put(
    mailbox: Mailbox, *blobs: tuple[str, str, int, bytes]
) -> dict[tuple[str, str], int | None]:
    stored = await mailbox.deposit([ClientBlob(*blob) for blob in blobs], client=ME)
    return {(topic, author): watermark for (topic, author), watermark in stored.items()}


async def test_what_is_deposited_is_fetched(mailbox: Mailbox) -> None:
    assert await put(mailbox, ("t", "a", 0, b"zero"), ("t", "a", 1, b""), ("u", "a", 5, b"x")) == {
        ("t", "a"): 1,
        ("u", "a"): None,
    }
    answer = await fetch(mailbox, {"t": {}, "u": {}, "v": {}})
    assert blobs_in(answer) == {"t": {"a": {0: b"zero", 1: b""}}, "u": {"a": {5: b"x"}}, "v": {}}
    assert missing_in(answer) == {}
    assert not answer.more


async def test_a_watermark_is_echoed_when_nothing_changed_and_grows_over_a_filled_gap(
    mailbox: Mailbox,
) -> None:
    assert await put(mailbox, ("t", "a", 0, b"0")) == {("t", "a"): 0}
    assert await put(mailbox, ("t", "a", 0, b"0")) == {("t", "a"): 0}
    assert await put(mailbox, ("t", "a", 0, b"other")) == {("t", "a"): 0}
    assert await put(mailbox, ("t", "a", 2, b"2"), ("t", "a", 3, b"3")) == {("t", "a"): 0}
    assert await put(mailbox, ("t", "a", 1, b"1")) == {("t", "a"): 3}
    answer = await fetch(mailbox, {"t": {}})
    assert blobs_in(answer)["t"]["a"] == {0: b"0", 1: b"1", 2: b"2", 3: b"3"}


async def test_nothing_is_deposited_by_an_empty_request(mailbox: Mailbox) -> None:
    assert await put(mailbox) == {}


async def test_a_named_author_gets_what_is_above_its_height_and_others_all(
    mailbox: Mailbox,
) -> None:
    await put(mailbox, *(("t", author, seq, b"%d" % seq) for author in "ab" for seq in range(4)))
    answer = await fetch(mailbox, {"t": {"a": 1}})
    assert blobs_in(answer) == {
        "t": {"a": {2: b"2", 3: b"3"}, "b": {0: b"0", 1: b"1", 2: b"2", 3: b"3"}}
    }


async def test_missing_is_what_the_client_has_and_the_mailbox_never_saw(mailbox: Mailbox) -> None:
    await put(
        mailbox, ("t", "a", 0, b""), ("t", "a", 2, b""), ("t", "a", 9, b""), ("t", "b", 3, b"")
    )
    answer = await fetch(mailbox, {"t": {"a": 4, "b": 3, "c": 1, "d": 0}, "u": {"a": 0}})
    assert missing_in(answer) == {
        ("t", "a"): [1, 3, 4],
        ("t", "b"): [0, 1, 2],
        ("t", "c"): [0, 1],
        ("t", "d"): [0],
        ("u", "a"): [0],
    }


async def test_nothing_above_the_height_is_missing(mailbox: Mailbox) -> None:
    await put(mailbox, ("t", "a", 0, b""), ("t", "a", 5, b""))
    assert missing_in(await fetch(mailbox, {"t": {"a": 0}})) == {}


@pytest.mark.parametrize("height", [10**9, 2**63, 2**64 - 1])
async def test_a_great_height_is_answered_with_a_bounded_list(
    mailbox: Mailbox, height: int
) -> None:
    await put(mailbox, ("t", "a", 3, b""))
    answer = await fetch(mailbox, {"t": {"a": height}, "u": {"b": height}})
    listed = missing_in(answer)
    assert listed["t", "a"][:4] == [0, 1, 2, 4]
    assert set(listed) == {("t", "a"), ("u", "b")}
    assert max(map(len, listed.values())) <= MISSING_MAX


async def test_what_expired_is_neither_served_nor_missing_and_is_not_taken_again(
    mailbox: Mailbox, store: EmbeddedStore, clock: ManualClock
) -> None:
    await put(mailbox, ("t", "a", 0, b"0"), ("t", "a", 1, b"1"))
    clock.advance(RETENTION_MAX_MS)
    await put(mailbox, ("t", "a", 2, b"2"))
    for _ in range(2):
        answer = await fetch(mailbox, {"t": {}})
        assert blobs_in(answer) == {"t": {"a": {2: b"2"}}}
        assert missing_in(await fetch(mailbox, {"t": {"a": 2}})) == {}
        assert await put(mailbox, ("t", "a", 1, b"1")) == {("t", "a"): 2}
        swept = await sweep(store)
    assert swept.blobs == 0
    assert (await store.statistics()).blobs == 1


async def test_the_two_namespaces_do_not_meet(mailbox: Mailbox) -> None:
    await put(mailbox, ("t", "a", 0, b"blob"))
    await mailbox.deposit_message("t", b"message", client=ME)
    assert blobs_in(await fetch(mailbox, {"t": {}})) == {"t": {"a": {0: b"blob"}}}
    page = await mailbox.plan_messages(["t"])
    assert await mailbox.read_messages(page) == {"t": [b"message"]}
    messages = await fetch(mailbox, {"t": {}}, namespace=Namespace.MESSAGES)
    assert [blob.data for blob in messages.blobs] == [b"message"]


async def test_a_bad_blob_refuses_the_whole_request(mailbox: Mailbox, store: EmbeddedStore) -> None:
    with pytest.raises(InvalidId):
        await put(mailbox, ("t", "a", 0, b""), ("t", "b:c", 0, b""))
    assert (await store.statistics()).logs == 0


async def test_too_many_ranges_refuse_the_whole_request(
    mailbox: Mailbox, store: EmbeddedStore
) -> None:
    await put(mailbox, *(("t", "a", 2 * seq, b"") for seq in range(LOG_RANGES_MAX)))
    with pytest.raises(TooManyRanges):
        await put(mailbox, ("t", "b", 0, b""), ("t", "a", 10**6, b""))
    assert (await store.statistics()).logs == 1


async def test_bad_names_and_too_many_topics_are_refused(mailbox: Mailbox) -> None:
    bad: list[dict[str, dict[str, int]]] = [{"a:b": {}}, {"t": {"x\0": 0}}, {"t" * 129: {}}]
    for heights in bad:
        with pytest.raises(InvalidId):
            await fetch(mailbox, heights)
    with pytest.raises(TooLarge):
        await fetch(mailbox, {str(n): {} for n in range(REQUEST_TOPICS_MAX + 1)})


async def test_a_blob_larger_than_a_page_comes_alone(mailbox: Mailbox) -> None:
    await put(mailbox, ("t", "a", 0, b"x" * 5_000), ("t", "a", 1, b"y"))
    answer = await fetch(mailbox, {"t": {}}, bytes_max=10)
    assert blobs_in(answer) == {"t": {"a": {0: b"x" * 5_000}}}
    assert answer.more


async def poll(
    mailbox: Mailbox, held: Logs, *, topics: list[str], blobs_max: int, bytes_max: int
) -> FetchAnswer:
    """One poll of a client that sends its heights, and takes what comes."""
    heights = {t: {a: max(seqs) for a, seqs in held.get(t, {}).items()} for t in topics}
    answer = await fetch(mailbox, heights, blobs_max=blobs_max, bytes_max=bytes_max)
    lowest: dict[LogId, int] = {}
    for blob in answer.blobs:
        assert blob.data is not None
        assert blob.seq > lowest.get(blob.log, -1), "ascending within a log"
        lowest[blob.log] = blob.seq
        seqs = held.setdefault(blob.log.topic, {}).setdefault(blob.log.author, {})
        assert blob.seq > max(seqs, default=-1), "above the height that was sent"
        seqs[blob.seq] = blob.data
    return answer


blob_sets = st.sets(
    st.tuples(st.sampled_from("tu"), st.sampled_from("abcd"), st.integers(0, 9)), max_size=40
)


@given(blob_sets, st.integers(1, 6), st.integers(0, 60), st.integers(0, 30))
def test_any_sequence_of_polls_ends_with_everything_delivered(
    blobs: set[tuple[str, str, int]], blobs_max: int, bytes_max: int, spread: int
) -> None:
    data = {
        blob: b"%s%s%d" % (blob[0].encode(), blob[1].encode(), blob[2]) * (blob[2] % 5 * spread)
        for blob in blobs
    }

    async def run() -> None:
        async with opened_store(MemoryKeyValue()) as store:
            mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
            await put(mailbox, *((*blob, data[blob]) for blob in sorted(blobs)))
            held: Logs = {}
            for _ in range(len(blobs) + 1):
                answer = await poll(
                    mailbox, held, topics=["t", "u"], blobs_max=blobs_max, bytes_max=bytes_max
                )
                if not answer.more:
                    break
                assert answer.blobs, "every page that leaves something out has something"
            assert {
                (t, a, s): d for t in held for a in held[t] for s, d in held[t][a].items()
            } == data
            assert not (
                await poll(mailbox, held, topics=["t", "u"], blobs_max=1, bytes_max=1)
            ).blobs

    asyncio.run(run())


async def test_a_flooded_log_does_not_keep_another_waiting(mailbox: Mailbox) -> None:
    await put(mailbox, *(("t", "flood", seq, b"x" * 100) for seq in range(500)))
    await put(mailbox, *(("u", "calm", seq, b"y") for seq in range(10)))
    held: Logs = {}
    for _ in range(2):
        await poll(mailbox, held, topics=["t", "u"], blobs_max=10, bytes_max=10**6)
    assert Counter(len(seqs) for authors in held.values() for seqs in authors.values()) == {10: 2}


async def test_missing_is_told_with_a_page_that_is_full(mailbox: Mailbox) -> None:
    await put(mailbox, *(("t", "a", seq, b"") for seq in range(50)))
    answer = await fetch(mailbox, {"t": {"b": 3}, "u": {"c": 0}}, blobs_max=1)
    assert answer.more
    assert missing_in(answer) == {("t", "b"): [0, 1, 2, 3], ("u", "c"): [0]}


class Holding:
    """A `Filling` that holds back one log at one number."""

    def __init__(self, author: str, seq: int) -> None:
        self.author, self.seq = author, seq

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        if log.author != self.author or (above is not None and above >= self.seq):
            return None
        return self.seq


async def test_a_fetch_stops_below_what_is_being_filled(store: EmbeddedStore) -> None:
    holding = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=Holding("a", 1))
    await put(holding, ("t", "a", 0, b""), ("t", "a", 2, b""), ("t", "b", 2, b""))
    answer = await fetch(holding, {"t": {}})
    assert blobs_in(answer) == {"t": {"a": {0: b""}, "b": {2: b""}}}
    assert not answer.more, "asking again at once would bring nothing"
    assert blobs_in(await fetch(holding, {"t": {"a": 1, "b": 2}})) == {"t": {"a": {2: b""}}}


async def test_polls_and_deposits_at_once_lose_nothing(mailbox: Mailbox) -> None:
    """Many writers and a reader that polls meanwhile: it ends with all of it."""

    async def write(author: str) -> None:
        for seq in range(20):
            await put(mailbox, ("t", author, seq, b"%d" % seq))

    writers = asyncio.gather(*(write(f"a{n}") for n in range(10)))
    held: Logs = {}
    while not writers.done():
        await poll(mailbox, held, topics=["t"], blobs_max=7, bytes_max=10**6)
        await asyncio.sleep(0)
    await writers
    while (await poll(mailbox, held, topics=["t"], blobs_max=7, bytes_max=10**6)).blobs:
        pass
    assert held == {"t": {f"a{n}": {s: b"%d" % s for s in range(20)} for n in range(10)}}


async def test_nothing_is_acknowledged_or_shown_before_it_is_durable() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        syncs = key_value.syncs
        key_value.hold_syncs()
        storing = asyncio.create_task(put(mailbox, ("t", "a", 0, b"x")))
        await eventually(lambda: key_value.syncs != syncs)
        polling = asyncio.create_task(fetch(mailbox, {"t": {}}))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not storing.done()
        assert not polling.done()
        key_value.release_syncs()
        assert await storing == {("t", "a"): 0}
        assert blobs_in(await polling) == {"t": {"a": {0: b"x"}}}


async def test_a_disk_that_fails_acknowledges_nothing() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        key_value.fail_syncs(OSError("no space"))
        with pytest.raises(StoreFailed):
            await put(mailbox, ("t", "a", 0, b"x"))


class CountingKeyValue(MemoryKeyValue):
    """Counts how often the database is asked."""

    reads = 0

    def get_many(self, family: Family, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads += 1
        return super().get_many(family, keys)

    def scan(
        self, family: Family, first: bytes, end: bytes, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        self.reads += 1
        return super().scan(family, first, end, limit=limit)


async def test_an_idle_poll_asks_the_database_nothing(clock: ManualClock) -> None:
    key_value = CountingKeyValue()
    async with opened_store(key_value, clock=clock) as store:
        mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling())
        for bucket in range(3):
            await put(mailbox, *(("t", f"a{n}", bucket, b"x") for n in range(5)))
            clock.advance(BUCKET_MS)
        heights = {"t": {f"a{n}": 2 for n in range(5)}}
        await fetch(mailbox, heights)
        reads = key_value.reads
        answer = await fetch(mailbox, heights)
        assert (answer.blobs, answer.missing) == ((), {})
        assert key_value.reads == reads
        assert (await fetch(mailbox, {"t": {}})).blobs
        assert key_value.reads > reads, "what is counted is what reads"
