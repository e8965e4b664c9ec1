"""A network in one process: hosts, links that delay, cut and lose, streams of frames over them.

A `Stream` is what `sync/transport.py` promises of one: frames arrive whole and in order or not at
all, a reader that does not read holds the writer up, and a peer that is silent for `NOTICED_S` is
found to be gone, as by gRPC's keepalive.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from meshbox.core.address import Endpoint
from meshbox.core.errors import PeerLost
from meshbox.core.ids import NodeId
from meshbox.sync.transport import Answer, FrameStream
from tests.simulation.loop import RESOLUTION_S, Owner, looked_at_s

NOTICED_S = 8.0
"""Seconds after which a silent peer is found to be gone."""
WINDOW_FRAMES = 4
"""Frames on their way before a writer has to wait."""
PORT = 3001
DELAY_MS = (0.2, 5.0)


@dataclass
class Link:
    """What is between two hosts."""

    rng: random.Random
    delay_ms: tuple[float, float] = DELAY_MS
    looks_s: float = 0.0
    """Seconds between the moments at which an end looks what came; 0: it looks always."""
    up: bool = True
    frames_left: int | None = None
    """Frames that pass before it is cut."""
    frames: int = 0
    """That ever arrived."""
    downs: int = 0
    streams: list[Streams] = field(default_factory=list)

    def delay_s(self) -> float:
        return self.rng.uniform(*self.delay_ms) / 1_000

    def arrival_s(self, now_s: float) -> float:
        """When a frame that is sent now is found."""
        return looked_at_s(now_s + self.delay_s(), every_s=self.looks_s)

    def cut(self) -> None:
        """All its streams are reset; new ones may be made."""
        self.frames_left = None
        for streams in tuple(self.streams):
            streams.cut()

    def go_down(self) -> None:
        """Nothing passes, and nobody is told before `NOTICED_S`."""
        self.up = False
        self.downs += 1
        asyncio.get_running_loop().call_later(NOTICED_S, self._noticed, self.downs)

    def come_up(self) -> None:
        """Undoes `go_down`; what was sent meanwhile arrives, where nobody gave up."""
        self.up = True
        for streams in tuple(self.streams):
            streams.flow()

    def heal(self) -> None:
        """It is as good as new."""
        self.delay_ms = DELAY_MS
        self.looks_s = 0.0
        self.frames_left = None
        self.come_up()

    def count_frame(self) -> None:
        """A frame arrives; it may have been the last."""
        self.frames += 1
        if self.frames_left is not None:
            self.frames_left -= 1
            if self.frames_left <= 0:
                self.cut()

    def _noticed(self, downs: int) -> None:
        if not self.up and downs == self.downs:
            self.cut()


class _Way:
    """One direction of a pair of streams."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sent: deque[tuple[float, bytes | None]] = deque()
        self._arrived: deque[bytes | None] = deque()
        self._free_s = 0.0
        self._moved = asyncio.Event()
        self.is_cut = False

    async def write(self, frame: bytes) -> None:
        while not self.is_cut and len(self._sent) + len(self._arrived) >= WINDOW_FRAMES:
            await self._wait()
        if self.is_cut:
            raise PeerLost("the stream was cut")
        self._send(frame)

    def end(self) -> None:
        """Nothing follows what was sent."""
        if not self.is_cut:
            self._send(None)

    async def read(self) -> bytes | None:
        while not self._arrived and not self.is_cut:
            await self._wait()
        if self.is_cut or self._arrived[0] is None:
            return None
        frame = self._arrived.popleft()
        self._move()
        return frame

    def cut(self) -> None:
        self.is_cut = True
        self._move()

    def flow(self) -> None:
        """Takes in what is due."""
        soon_s = asyncio.get_running_loop().time() + RESOLUTION_S
        while self._link.up and not self.is_cut and self._sent and self._sent[0][0] <= soon_s:
            _, frame = self._sent.popleft()
            self._arrived.append(frame)
            self._move()
            self._link.count_frame()

    def _send(self, frame: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        self._free_s = max(self._free_s, self._link.arrival_s(loop.time()))
        self._sent.append((self._free_s, frame))
        loop.call_at(self._free_s, self.flow)

    async def _wait(self) -> None:
        await self._moved.wait()

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class Streams:
    """Both directions of one dialled stream."""

    def __init__(self, link: Link) -> None:
        self._link = link
        there, back = _Way(link), _Way(link)
        self.dialler = Stream(back, there)
        self.answerer = Stream(there, back)
        self._ways = there, back
        link.streams.append(self)

    def cut(self) -> None:
        """Both ends find it cut."""
        for way in self._ways:
            way.cut()
        if self in self._link.streams:
            self._link.streams.remove(self)

    def flow(self) -> None:
        """The link is up again."""
        for way in self._ways:
            way.flow()


class Stream:
    """One end: a `FrameStream`."""

    dialler_host: None = None

    def __init__(self, inward: _Way, outward: _Way) -> None:
        self._inward = inward
        self._outward = outward

    async def read(self) -> bytes | None:
        return await self._inward.read()

    async def write(self, frame: bytes) -> None:
        await self._outward.write(frame)

    async def close_writing(self) -> None:
        self._outward.end()


class Host:
    """Where a process listens: it outlives the process."""

    def __init__(self, name: str) -> None:
        self.endpoint = Endpoint(name, PORT)
        self.listening: tuple[NodeId, Answer, Owner] | None = None

    @property
    def name(self) -> str:
        return self.endpoint.host


class Network:
    """Hosts and the links between them."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.hosts: dict[str, Host] = {}
        self.links: dict[frozenset[str], Link] = {}

    def host(self, name: str) -> Host:
        return self.hosts.setdefault(name, Host(name))

    def link(self, one: str, other: str) -> Link:
        """The link between two hosts, made when it is asked for."""
        ends = frozenset((one, other))
        if ends not in self.links:
            rng = random.Random(f"{self._seed} link {sorted(ends)}")
            self.links[ends] = Link(rng)
        return self.links[ends]

    @property
    def frames(self) -> int:
        """Frames that ever arrived."""
        return sum(link.frames for link in self.links.values())

    def links_of(self, host: Host) -> list[Link]:
        """Those of a host that anything ever passed."""
        return [link for ends, link in self.links.items() if host.name in ends]

    def unplug(self, host: Host) -> None:
        """All streams of a host are reset, and it listens no more."""
        host.listening = None
        for link in self.links_of(host):
            link.cut()


class SimulatedTransport:
    """A `Transport` of a process at a host."""

    def __init__(self, network: Network, host: Host, node_id: NodeId, process: Owner) -> None:
        self._network = network
        self._host = host
        self._node_id = node_id
        self._process = process

    @property
    def leaf_fingerprint(self) -> bytes:
        return self._node_id.encode()[:32]

    async def listen(self, answer: Answer, endpoint: Endpoint) -> Endpoint:
        assert endpoint == self._host.endpoint
        self._host.listening = (self._node_id, answer, self._process)
        return endpoint

    @contextlib.asynccontextmanager
    async def dial(
        self, node_id: NodeId, endpoint: Endpoint, *, is_far: bool = False
    ) -> AsyncIterator[FrameStream]:
        link = self._network.link(self._host.name, endpoint.host)
        streams = Streams(link)
        try:
            await asyncio.sleep(link.delay_s())
            listening = self._network.host(endpoint.host).listening
            if listening is None or listening[0] != node_id or not link.up:
                streams.cut()
            else:
                _, answer, process = listening
                process.start(_answered(answer, streams.answerer))
            yield streams.dialler
        finally:
            streams.cut()

    async def stop(self, *, grace_s: float) -> None:
        del grace_s
        self._host.listening = None


async def _answered(answer: Answer, stream: Stream) -> None:
    """A servicer: its return ends what it says."""
    try:
        await answer(stream)
    finally:
        await stream.close_writing()
