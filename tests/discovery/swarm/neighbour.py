"""Somebody else on the loopback interface: hears every packet of the group, and sends its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Self

from meshbox.discovery.swarm.link import GROUP, PORT
from meshbox.discovery.swarm.packet import Packet, read

WITHIN_S = 10.0


class Neighbour:
    """`async with Neighbour(type_) as neighbour`."""

    def __init__(self, type_: str) -> None:
        self._type = type_
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def __aenter__(self) -> Self:
        self._socket.settimeout(0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((GROUP, PORT))
        here = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1"))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here[4:])
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, (GROUP, PORT))

    async def hears(self, is_it: Callable[[Packet], bool]) -> bytes:
        """The next packet from now on that is it."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                data = await self._heard.get()
                if is_it(read(data, self._type)):
                    return data

    def _readable(self) -> None:
        data = self._socket.recv(9_000)
        if read(data, self._type) != Packet(is_query=False, sightings=()):
            self._heard.put_nowait(data)
