"""The Cassandra campaign: three servers, two processes of one mailbox, a peer that misses nothing.

    writers ──▶ process A ─┐
            └─▶ process B ─┴─▶ three servers, three copies, quorums ──▶ the peer, by its cursor

Writers store in the same logs by both processes at once. Meanwhile one server is killed, process A
is stopped for longer than the feed's lag, in the middle of whatever it does, and the server comes
back. In the end everything that was acknowledged must be readable, byte for byte, at both
processes, and at the peer, which only ever asked for what was new to it.
"""

from __future__ import annotations

import asyncio
import base64
import random
import shutil
import signal
import time
import uuid
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from meshbox.storage.cassandra.address import Access, ClusterAddress
from meshbox.storage.cassandra.administering import initialise
from scripts.clusters.cluster import Cluster
from scripts.clusters.configuration import CQL_PORT
from scripts.clusters.faults import ClusterFailed
from scripts.tortures.faults import TortureFailed
from scripts.tortures.node import Node

SCHEMA: Final = "meshbox.torture.cassandra/1"

SERVERS: Final = 3
WRITERS: Final = 16
LOGS: Final = 4
TOPIC: Final = "torture"
FROZEN_S: Final = 11.5
"""Seconds that a process is stopped: longer than the feed's lag of 10, and shorter than the 12 that
it waits for an answer, since what it gives up then is not acknowledged."""
EQUAL_S_MAX: Final = 60.0
"""Seconds until the peer has everything: usually less than one."""
_ANSWER_S_MAX: Final = 60.0
_PAUSE_S: Final = 0.1
_KEY_NAME: Final = "identity.key"

Message = tuple[str, int]
"""Author and number."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign is to do."""

    seed: int
    seconds: float
    """Of load, beside the time that a process is stopped."""
    folder: Path


class Figures(msgspec.Struct):
    """What came of it."""

    schema: str
    seed: int
    seconds: float = 0.0
    kills: int = 0
    freezes: int = 0
    acknowledged: int = 0
    refused: int = 0
    """Requests answered with 503, or not at all; the writer tried again."""
    gap_ms: int = 0
    """The longest time in which nothing was acknowledged."""
    caught_up_ms: int = 0
    """From the last acknowledgement until the peer had everything."""
    lost: int = 0
    """Acknowledged, and not readable at either process."""
    missed: int = 0
    """Acknowledged, and not at the peer."""

    @property
    def is_clean(self) -> bool:
        """Whether everything is as promised."""
        return self.acknowledged > 0 and not self.lost and not self.missed


async def cassandra(options: Options) -> Figures:
    """Runs the campaign. `TortureFailed` when it cannot be carried out."""
    stage = options.folder / f"meshbox-torture-{uuid.uuid4().hex[:12]}"
    stage.mkdir(parents=True)
    cluster = Cluster(stage / "servers", tied=True)
    campaign = _Campaign(options, stage, cluster)
    try:
        return await campaign.run()
    except ClusterFailed as error:
        raise TortureFailed(f"Cassandra {error}") from error
    finally:
        await campaign.end()
        await asyncio.to_thread(cluster.down)
        shutil.rmtree(stage)


