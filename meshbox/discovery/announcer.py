"""Keeps announced what this node's records say.

RFC 6762, 8.1 has a name probed for uniqueness before its first announcement. These names are made
of the node's key, so that is skipped: it costs 0.7 s until others see us, and a clone of our key is
told apart by the `run` of its TXT record anyway (`discovery`).

Invariant: after `pause` no announcement is on its way, so none follows a goodbye.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Sequence

from zeroconf import Error
from zeroconf.asyncio import AsyncServiceInfo

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery import questions
from meshbox.discovery.announcement import Record
from meshbox.discovery.responder import Responder

REPEAT_S = 2.0
"""zeroconf announces thrice within 0.45 s. Who heard an old address in the second before keeps it
beside the new one (RFC 6762, 10.2), so it is all said once more when that second is over."""


class Announcer:
    """Announces records through a responder."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._broadcasts: list[asyncio.Future[None]] = []
        self._addresses: dict[str, tuple[str, ...]] = {}

    async def announce(self, records: Sequence[Record]) -> None:
        """Replaces what is announced by `records`. Returns when the first packets are out.

        Addresses that are not among them any more get a goodbye, wherever it is still heard.
        `DiscoveryFailed`.
        """
        await self.pause()
        self._say_goodbye(records)
        infos = [_info(record) for record in records]
        try:
            begun = await asyncio.gather(*(self._register(info) for info in infos))
        except (OSError, Error) as error:
            raise DiscoveryFailed(f"mDNS cannot announce this node: {error}") from error
        self._broadcasts = [*map(asyncio.ensure_future, begun)]
        self._broadcasts.append(asyncio.ensure_future(self._repeat(infos)))

    async def pause(self) -> None:
        """Answers and announces nothing until `announce`, without saying goodbye."""
        await self.hush()
        registry = self._responder.zeroconf.registry
        registry.async_remove(registry.async_get_service_infos())

    async def hush(self) -> None:
        """Ends the announcements that are on their way; questions are answered as before."""
        broadcasts, self._broadcasts = self._broadcasts, []
        for broadcast in broadcasts:
            broadcast.cancel()
        await asyncio.gather(*broadcasts, return_exceptions=True)

    def _say_goodbye(self, records: Sequence[Record]) -> None:
        before, self._addresses = self._addresses, {r.host: r.addresses for r in records}
        for host, addresses in before.items():
            stale = [_packed(a) for a in addresses if a not in self._addresses.get(host, ())]
            if stale:
                questions.send(self._responder.zeroconf, questions.gone(host, stale))

    async def _register(self, info: AsyncServiceInfo) -> Awaitable[None]:
        return await self._responder.aio.async_register_service(
            info, cooperating_responders=True, strict=False
        )

    async def _repeat(self, infos: Sequence[AsyncServiceInfo]) -> None:
        await asyncio.sleep(REPEAT_S)
        update = self._responder.aio.async_update_service
        await asyncio.gather(*[await update(info) for info in infos])


def _info(record: Record) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        record.type_,
        record.name,
        port=record.port,
        addresses=[_packed(address) for address in record.addresses],
        properties=record.txt,
        server=record.host,
    )


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address.partition("%")[0]).packed
