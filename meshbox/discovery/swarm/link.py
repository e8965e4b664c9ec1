"""The swarm dialect on one interface: a socket, a timer, and what they feed to `cycle`.

The socket is bound to the group's address, port 5353: whoever else speaks mDNS on this machine
(zeroconf beside us, avahi) gets every multicast packet too, and no unicast one is taken from them.

Faults of the network (a link that is down, an address that went) are passed over: the network is
followed by `responder`, and everything here is said again within a second.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from meshbox.core.address import Endpoint
from meshbox.core.errors import DiscoveryFailed
from meshbox.core.limits import SWARM_PACKET_BYTES_MAX, SWARM_PACKETS_MAX
from meshbox.discovery.swarm import packet
from meshbox.discovery.swarm.cycle import Act, Cycle
from meshbox.discovery.swarm.members import Members
from meshbox.discovery.swarm.packet import Sighting

GROUP = "224.0.0.251"
PORT = 5353
HOPS = 16
"""As the apps' library sends it."""

_LOOK_MS = 500.0
_IP_MULTICAST_ALL = 49


class Offer(NamedTuple):
    """What is announced on one interface: the HTTP port, and the IPv4 addresses that lead there."""

    port: int
    addresses: tuple[str, ...]

    def includes(self, endpoint: Endpoint) -> bool:
        return endpoint.port == self.port and endpoint.host in self.addresses


class Listener(NamedTuple):
    """Who wants to know what a link hears.

    `is_ours` says of an endpoint whether it is announced by us on any interface.
    """

    seen: Callable[[Sighting], None]
    lapsed: Callable[[str], None]
    is_ours: Callable[[Endpoint], bool]


class InterfaceGone(Exception):
    """The interface went after it was listed; the network will be looked at again."""


class Link:
    """Speaks on the interface `index` until `close`. Needs a running event loop."""

    def __init__(
        self, *, index: int, type_: str, label: str | None, asks: bool, listener: Listener
    ) -> None:
        """Opens the socket; `InterfaceGone`, `DiscoveryFailed`."""
        self._type = type_
        self._label = label
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._members = Members()
        self._offer: Offer | None = None
        self._packet = b""
        self._cycle = Cycle(now_ms=self._now_ms(), chance=_chance(), asks=asks)
        self._socket = open_on(index)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0.0
        self._looked_ms = self._now_ms()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._set_timer()

    def offer(self, offer: Offer | None) -> None:
        """Announces `offer` from now on, at once; None takes it back."""
        if offer == self._offer:
            return
        if offer is None:
            self.say_goodbye()
        self._offer = offer
        if offer is not None:
            self._packet = self._built(offer, is_leaving=False)
            self._send(self._packet)

    def say_goodbye(self) -> None:
        """Tells that what is announced is leaving, and answers so from now on."""
        if self._offer is not None:
            self._packet = self._built(self._offer, is_leaving=True)
            self._send(self._packet)

    def close(self) -> None:
        """Ends it without a word."""
        self._loop.remove_reader(self._socket.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()

    def _built(self, offer: Offer, *, is_leaving: bool) -> bytes:
        assert self._label is not None, "who announces has a name"
        return packet.answer(
            self._type,
            label=self._label,
            port=offer.port,
            addresses=offer.addresses,
            is_leaving=is_leaving,
        )

    def _readable(self) -> None:
        for _ in range(SWARM_PACKETS_MAX):
            try:
                data = self._socket.recv(SWARM_PACKET_BYTES_MAX + 1)
            except OSError:  # Empty, or the interface went: `responder` will hear of it.
                break
            self._take_in(packet.read(data, self._type))
        self._set_timer()

    def _take_in(self, heard: packet.Packet) -> None:
        now_ms = self._now_ms()
        if heard.is_query:
            self._cycle.question_heard(now_ms=now_ms, chance=_chance(), size=self._members.size)
        others = sum(self._is_of_another(sighting) for sighting in heard.sightings)
        if others:
            self._cycle.answers_heard(
                others, now_ms=now_ms, chance=_chance(), size=self._members.size
            )

    def _is_of_another(self, sighting: Sighting) -> bool:
        """Notes who was heard; false for ourselves."""
        now_ms = self._now_ms()
        pushed_out = self._members.heard(sighting.label, now_ms=now_ms)
        if sighting.label != self._label:
            if pushed_out is not None:
                self._listener.lapsed(pushed_out)
            if pushed_out != sighting.label:
                self._listener.seen(sighting)
            return True
        if self._offer is not None and not all(map(self._offer.includes, sighting.endpoints)):
            if all(map(self._listener.is_ours, sighting.endpoints)):
                self._cycle.answered_for(now_ms=now_ms, chance=_chance(), size=self._members.size)
            else:
                self._cycle.contested()
        return False

    def _tick(self) -> None:
        now_ms = self._now_ms()
        self._timer = None
        if now_ms - self._looked_ms >= _LOOK_MS:
            self._looked_ms = now_ms
            for label in self._members.take_lapsed(now_ms=now_ms):
                self._listener.lapsed(label)
        if now_ms >= self._cycle.next_ms:
            self._act(self._cycle.due(now_ms=now_ms, chance=_chance(), size=self._members.size))
        self._set_timer()

    def _act(self, act: Act) -> None:
        if act is Act.ASK:
            self._send(packet.query(self._type))
        elif act is Act.ANSWER and self._offer is not None:
            self._send(self._packet)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, (GROUP, PORT))
        except OSError:
            return  # No carrier, no address or a full queue: it is said again soon.

    def _set_timer(self) -> None:
        due_ms = min(self._cycle.next_ms, self._looked_ms + _LOOK_MS)
        if self._timer is not None:
            if self._timer_ms <= due_ms:
                return
            self._timer.cancel()
        self._timer_ms = due_ms
        self._timer = self._loop.call_at(due_ms / 1000, self._tick)

    def _now_ms(self) -> float:
        return self._loop.time() * 1000


def _chance() -> float:
    return random.random()  # noqa: S311  # It spreads answers, and guards nothing.


def open_on(index: int) -> socket.socket:
    """A socket that speaks and hears mDNS on one interface; `InterfaceGone`, `DiscoveryFailed`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((GROUP, PORT))
        here = struct.pack("@4s4si", socket.inet_aton(GROUP), b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, here)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        if sys.platform == "linux":
            # Else it would hear the groups that other sockets of the machine joined elsewhere.
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    except OSError as error:
        sock.close()
        if error.errno == errno.ENODEV:
            raise InterfaceGone from error
        raise DiscoveryFailed(
            f"UDP port 5353 cannot be shared: {error}",
            hint="another program may keep UDP port 5353 to itself: end it, or use --no-mdns and "
            "--peer",
        ) from error
    return sock


def addresses_on(
    own: Sequence[str], announced: Sequence[str], ours: Sequence[str]
) -> tuple[str, ...]:
    """Of the `announced` addresses those of IPv4 that lead here through an interface's `own` ones.

    An address that is none of `ours` (a proxy's) is told everywhere.
    """
    return tuple(a for a in announced if ":" not in a and (a in own or a not in ours))
