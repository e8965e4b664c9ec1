"""Short pauses, and a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.harness import MemoryHarness
from tests.sync.bridge.bridging import hasten


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


@pytest.fixture
async def harness() -> AsyncIterator[MemoryHarness]:
    made = MemoryHarness()
    yield made
    await made.close()
