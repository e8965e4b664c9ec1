"""A network that becomes another one is told of once, and one that stays is not."""

from __future__ import annotations

from meshbox.node.network_changes import NetworkChanges


async def test_only_what_differs_from_before_is_told() -> None:
    networks = ["wlan", "wlan", "cable", "cable", "wlan"]
    told: list[int] = []
    changes = NetworkChanges(lambda: networks[0], lambda: told.append(len(networks)))
    changes.start()
    while len(networks) > 1:
        networks.pop(0)
        await changes.look()
    await changes.stop()
    assert told == [3, 1]


async def test_what_never_began_stops() -> None:
    await NetworkChanges(object, lambda: None).stop()
