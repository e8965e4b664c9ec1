"""Ready, or not and why; what is only a concern does not count."""

from __future__ import annotations

import pytest

from meshbox.admin.readiness import READY_SCHEMA, readiness
from meshbox.core.errors import StoreFailed, StoreUnprepared
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.admin.parts import sources, unopened
from tests.clocks import ManualClock
from tests.contract.material import blob, put
from tests.mailbox.stores import opened_store


async def test_a_node_that_runs_is_ready(store: EmbeddedStore) -> None:
    document = readiness(sources(store))
    assert (document.schema, document.ready, document.reasons) == (READY_SCHEMA, True, [])
    assert [(c.code, c.message) for c in document.concerns] == [("warning", "mind the gap")]


async def test_one_that_stops_is_not(store: EmbeddedStore) -> None:
    document = readiness(sources(store, is_stopping=True))
    assert not document.ready
    assert [reason.code for reason in document.reasons] == ["node.stopping"]


def test_one_whose_store_is_not_open_is_not() -> None:
    document = readiness(unopened())
    assert [(reason.code, reason.message) for reason in document.reasons] == [
        ("store.unprepared", f"no such keyspace ({StoreUnprepared.advice})")
    ]
    assert [concern.code for concern in document.concerns] == ["warning"]
    codes = [reason.code for reason in readiness(unopened(is_stopping=True)).reasons]
    assert codes == ["node.stopping", "store.unprepared"]


async def test_a_clock_that_nobody_set_is_a_concern(
    store: EmbeddedStore, clock: ManualClock
) -> None:
    clock.synchronised = False
    document = readiness(sources(store, clock=clock))
    assert document.ready
    assert [concern.code for concern in document.concerns] == ["clock.unsynchronised", "warning"]


async def test_a_failed_store_is_a_reason() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store:
        key_value.fail_syncs(OSError("the disk is gone"))
        with pytest.raises(StoreFailed):
            await put(store, blob(store, 0))
        document = readiness(sources(store, is_stopping=True))
    assert not document.ready
    assert [reason.code for reason in document.reasons] == ["node.stopping", "store.failed"]
    assert document.reasons[1].message.endswith(f"({StoreFailed.advice})")
