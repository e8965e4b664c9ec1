"""A store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.mailbox.stores import opened_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[EmbeddedStore]:
    async with opened_store(MemoryKeyValue(), clock=clock) as store:
        yield store