class _Campaign:
    def __init__(self, options: Options, stage: Path, cluster: Cluster) -> None:
        self._options = options
        self._stage = stage
        self._cluster = cluster
        self._chance = random.Random(options.seed)
        self._figures = Figures(SCHEMA, options.seed)
        self._acknowledged: dict[Message, bytes] = {}
        self._next = dict.fromkeys((f"author {at}" for at in range(LOGS)), 0)
        self._nodes: list[Node] = []
        self._loading = True
        self._last_s = 0.0

    async def run(self) -> Figures:
        begun_s = time.monotonic()
        processes, peer = await self._start()
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._last_s = time.monotonic()
            writers = [
                asyncio.create_task(self._write(session, processes, at)) for at in range(WRITERS)
            ]
            await self._disturb(processes[0])
            self._loading = False
            await asyncio.gather(*writers)
            last_s = time.monotonic()
            await self._await_equal(session, peer)
            self._figures.caught_up_ms = round((time.monotonic() - last_s) * 1_000)
            for node in processes:
                self._figures.lost += await self._lacking(session, node)
            self._figures.missed = await self._lacking(session, peer)
        self._figures.acknowledged = len(self._acknowledged)
        self._figures.seconds = round(time.monotonic() - begun_s, 1)
        return self._figures

    async def end(self) -> None:
        for node in self._nodes:
            await node.kill()

    async def _start(self) -> tuple[list[Node], Node]:
        """Two processes of one mailbox, and a peer with a database of its own."""
        network = f"127.{self._chance.randrange(1, 255)}.{random.SystemRandom().randrange(256)}"
        await asyncio.to_thread(self._cluster.up, nodes=SERVERS, network=network)
        contacts = tuple((f"{network}.{at + 1}", CQL_PORT) for at in range(SERVERS))
        access = Access(ClusterAddress(contacts, "torture"), "datacenter1")
        await initialise(access, {"": SERVERS})
        shared = ("--store", str(access.address), "--cassandra-trust-clock")
        first = await self._node("a", *shared)
        (self._stage / "b").mkdir(mode=0o700)
        shutil.copy(self._stage / "a" / _KEY_NAME, self._stage / "b")
        second = await self._node("b", *shared)
        # By the process that goes on: what the other one wrote before it was stopped comes late.
        addresses = f"{second.peer_address},{first.ready['sync']}"
        return [first, second], await self._node("peer", "--peer", addresses)

    async def _node(self, name: str, *options: str) -> Node:
        log = self._stage / f"{name}.log"
        node = await Node.start(self._stage / name, "--sync", "127.0.0.1:0", *options, log=log)
        self._nodes.append(node)
        if not await node.await_ready():
            raise TortureFailed(f"{name} ended: {node.log_end()}")
        return node

    async def _disturb(self, process: Node) -> None:
        """Load alone, a server killed, a process stopped, the server back."""
        part_s = self._options.seconds / 4
        await asyncio.sleep(part_s)
        victim = self._chance.randrange(SERVERS) + 1
        await asyncio.to_thread(self._cluster.send, victim, signal.SIGKILL)
        self._figures.kills += 1
        await asyncio.sleep(part_s)
        process.freeze()
        self._figures.freezes += 1
        await asyncio.sleep(FROZEN_S)
        process.thaw()
        await asyncio.sleep(part_s)
        await asyncio.to_thread(self._cluster.start, victim)
        await asyncio.sleep(part_s)

    async def _write(
        self, session: aiohttp.ClientSession, processes: list[Node], writer: int
    ) -> None:
        """One message after another, each until it is acknowledged; every other writer at A."""
        node = processes[writer % len(processes)]
        chance = random.Random(f"{self._options.seed} {writer}")
        while self._loading:
            author, seq = self._place(chance)
            data = chance.randbytes(chance.randrange(1, 2_000))
            while not await self._store(session, node, (author, seq), data):
                self._figures.refused += 1
                await asyncio.sleep(_PAUSE_S)

    def _place(self, chance: random.Random) -> Message:
        """Half of them go where others write, too. The other half have a log of their own: what is
        offered is all of a log, so only where nothing follows is what was missed missed for good.
        """
        if chance.random() < 0.5:
            return f"alone {chance.getrandbits(64):x}", 0
        author = chance.choice(list(self._next))
        self._next[author] += 1
        return author, self._next[author] - 1

    async def _store(
        self, session: aiohttp.ClientSession, node: Node, message: Message, data: bytes
    ) -> bool:
        author, seq = message
        blob = base64.b64encode(data).decode()
        body = {"blobs": {TOPIC: {author: {str(seq): blob}}}}
        try:
            async with session.post(f"{node.url}/blobs/store", json=body) as answer:
                await answer.read()
                if answer.status not in (201, 503):
                    raise TortureFailed(f"{answer.status}: {await answer.text()}")
                if answer.status != 201:
                    return False
        except (aiohttp.ClientError, TimeoutError):
            return False
        now_s = time.monotonic()
        gap_ms = round((now_s - self._last_s) * 1_000)
        self._figures.gap_ms = max(self._figures.gap_ms, gap_ms)
        self._last_s = now_s
        self._acknowledged[message] = data
        return True

    async def _await_equal(self, session: aiohttp.ClientSession, peer: Node) -> None:
        """Until the peer lacks nothing, or that took too long."""
        until_s = time.monotonic() + EQUAL_S_MAX
        while time.monotonic() < until_s and await self._lacking(session, peer):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_S)

    async def _lacking(self, session: aiohttp.ClientSession, node: Node) -> int:
        """How many of what was acknowledged a node does not give out as it was stored."""
        held = await self._held(session, node)
        return sum(held.get(message) != data for message, data in self._acknowledged.items())

    async def _held(self, session: aiohttp.ClientSession, node: Node) -> dict[Message, bytes]:
        held: dict[Message, bytes] = {}
        heights: dict[str, int] = {}
        while True:
            body = {"topics": {TOPIC: heights}}
            async with session.post(f"{node.url}/blobs/get", json=body) as answer:
                if answer.status != 200:
                    raise TortureFailed(f"{answer.status}: {await answer.text()}")
                document = await answer.json()
            new = {
                (author, int(seq)): base64.b64decode(text)
                for author, blobs in document["blobs_by_topic"][TOPIC]["blobs"].items()
                for seq, text in blobs.items()
            }
            if not new.keys() - held.keys():
                return held
            held |= new
            for author, seq in new:
                heights[author] = max(heights.get(author, -1), seq)
