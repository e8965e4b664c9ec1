"""Opens the store that the settings name."""

from __future__ import annotations

from meshbox.core.clock import SystemClock
from meshbox.node.cassandra_access import cassandra_access, cassandra_driver
from meshbox.node.opening import Opened, open_folder
from meshbox.node.settings import Settings
from meshbox.storage.openings import Log


async def open_store(settings: Settings, *, system_clock: SystemClock, log: Log) -> Opened:
    """The identity and the open store, which the caller closes. Raises what `open_folder` and
    `open_shared` do, and `InvalidSetting`."""
    if settings.store is None:
        return await open_folder(
            settings.data_dir,
            system_clock=system_clock,
            retention_ms=settings.retention,
            storage_limit_bytes=settings.storage_limit,
            log=log,
        )
    with cassandra_driver():
        from meshbox.node.shared_store import open_shared
    return await open_shared(
        settings.data_dir,
        cassandra_access(settings),
        system_clock=system_clock,
        retention_ms=settings.retention,
        trust_clock=settings.cassandra_trust_clock,
        log=log,
    )
