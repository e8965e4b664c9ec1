"""Who proves a key: over real TLS, with listeners that are who they say, and others."""

from __future__ import annotations

import socket

import pytest

from meshbox.core.address import Endpoint
from meshbox.discovery import proving
from meshbox.discovery.proving import reach, reach_any, reach_mailbox
from meshbox.identity.key import mint
from tests.discovery.tls_listener import listening

TRUE, FALSE = mint(), mint()


def closed_port() -> Endpoint:
    """Where nobody listens, most likely."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return Endpoint("127.0.0.1", sock.getsockname()[1])


async def test_only_the_holder_of_the_key_proves_it() -> None:
    async with listening(TRUE) as true, listening(FALSE) as false:
        reached, other = await reach(true, TRUE.node_id), await reach(false, TRUE.node_id)
        assert reached is not None
        assert other is not None
        assert (reached.is_proven, other.is_proven) == (True, False)
        assert 0 < reached.rtt_ms < proving.REACH_S_MAX * 1000


async def test_who_answers_without_tls_is_reached_and_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proving, "REACH_S_MAX", 0.3)
    async with listening(None) as silent:
        assert (reached := await reach(silent, TRUE.node_id)) is not None
        assert not reached.is_proven
        assert await reach(silent, None) is not None


async def test_where_nobody_listens_nobody_is_reached() -> None:
    assert await reach(closed_port(), TRUE.node_id) is None
    assert await reach_any([closed_port()], TRUE.node_id) is None
    assert await reach_mailbox([closed_port()], TRUE.node_id, None) is None


async def test_among_several_addresses_the_true_one_counts() -> None:
    async with listening(TRUE) as true, listening(FALSE) as false:
        reached = await reach_any([closed_port(), false, true], TRUE.node_id)
        assert reached is not None
        assert (reached.endpoint, reached.is_proven) == (true, True)
        reached = await reach_any([closed_port(), false], TRUE.node_id)
        assert reached is not None
        assert (reached.endpoint, reached.is_proven) == (false, False)


async def test_a_mailbox_is_proven_by_the_https_port_of_its_host() -> None:
    async with listening(None) as http, listening(TRUE) as https:
        for node_id, port, is_proven in (
            (TRUE.node_id, https.port, True),
            (TRUE.node_id, None, False),
            (FALSE.node_id, https.port, False),
            (None, https.port, False),
        ):
            reached = await reach_mailbox([closed_port(), http], node_id, port)
            assert reached is not None
            assert (reached.endpoint, reached.is_proven) == (http, is_proven)
