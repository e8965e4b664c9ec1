"""The Cassandra campaign: three servers, two processes of one mailbox, a peer that misses nothing.

    writers ──▶ process A ─┐
            └─▶ process B ─┴─▶ three servers, three copies, quorums ──▶ the peer, by its cursor

Writers store in the same logs by both processes at once. Meanwhile one server is killed, which
must keep nobody from storing; process A is stopped for longer than the feed's lag, in the middle of
whatever it does; another server is killed, so that there is no quorum and writers must be told to
come later; and both come back, after which it must go on by itself. In the end everything that was
acknowledged must be readable, byte for byte, at both processes, and at the peer, which only ever
asked for what was new to it.
"""

from __future__ import annotations

import asyncio
import base64
import random
import shutil
import time
import uuid
from collections.abc import Mapping
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
from scripts.tortures.writers import TOPIC, Message, Writers

SCHEMA: Final = "meshbox.torture.cassandra/1"

SERVERS: Final = 3
FROZEN_S: Final = 11.5
"""Seconds that a process is stopped: longer than the feed's lag of 10, and shorter than the 12 that
it waits for an answer, since what it gives up then is not acknowledged."""
EQUAL_S_MAX: Final = 60.0
"""Seconds until the peer has everything: usually less than one."""
TOLD_S_MAX: Final = 60.0
"""Seconds until writers are told of a lost quorum: the process waits for an answer for 12."""
BACK_S_MAX: Final = 60.0
"""Seconds until something is acknowledged again once the servers are back: the driver tries those
that did not answer every 15."""
_ANSWER_S_MAX: Final = 60.0
_PAUSE_S: Final = 0.1
_KEY_NAME: Final = "identity.key"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign is to do."""

    seed: int
    seconds: float
    """Of load, beside the time that a process is stopped, or there is no quorum."""
    freeze: bool
    """Whether a process is stopped."""
    folder: Path


class Figures(msgspec.Struct):
    """What came of it."""

    schema: str
    seed: int
    seconds: float = 0.0
    kills: int = 0
    freezes: int = 0
    acknowledged: int = 0
    by_two: int = 0
    """Those of them acknowledged while one server was dead."""
    refused: int = 0
    """Requests answered with 503, or not at all; the writer tried again."""
    gap_ms: int = 0
    """The longest time in which nothing was acknowledged, while there was a quorum."""
    told_ms: int = 0
    """From the death of the second server until a writer was answered 503."""
    back_ms: int = 0
    """From the moment in which both took clients again until an acknowledgement."""
    caught_up_ms: int = 0
    """From the last acknowledgement until the peer had everything."""
    lost: int = 0
    """Acknowledged, and not readable at either process."""
    missed: int = 0
    """Acknowledged, and not at the peer."""

    @property
    def is_clean(self) -> bool:
        """Whether everything is as promised."""
        return self.by_two > 0 and not self.lost and not self.missed


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
        await asyncio.to_thread(_end, cluster)
        shutil.rmtree(stage)


def _end(cluster: Cluster) -> None:
    """At once: what they hold goes, too."""
    for number in range(1, SERVERS + 1):
        cluster.kill(number)


class _Campaign:
    def __init__(self, options: Options, stage: Path, cluster: Cluster) -> None:
        self._options = options
        self._stage = stage
        self._cluster = cluster
        self._chance = random.Random(options.seed)
        self._figures = Figures(SCHEMA, options.seed)
        self._nodes: list[Node] = []

    async def run(self) -> Figures:
        begun_s = time.monotonic()
        processes, peer = await self._start()
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with Writers(session, processes, seed=self._options.seed) as writers:
                await self._disturb(writers, processes[0])
                await writers.end()
            last_s = time.monotonic()
            sent = writers.acknowledged
            await self._await_equal(session, peer, sent)
            self._figures.caught_up_ms = round((time.monotonic() - last_s) * 1_000)
            for node in processes:
                self._figures.lost += await _lacking(session, node, sent)
            self._figures.missed = await _lacking(session, peer, sent)
        self._figures.acknowledged = len(sent)
        self._figures.refused = writers.refused
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

    async def _disturb(self, writers: Writers, process: Node) -> None:
        """Load alone, a server killed, a process stopped, a second server killed, both back."""
        part_s = self._options.seconds / 4
        await asyncio.sleep(part_s)
        first, second = self._chance.sample(range(1, SERVERS + 1), 2)
        await self._kill(first)
        before = len(writers.acknowledged)
        await asyncio.sleep(part_s)
        if self._options.freeze:
            process.freeze()
            self._figures.freezes += 1
            await asyncio.sleep(FROZEN_S)
            process.thaw()
        await asyncio.sleep(part_s)
        await writers.acknowledgement(within_s=BACK_S_MAX)
        self._figures.by_two = len(writers.acknowledged) - before
        self._figures.gap_ms = writers.take_gap_ms()
        await self._lose_quorum(writers, first, second)
        writers.take_gap_ms()
        await asyncio.sleep(part_s)
        self._figures.gap_ms = max(self._figures.gap_ms, writers.take_gap_ms())

    async def _lose_quorum(self, writers: Writers, first: int, second: int) -> None:
        """Kills `second` beside `first`; returns when both are back, and it goes on."""
        await self._kill(second)
        killed_s = time.monotonic()
        await writers.refusal(within_s=TOLD_S_MAX)
        self._figures.told_ms = round((time.monotonic() - killed_s) * 1_000)
        starts = (asyncio.to_thread(self._cluster.start, number) for number in (first, second))
        await asyncio.gather(*starts)
        back_s = time.monotonic()
        await writers.acknowledgement(within_s=BACK_S_MAX)
        self._figures.back_ms = round((time.monotonic() - back_s) * 1_000)

    async def _kill(self, number: int) -> None:
        await asyncio.to_thread(self._cluster.kill, number)
        self._figures.kills += 1

    async def _await_equal(
        self, session: aiohttp.ClientSession, peer: Node, sent: Mapping[Message, bytes]
    ) -> None:
        """Until the peer lacks nothing, or that took too long."""
        until_s = time.monotonic() + EQUAL_S_MAX
        while time.monotonic() < until_s and await _lacking(session, peer, sent):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_S)


async def _lacking(
    session: aiohttp.ClientSession, node: Node, sent: Mapping[Message, bytes]
) -> int:
    """How many of what was acknowledged a node does not give out as it was stored."""
    held = await _held(session, node)
    return sum(held.get(message) != data for message, data in sent.items())


async def _held(session: aiohttp.ClientSession, node: Node) -> dict[Message, bytes]:
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
