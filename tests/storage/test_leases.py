"""A store that is one process's own: nobody waits, and nothing is ever another's."""

from __future__ import annotations

from meshbox.storage.leases import Alone


async def test_who_is_alone_has_every_lease_at_once_and_for_good() -> None:
    leases = Alone()
    async with leases.lease("one") as over, leases.lease("two") as other:
        assert not over.is_set()
        assert not other.is_set()
