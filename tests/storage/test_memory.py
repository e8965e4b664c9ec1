"""The engine in memory: what is durable, what a power cut leaves, and the order of keys."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import StoreBusy, StoreFailed
from meshbox.storage.keyvalue import Family
from meshbox.storage.memory import MemoryKeyValue

keys = st.binary(max_size=3)
ops = st.one_of(
    st.tuples(st.just("put"), keys, keys),
    st.tuples(st.just("delete"), keys, keys),
    st.tuples(st.just("delete_range"), keys, keys),
)


def write(key_value: MemoryKeyValue, **values: bytes) -> None:
    batch = key_value.new_batch()
    for key, value in values.items():
        batch.put(Family.LOG, key.encode(), value)
    key_value.write(batch)


def content(key_value: MemoryKeyValue) -> dict[bytes, bytes]:
    return dict(key_value.scan(Family.LOG, b"", b"\xff" * 9, limit=1_000))


@given(st.lists(st.lists(ops, max_size=5), max_size=10), keys, keys, st.integers(0, 5))
def test_against_a_dictionary(
    batches: list[list[tuple[str, bytes, bytes]]], first: bytes, end: bytes, limit: int
) -> None:
    key_value, naive = MemoryKeyValue(), dict[bytes, bytes]()
    for changes in batches:
        batch = key_value.new_batch()
        for op, key, argument in changes:
            if op == "put":
                batch.put(Family.LOG, key, argument)
                naive[key] = argument
            elif op == "delete":
                batch.delete(Family.LOG, key)
                naive.pop(key, None)
            else:
                batch.delete_range(Family.LOG, key, argument)
                naive = {k: v for k, v in naive.items() if not key <= k < argument}
        key_value.write(batch)
    expected = [(k, naive[k]) for k in sorted(naive) if first <= k < end]
    assert key_value.scan(Family.LOG, first, end, limit=limit) == expected[:limit]
    assert key_value.get_many(Family.LOG, [first, end]) == [naive.get(first), naive.get(end)]
    assert key_value.disk_bytes() == sum(len(k) + len(v) for k, v in naive.items())
    assert key_value.scan(Family.FEED, b"", b"\xff", limit=9) == []


async def test_a_power_cut_keeps_what_was_synced_and_a_prefix_of_the_rest() -> None:
    key_value = MemoryKeyValue()
    write(key_value, a=b"1")
    await key_value.sync()
    write(key_value, a=b"2")
    write(key_value, b=b"1")
    for kept, expected in [
        (0, {b"a": b"1"}),
        (1, {b"a": b"2"}),
        (2, {b"a": b"2", b"b": b"1"}),
        (9, {b"a": b"2", b"b": b"1"}),
    ]:
        twin = key_value.copy()
        write(twin, a=b"2")
        write(twin, b=b"1")
        assert content(twin.power_cut(unsynced_kept=kept)) == expected
    after = key_value.power_cut()
    with pytest.raises(StoreFailed):
        content(key_value)
    write(after, c=b"3")
    assert content(after.copy()) == {b"a": b"1"}


async def test_a_sync_covers_what_was_written_before_it_and_no_more() -> None:
    key_value = MemoryKeyValue()
    key_value.hold_syncs()
    write(key_value, a=b"1")
    first = asyncio.create_task(key_value.sync())
    await asyncio.sleep(0)
    write(key_value, b=b"1")
    second = asyncio.create_task(key_value.sync())
    await asyncio.sleep(0)
    write(key_value, c=b"1")
    key_value.release_syncs()
    await first
    assert set(content(key_value.copy())) >= {b"a"}
    await second
    assert content(key_value.copy()) == {b"a": b"1", b"b": b"1"}
    assert key_value.syncs == 2


async def test_faults_that_a_test_asks_for() -> None:
    key_value = MemoryKeyValue()
    key_value.busy_writes(True)
    with pytest.raises(StoreBusy):
        write(key_value, a=b"1")
    key_value.busy_writes(False)
    write(key_value, a=b"1")
    key_value.fail_syncs(OSError("gone"))
    with pytest.raises(StoreFailed) as caught:
        await key_value.sync()
    assert isinstance(caught.value.__cause__, OSError)
    assert content(key_value.copy()) == {}
    key_value.fail_writes()
    with pytest.raises(StoreFailed):
        write(key_value, b=b"1")
    await key_value.close()
    with pytest.raises(StoreFailed):
        content(key_value)
