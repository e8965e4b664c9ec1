"""A log's record is bounded, and squatting on it never refuses the author's own messages."""

from __future__ import annotations

import asyncio

import pytest

from meshbox.core.errors import TooManyRanges
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import MailboxStore, NewBlob, Outcome
from tests.contract.harness import Harness
from tests.contract.material import (
    LOG,
    VERIFIED,
    blob,
    contents,
    log_of,
    put,
    put_one,
    record,
    turns,
    whole_feed,
)

TOP = 2 * LOG_RANGES_MAX - 2
"""The highest of `LOG_RANGES_MAX` even numbers from 0."""


def squatted(store: MailboxStore, *, count: int = LOG_RANGES_MAX) -> list[NewBlob]:
    """As many blobs with gaps between as a record can bear."""
    return [blob(store, 2 * at, b"squat") for at in range(count)]


async def test_a_whole_deposit_that_would_be_the_highest_is_refused_wholly(
    harness: Harness,
) -> None:
    store = await harness.open()
    await put(store, *squatted(store))
    before, statistics = await record(store), await store.statistics()
    with pytest.raises(TooManyRanges):
        await put(store, blob(store, 1), blob(store, TOP + 2), blob(store, TOP + 4))
    assert await record(store) == before
    assert (await store.statistics())._replace(used_bytes=0) == statistics._replace(used_bytes=0)
    assert 1 not in await contents(store)


async def test_a_deposit_that_need_not_be_whole_is_refused_where_it_has_no_place(
    harness: Harness,
) -> None:
    store = await harness.open()
    await put(store, *squatted(store))
    outcomes = await put(
        store, blob(store, TOP + 3), blob(store, TOP + 1), blob(store, 0, b"squat"), whole=False
    )
    assert outcomes == (Outcome.REFUSED, Outcome.STORED, Outcome.KNOWN)
    assert TOP + 3 not in await contents(store)
    assert TOP + 1 in await contents(store)


async def test_the_bound_is_tested_on_the_whole_request(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *squatted(store))
    # The second closes a gap, so there is a place for the first.
    assert await put(store, blob(store, TOP + 2), blob(store, 1)) == (
        Outcome.STORED,
        Outcome.STORED,
    )


async def test_a_lower_blob_pushes_out_the_highest(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *squatted(store, count=LOG_RANGES_MAX // 2))
    high = 10**6
    await put(store, *(blob(store, high + 2 * at) for at in range(LOG_RANGES_MAX // 2)))
    top = high + LOG_RANGES_MAX - 2
    assert await put_one(store, blob(store, LOG_RANGES_MAX + 2)) is Outcome.STORED
    known = await record(store)
    assert LOG_RANGES_MAX + 2 in known.held
    assert top not in known.seen
    assert top - 2 in known.held
    assert top not in await contents(store)
    assert (await store.statistics()).blobs == LOG_RANGES_MAX
    # What was pushed out was never seen, so with a place again it is stored again.
    assert await put_one(store, blob(store, 1)) is Outcome.STORED
    assert await put_one(store, blob(store, top, b"again")) is Outcome.STORED
    assert (await contents(store))[top] == b"again"


async def test_a_run_that_is_pushed_out_goes_wholly(harness: Harness) -> None:
    store = await harness.open()
    run = range(TOP + 100, TOP + 110)
    await put(store, *squatted(store, count=LOG_RANGES_MAX - 1), *(blob(store, s) for s in run))
    await put(store, blob(store, TOP + 2))
    assert not (await record(store)).held & SeqRanges.of(run.start, run.stop)
    statistics = await store.statistics()
    assert (statistics.blobs, statistics.bytes) == (
        LOG_RANGES_MAX,
        (LOG_RANGES_MAX - 1) * 5 + len(b"blob %d" % (TOP + 2)),
    )
    store = await harness.reopen()
    assert len(await contents(store)) == LOG_RANGES_MAX


async def test_a_stranger_cannot_push_out_what_is_verified(harness: Harness) -> None:
    store = await harness.open()
    signed = [blob(store, 10_000 + 2 * at, blob_class=VERIFIED) for at in range(10)]
    await put(store, *signed)
    await put(store, *squatted(store), whole=False)
    known = await record(store)
    assert known.held_as(VERIFIED).count == 10
    assert known.range_count == LOG_RANGES_MAX
    with pytest.raises(TooManyRanges):
        await put(store, blob(store, 5_001))
    # The author's own blob, above everything, pushes out the highest that is squatted.
    assert await put_one(store, blob(store, 20_000, blob_class=VERIFIED)) is Outcome.STORED
    assert (await record(store)).held_as(VERIFIED).count == 11


async def test_other_deposits_of_the_same_commit_are_not_affected(harness: Harness) -> None:
    store = await harness.open()
    await put(store, *squatted(store))
    other = log_of("other")
    tasks = [
        asyncio.create_task(put(store, *blobs, whole=whole))
        for blobs, whole in [
            ((blob(store, 5, b"x", log=other), blob(store, TOP + 2)), True),
            ((blob(store, 6, b"y", log=other),), True),
            ((blob(store, TOP + 4), blob(store, 7, b"z", log=other)), False),
            ((blob(store, 3),), True),
        ]
    ]
    await turns(1)
    refused, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(refused, TooManyRanges)
    assert others == [
        (Outcome.STORED,),
        (Outcome.REFUSED, Outcome.STORED),
        (Outcome.STORED,),
    ]
    assert await contents(store, other) == {6: b"y", 7: b"z"}
    assert {LOG, other} == {r.log for r in (await whole_feed(store))[0]}
