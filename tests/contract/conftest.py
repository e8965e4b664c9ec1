"""The engines that the contract suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import cassandra
from tests.contract.harness import (
    CassandraHarness,
    EmbeddedHarness,
    FolderHarness,
    Harness,
    LocalHarness,
    MemoryHarness,
    PowerHarness,
    RocksHarness,
)


def made(engine: str, folder: Path) -> EmbeddedHarness:
    return MemoryHarness() if engine == "memory" else RocksHarness(folder)


CASSANDRA = pytest.param("cassandra", marks=pytest.mark.xdist_group("cassandra"))


@pytest.fixture(params=["memory", "rocksdb", CASSANDRA])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Every engine."""
    made_harness: Harness
    if request.param == "cassandra":
        access = request.getfixturevalue("cassandra_keyspace")
        await cassandra.empty(access)
        made_harness = CassandraHarness(access)
    else:
        made_harness = made(request.param, tmp_path)
    yield made_harness
    await made_harness.close()


@pytest.fixture(params=["memory", "rocksdb"])
async def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FolderHarness]:
    """Every engine whose database lies in a folder of this machine, and keeps to an allocation."""
    made_harness = made(request.param, tmp_path)
    yield made_harness
    await made_harness.close()


@pytest.fixture(params=[CASSANDRA])
async def unbounded(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """Every engine that has no allocation, since its servers' operators see to room (ADR 30)."""
    access = request.getfixturevalue("cassandra_keyspace")
    await cassandra.empty(access)
    made_harness = CassandraHarness(access)
    yield made_harness
    await made_harness.close()


@pytest.fixture(params=["memory", "rocksdb"])
async def local(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalHarness]:
    """Every engine whose disk can be held and can fail."""
    made_harness = made(request.param, tmp_path)
    yield made_harness
    await made_harness.close()


@pytest.fixture
async def power() -> AsyncIterator[PowerHarness]:
    """The engine whose power can be cut."""
    made_harness = MemoryHarness()
    yield made_harness
    await made_harness.close()
