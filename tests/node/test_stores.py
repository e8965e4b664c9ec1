"""The store that the settings name is the one that is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.core.errors import StoreFailed
from meshbox.mailbox.system_clock import OperatingSystemClock
from meshbox.node.data_folder import held
from meshbox.node.settings import resolve
from meshbox.node.stores import open_store
from meshbox.storage.reopening import ReopeningStore


def ignored(_: str, **__: object) -> None:
    pass


async def test_nothing_named_is_the_rocksdb_of_the_data_folder(tmp_path: Path) -> None:
    options = {"data_dir": str(tmp_path), "retention": "2d"}
    settings = resolve(options=options, environment={}).settings
    with held(tmp_path):
        opened = await open_store(settings, system_clock=OperatingSystemClock(), log=ignored)
        assert isinstance(opened.store, ReopeningStore)
        assert opened.store.retention.retention_ms == settings.retention
        await opened.store.close()


async def test_a_cassandra_that_does_not_answer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("cassandra", reason="needs meshbox[cassandra]")
    options = {"data_dir": str(tmp_path), "store": "cassandra://127.0.0.1:1/camp"}
    settings = resolve(options=options, environment={}).settings
    with held(tmp_path), pytest.raises(StoreFailed, match=r"127\.0\.0\.1"):
        await open_store(settings, system_clock=OperatingSystemClock(), log=ignored)
