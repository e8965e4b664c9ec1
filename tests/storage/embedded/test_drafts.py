"""Logs that several parts of one batch change: each sees what the ones before it did."""

from __future__ import annotations

import pytest

from meshbox.core.errors import StoreDamaged
from meshbox.storage.embedded.changes import Changes, Remove
from meshbox.storage.embedded.drafts import Drafts
from meshbox.storage.embedded.schema import due_key, feed_key
from meshbox.storage.keyvalue import Family
from tests.contract.harness import MemoryHarness
from tests.contract.material import LOG, blob, log_of, put
from tests.storage.embedded.recount import assert_exact


async def test_a_log_that_is_changed_twice_is_counted_and_leaves_the_feed_once() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, *(blob(store, seq) for seq in range(4)), blob(store, 0, log=log_of("b")))
    database = store._database
    changes = Changes(database.counts)
    first = Drafts(database, changes, [LOG.key, LOG.key])
    (run,) = first.record(LOG.key).runs
    first[LOG.key].evict(run, count=1, size_bytes=6)
    first.finish([LOG.key, LOG.key])
    assert changes.ops == [], "it holds something yet"

    second = Drafts(database, changes, [LOG.key])
    (rest,) = second.record(LOG.key).runs
    assert (rest.first, rest.end) == (1, 4)
    second[LOG.key].evict(rest, count=3, size_bytes=18)
    second.finish([LOG.key])
    record = changes.records[LOG.key]
    assert record.change == first.record(LOG.key).change, "what went is no news"
    assert changes.ops.count(Remove(Family.FEED, feed_key(record.change))) == 1

    third = Drafts(database, changes, [LOG.key])
    third[LOG.key].expire_evicted(record.evicted)
    third.finish([LOG.key])
    changes.ops.append(Remove(Family.DUE, due_key(run.bucket, LOG.key)))
    database.apply(changes)
    assert_exact(store)
    assert (database.counts.logs, database.counts.blobs) == (1, 1)
    await harness.close()


async def test_a_draft_that_is_not_finished_changes_nothing() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    await put(store, blob(store, 0))
    changes = Changes(store._database.counts)
    drafts = Drafts(store._database, changes, [LOG.key])
    drafts[LOG.key].expire(2**31)
    assert changes == Changes(store._database.counts)
    await harness.close()


async def test_a_log_that_is_not_there_is_damage() -> None:
    harness = MemoryHarness()
    store = await harness.open()
    with pytest.raises(StoreDamaged):
        Drafts(store._database, Changes(store._database.counts), [LOG.key])
    await harness.close()
