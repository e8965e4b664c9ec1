"""How the settings say that a Cassandra is used, and what it takes to use one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from meshbox.core.errors import InvalidSetting
from meshbox.node.settings import Settings
from meshbox.storage.cassandra.address import Access


def cassandra_access(settings: Settings) -> Access:
    """How the keyspace that `store` names is used; `InvalidSetting` when it names none."""
    if settings.store is None:
        raise InvalidSetting(
            "store is rocksdb, which needs no preparation",
            hint="--store cassandra://HOST/KEYSPACE names a Cassandra",
        )
    return Access(
        settings.store,
        settings.cassandra_datacenter,
        settings.cassandra_user,
        settings.cassandra_password_file,
        settings.cassandra_ca,
    )


@contextmanager
def cassandra_driver() -> Iterator[None]:
    """For what is imported within, and needs the driver: `InvalidSetting` where there is none."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InvalidSetting(
            f"store: the Cassandra driver is not installed ({error.name})",
            hint="install meshbox[cassandra]",
        ) from error
