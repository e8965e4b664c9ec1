from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from zeroconf import DNSIncoming, Zeroconf  # type: ignore[attr-defined]  # not in its __all__

from meshbox.core.limits import DISCOVERY_RECORDS_MAX
from meshbox.discovery import questions
from meshbox.discovery.cache_guard import CacheGuard
from meshbox.discovery.responder import Responder
from tests.discovery.ears import node
from tests.discovery.flooder import NODES, announcement

TRUE = node(1)
NAME = f"{TRUE}.{NODES}"
ZEROCONF_RECORDS_MAX = 10_000


@pytest.fixture
async def zeroconf() -> AsyncIterator[Zeroconf]:
    opened = Responder()
    yield opened.zeroconf
    await opened.close()


def hear(zeroconf: Zeroconf, instance: str) -> None:
    """An announcement of four records comes in."""
    packet = announcement(instance, NODES, f"host-{instance}.local.", "10.0.0.1", b"\0")
    zeroconf.record_manager.async_updates_from_response(DNSIncoming(packet))


async def test_inventions_are_dropped_and_who_is_kept_is_not(zeroconf: Zeroconf) -> None:
    guard = CacheGuard(zeroconf, kept=lambda: [NAME.upper()])
    hear(zeroconf, TRUE)
    records = 0
    for at in range(ZEROCONF_RECORDS_MAX):
        hear(zeroconf, f"forged-{at}")
        records = max(records, len(zeroconf.cache.names()))
    assert records <= DISCOVERY_RECORDS_MAX + 10
    assert questions.heard_ms(zeroconf, NAME) > 0
    assert NAME in questions.cached_instances(zeroconf, NODES)
    assert len(zeroconf.cache.entries_with_name(f"host-{TRUE}.local.".lower())) == 1
    guard.stop()


async def test_the_same_heard_again_fills_nothing(zeroconf: Zeroconf) -> None:
    guard = CacheGuard(zeroconf, kept=list)
    hear(zeroconf, "stranger")
    for _ in range(DISCOVERY_RECORDS_MAX):
        hear(zeroconf, TRUE)
    assert f"stranger.{NODES}" in questions.cached_instances(zeroconf, NODES)
    guard.stop()
