"""What this node says of itself at the beginning of each session."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import NodeId, node_key_of
from meshbox.core.limits import BLOB_BYTES_MAX, FRAME_BYTES_LIMIT
from meshbox.core.session.frames import Hello, Totals
from meshbox.core.topics import OwnTopics
from meshbox.identity.proof import NONCE_BYTES
from meshbox.storage.interface import MailboxStore
from meshbox.sync.sharing import WaysOut

TOTALS_S: Final = 1.0
"""Seconds for which what this node holds is told to newcomers as it was: counting it looks at the
disk, and after an outage a thousand peers come back at once."""


class OwnHello:
    """Makes the hellos of a node, each with a nonce of its own from `rng`."""

    def __init__(
        self,
        store: MailboxStore,
        *,
        node_id: NodeId,
        leaf_fingerprint: bytes,
        software: str,
        carried: OwnTopics,
        ways_out: WaysOut,
        hears_addresses: bool,
        rng: random.Random,
    ) -> None:
        self.sync_port = 0
        """Where this node answers, once it does."""
        self._store = store
        self._node_id = node_id
        self._leaf_fingerprint = leaf_fingerprint
        self._software = software
        self._carried = carried
        self._ways_out = ways_out
        self._hears_addresses = hears_addresses
        self._rng = rng
        self._totals = Totals()
        self._totals_until_s = 0.0

    async def anew(self, *, answering: bool) -> Hello:
        """The hello of a session; `answering`: of the side that was dialled, and shows its leaf."""
        nonce = self._rng.randbytes(NONCE_BYTES)
        return Hello(
            node_key=node_key_of(self._node_id),
            nonce=nonce,
            epoch_id=self._store.epoch.id,
            leaf_fingerprint=self._leaf_fingerprint if answering else b"",
            frame_bytes_max=FRAME_BYTES_LIMIT,
            blob_bytes_max=BLOB_BYTES_MAX,
            software=self._software,
            totals=await self._recent_totals(),
            topics=self._carried.told(nonce),
            ways_out=self._ways_out.told(nonce),
            sync_port=self.sync_port,
            hears_addresses=self._hears_addresses,
            reads_numbers=True,
        )

    async def _recent_totals(self) -> Totals:
        clock_s = asyncio.get_running_loop().time
        if clock_s() < self._totals_until_s:
            return self._totals
        try:
            held = await self._store.statistics()
        except MeshboxError:
            # Of no use but to people. The session's first request meets the same fault, and ends
            # it with the store's code.
            return Totals()
        self._totals = Totals(held.logs, held.blobs, held.bytes)
        self._totals_until_s = clock_s() + TOTALS_S
        return self._totals
