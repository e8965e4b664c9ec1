"""An API with default settings over a store in memory, or over each real engine.

On uvloop, as a node runs it; what depends on how a loop treats sockets is tested on asyncio too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.http_api.serving import Service, serving
from tests.mailbox.stores import ENGINES, new_key_value, opened_store

_ON_BOTH_LOOPS = {
    *("test_body.py", "test_connection.py", "test_live_connections.py", "test_robustness.py"),
}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    del config
    if item.path.name in _ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def key_value() -> MemoryKeyValue:
    return MemoryKeyValue()


@pytest.fixture
async def store(key_value: MemoryKeyValue, clock: ManualClock) -> AsyncIterator[EmbeddedStore]:
    async with opened_store(key_value, clock=clock) as store:
        yield store


@pytest.fixture
async def service(store: EmbeddedStore) -> AsyncIterator[Service]:
    async with serving(store) as service:
        yield service


@pytest.fixture(params=ENGINES)
async def any_service(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Service]:
    async with (
        opened_store(new_key_value(request.param, tmp_path), clock=clock) as store,
        serving(store) as service,
    ):
        yield service
