"""A mailbox over each real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshbox.core.filling import NothingFilling
from meshbox.mailbox.mailbox import Mailbox
from meshbox.storage.embedded.store import EmbeddedStore
from tests.clocks import ManualClock
from tests.mailbox.stores import ENGINES, NODE_KEY, new_key_value, opened_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=ENGINES)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[EmbeddedStore]:
    async with opened_store(new_key_value(request.param, tmp_path), clock=clock) as store:
        yield store


@pytest.fixture
def mailbox(store: EmbeddedStore) -> Mailbox:
    return Mailbox(store, node_key=NODE_KEY, tag_salt=b"salt", filling=NothingFilling())
