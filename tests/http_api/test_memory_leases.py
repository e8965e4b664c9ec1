"""Leases are bounded, in turn, and always given back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import NodeBusy
from meshbox.http_api.memory_leases import Lease, MemoryLeases


async def test_what_is_free_is_lent_at_once_and_comes_back() -> None:
    leases = MemoryLeases(bytes_max=10)
    with Lease(leases) as lease:
        await lease.take(7, patience_s=0)
        assert leases.has_room(3)
        assert not leases.has_room(4)
    assert leases.has_room(10)


async def test_a_lease_comes_back_when_its_block_fails() -> None:
    leases = MemoryLeases(bytes_max=10)

    async def fail() -> None:
        with Lease(leases) as lease:
            await lease.take(10, patience_s=0)
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        await fail()
    assert leases.has_room(10)


async def test_who_waits_too_long_is_told_so() -> None:
    leases = MemoryLeases(bytes_max=10)
    await leases.take(10, patience_s=0)
    with pytest.raises(NodeBusy):
        await leases.take(1, patience_s=0.001)
    leases.give_back(10)
    assert leases.has_room(10)


async def test_more_than_there_is_takes_all() -> None:
    leases = MemoryLeases(bytes_max=10)
    assert await leases.take(99, patience_s=0) == 10


async def waiting(leases: MemoryLeases, *sizes: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(leases.take(size, patience_s=60)) for size in sizes]
    await asyncio.sleep(0)
    return tasks


def done(tasks: list[asyncio.Task[int]]) -> list[bool]:
    return [task.done() for task in tasks]


async def test_small_ones_do_not_pass_a_large_one() -> None:
    leases = MemoryLeases(bytes_max=10)
    await leases.take(8, patience_s=0)
    tasks = await waiting(leases, 9, 1)
    assert not leases.has_room(1)
    leases.give_back(8)
    await asyncio.gather(*tasks)


async def test_who_gives_up_makes_way_for_those_behind() -> None:
    leases = MemoryLeases(bytes_max=10)
    await leases.take(8, patience_s=0)
    tasks = await waiting(leases, 9, 2)
    tasks[0].cancel()
    assert await tasks[1] == 2
    leases.give_back(10)
    assert leases.has_room(10)


async def test_who_gives_up_at_the_moment_of_its_turn_gives_it_back() -> None:
    leases = MemoryLeases(bytes_max=10)
    await leases.take(10, patience_s=0)
    (task,) = await waiting(leases, 10)
    leases.give_back(10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert leases.has_room(10)


async def test_who_gave_up_before_its_turn_is_passed_over() -> None:
    leases = MemoryLeases(bytes_max=10)
    await leases.take(10, patience_s=0)
    tasks = await waiting(leases, 10, 10)
    tasks[0].cancel()
    leases.give_back(10)
    assert await tasks[1] == 10


@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=30))
def test_what_is_lent_never_exceeds_what_there_is(requests: list[tuple[int, bool]]) -> None:
    async def run() -> None:
        leases = MemoryLeases(bytes_max=10)
        lent = 0

        async def work(size: int, gives_up: bool) -> None:
            nonlocal lent
            with Lease(leases) as lease:
                await lease.take(size, patience_s=0 if gives_up else 60)
                lent += min(size, 10)
                assert lent <= 10
                await asyncio.sleep(0)
                lent -= min(size, 10)

        results = await asyncio.gather(
            *(work(*request) for request in requests), return_exceptions=True
        )
        assert {type(result) for result in results} <= {type(None), NodeBusy}
        assert leases.has_room(10)

    asyncio.run(run())
