"""Dialling goes on while a peer has an address, and stops when it has none."""

from __future__ import annotations

import asyncio
import random

from meshbox.core.address import Endpoint
from meshbox.core.ids import node_id_of
from meshbox.sync.backoff import Backoff
from meshbox.sync.dialling import Dialling
from meshbox.sync.peers import Peer


async def test_dials_until_the_address_is_gone() -> None:
    peer = Peer(node_id_of(b"\1" * 32), Backoff(random.Random(1)))
    peer.heard = (Endpoint("127.0.0.1", 1),)
    dialled = asyncio.Event()

    async def dial(_: Peer) -> None:
        dialled.set()

    dialling = Dialling(peer, dial, first_wait_s=0.0)
    await asyncio.wait_for(dialled.wait(), 5)
    peer.heard = ()
    dialling.announced()
    await asyncio.wait_for(dialling.task, 5)
