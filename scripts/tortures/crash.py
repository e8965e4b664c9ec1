"""The crash campaign: a node under load dies again and again, and is held to its word each time.

A round: the node starts, sometimes to be killed before it is ready; it is audited over HTTP
against the ledger; clients load it; often the clock jumps and it sweeps; at a random moment it is
killed, and then either that was all (what it wrote is there), or the power went, and of what was
not synced the disk kept what it chose (disk.py). A second node, never hurt, syncs with it, and is
frozen from the death until the audit is over: it must neither fill what was lost, nor hold what
the node then does not have, nor be able to prove a loss.

Reads and writes of the node's folder go through preload/journal.c. No real disk is synced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import uuid
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from meshbox.core.retention import DAY_MS, HOUR_MS
from scripts.tortures.disk import Choice, Disk
from scripts.tortures.faults import TortureFailed
from scripts.tortures.ledger import Findings, Ledger
from scripts.tortures.load import Load
from scripts.tortures.node import Node
from scripts.tortures.preloading import compile_journal, watched

SCHEMA: Final = "meshbox.torture.crash/1"

CLIENTS: Final = 6
_SYNC_US: Final = (0, 200, 2_000, 20_000)
"""Of a node's whole run: on a quick disk, and on slow ones."""
_JUMPS_MS: Final = (HOUR_MS, 6 * HOUR_MS, 2 * DAY_MS, 8 * DAY_MS, 30 * DAY_MS, 200 * DAY_MS)
"""At most: within a bucket, some buckets, beyond every life, and until logs are forgotten."""
_EXAMPLES_MAX: Final = 10
_EQUAL_S_MAX: Final = 60.0
_ASK_AGAIN_S: Final = 0.2
_DEFECTS: Final = ("node.defect", "peer.bug", "Traceback", "identity.lost")
"""What no log may say."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign is to do."""

    seed: int
    seconds: float
    folder: Path
    """Where it makes its own; see `keep`."""
    unsynced: str | None = None
    """Syncs of files whose name ends so are no-ops: a test of the campaign itself."""
    keep: bool = False
    """The folder stays."""


class Figures(msgspec.Struct):
    """What came of it."""

    schema: str
    seed: int
    seconds: float = 0.0
    starts: int = 0
    kills: int = 0
    cuts: int = 0
    choices: dict[str, int] = {}
    """Of the cuts: what the disk kept."""
    moments: dict[str, int] = {}
    """What the node was doing when it died."""
    acknowledged: int = 0
    shown: int = 0
    """Seen by a client, or claimed not to be missing, before it was acknowledged."""
    doubted: int = 0
    """Of which nobody knew any more what the node remembered (ledger.py)."""
    renewed: int = 0
    """Of these, there after all: stored anew."""
    lost: int = 0
    wrong: int = 0
    overdue: int = 0
    unopened: int = 0
    """Starts that failed."""
    identities: int = 0
    """Node ids that it showed."""
    defects: list[str] = []
    examples: list[str] = []
    """Of what audits found first, and after which deaths."""
    equal: bool = False
    """Both nodes held, at the end, all that was owed."""

    @property
    def is_clean(self) -> bool:
        """Whether everything is as promised."""
        wrong = self.lost or self.wrong or self.overdue or self.unopened or self.defects
        return not wrong and self.identities == 1 and self.equal


async def crash(options: Options) -> Figures:
    """Runs the campaign. `TortureFailed` when it cannot be carried out."""
    async with _Campaign(options) as campaign:
        return await campaign.run()


class _Campaign:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._chance = random.Random(options.seed)
        self._stage = options.folder / f"meshbox-torture-{uuid.uuid4().hex[:12]}"
        self._root = self._stage / "disk"
        self._journal = self._stage / "journal"
        self._library = self._stage / "journal.so"
        self._disk = Disk(self._root)
        self._ledger = Ledger()
        self._load = Load(self._ledger, clients=CLIENTS, seed=options.seed)
        self._clocks = {name: _Clock(self._stage / f"{name}.clock") for name in ("a", "b")}
        self._figures = Figures(SCHEMA, options.seed)
        self._choices: Counter[str] = Counter()
        self._moments: Counter[str] = Counter()
        self._identities: set[str] = set()
        self._deaths: list[str] = []
        self._sync = "127.0.0.1:0"
        self._node: Node | None = None
        self._peer: Node | None = None

    async def __aenter__(self) -> Self:
        self._root.mkdir(parents=True)
        compile_journal(self._library)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._load.end()
        for node in (self._node, self._peer):
            if node is not None:
                await node.kill()
        if not self._options.keep:
            shutil.rmtree(self._stage)

    async def run(self) -> Figures:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() - begun < self._options.seconds and not self._is_over:
            await self._round()
        if not self._is_over:
            await self._finish()
        self._count(loop.time() - begun)
        return self._figures

    @property
    def _is_over(self) -> bool:
        """Whether there is no going on, or, with syncs that do nothing, losses were found."""
        broken = self._options.unsynced is not None
        return bool(self._figures.unopened or (broken and self._load.findings.lost))

    async def _round(self) -> None:
        while self._chance.random() < 0.35:
            node = await self._start()
            await asyncio.sleep(self._chance.random())
            await self._die(node, "recovery" if self._identities else "first start")
        node = await self._start()
        if not await self._is_right(node):
            return
        await self._join(node)
        self._load.open(node.url)
        await self._load.acknowledged(self._chance.randint(1, 200))
        await asyncio.sleep(self._chance.random() * 0.1)
        if self._chance.random() < 0.35:
            await self._sweep(node)
            await self._die(node, "sweep")
        else:
            await self._die(node, "load")

    async def _start(self) -> Node:
        self._figures.starts += 1
        environment = watched(
            self._library,
            root=self._root,
            journal=self._journal,
            sync_us=self._chance.choice(_SYNC_US),
            unsynced=self._options.unsynced,
        )
        self._node = await Node.start(
            self._root / "data",
            *("--sync", self._sync),
            log=self._stage / "a.log",
            environment=environment | self._clocks["a"].environment,
        )
        return self._node

    async def _is_right(self, node: Node) -> bool:
        """Waits until it is ready, and audits it."""
        if not await node.await_ready():
            self._figures.unopened += 1
            self._figures.defects.append(node.log_end())
            self._load.lose_all()
            return False
        self._identities.add(node.node_id)
        self._sync = node.ready["sync"]
        before = self._load.findings
        await self._load.audit(node.url)
        self._give_examples(before)
        return True

    def _give_examples(self, before: Findings) -> None:
        """Notes what an audit found first, and what had happened."""
        now_ms = self._load.now_ms
        for name, old, new in zip(Findings._fields, before, self._load.findings, strict=True):
            if len(new) > len(old) and len(self._figures.examples) < _EXAMPLES_MAX:
                first = self._ledger.describe(new[len(old)], now_ms=now_ms)
                deaths = ", ".join(self._deaths[-4:])
                self._figures.examples.append(
                    f"start {self._figures.starts}: {len(new) - len(old)} {name}: {first}; {deaths}"
                )

    async def _join(self, node: Node) -> None:
        """The peer goes on, or is started first."""
        if self._peer is not None:
            self._peer.thaw()
            return
        self._peer = await Node.start(
            self._stage / "peer",
            *("--sync", "127.0.0.1:0", "--peer", node.peer_address),
            log=self._stage / "b.log",
            environment=self._clocks["b"].environment,
        )
        if not await self._peer.await_ready():
            raise TortureFailed(f"the peer does not start: {self._peer.log_end()}")

    async def _sweep(self, node: Node) -> None:
        """The clock jumps, and the node dies while it sweeps, before or after."""
        most_ms = self._chance.choice(_JUMPS_MS)
        span_ms = self._chance.randint(1, most_ms)
        self._deaths.append(f"{span_ms / HOUR_MS:.1f} h")
        self._move_clocks(span_ms)
        sweeping = asyncio.create_task(_ask_to_sweep(node))
        await asyncio.sleep(self._chance.random() * 0.06)
        sweeping.cancel()
        await asyncio.wait([sweeping])

    def _move_clocks(self, span_ms: int) -> None:
        for clock in self._clocks.values():
            clock.move(span_ms)
        self._load.moved_ms += span_ms

    async def _die(self, node: Node, moment: str) -> None:
        await node.kill()
        if self._peer is not None:
            self._peer.freeze()
        await self._load.close()
        self._moments[moment] += 1
        self._disk.replay(self._journal)
        if self._chance.random() < 0.4:
            self._figures.kills += 1
            self._deaths.append(f"{moment}/kill")
            self._disk.kill()
            return
        choice = self._chance.choice(list(Choice))
        self._figures.cuts += 1
        self._choices[choice.value] += 1
        self._deaths.append(f"{moment}/{choice.value}")
        self._disk.cut(choice, self._chance)
        self._clocks["a"].reboot()

    async def _finish(self) -> None:
        """A last audit, both nodes equal, and a clean end."""
        node = await self._start()
        if not await self._is_right(node):
            return
        if self._peer is None:
            raise TortureFailed("it was over before anything began: give it more seconds")
        self._peer.thaw()
        self._figures.equal = await self._become_equal(node, self._peer)
        await self._load.audit(node.url)
        for ended in (node, self._peer):
            if await ended.stop() != 0:
                self._figures.defects.append(f"ended badly: {ended.log_end()}")

    async def _become_equal(self, node: Node, peer: Node) -> bool:
        """Whether both come to hold all that is owed. What is older may be due at one of them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _EQUAL_S_MAX
        while loop.time() < deadline:
            here, there = [await self._load.everything(n.url) for n in (node, peer)]
            owed = self._ledger.owed(now_ms=self._load.now_ms)
            if all(m in here and here[m] == there.get(m) for m in owed):
                return True
            await asyncio.sleep(_ASK_AGAIN_S)
        return False

    def _count(self, seconds: float) -> None:
        figures, findings = self._figures, self._load.findings
        figures.seconds = round(seconds, 1)
        figures.choices, figures.moments = dict(self._choices), dict(self._moments)
        figures.acknowledged, figures.shown = self._ledger.acknowledged, self._ledger.shown
        figures.doubted, figures.renewed = self._ledger.doubted, self._ledger.renewed
        figures.lost, figures.wrong = len(findings.lost), len(findings.wrong)
        figures.overdue, figures.identities = len(findings.overdue), len(self._identities)
        for log in (self._stage / "a.log", self._stage / "b.log"):
            text = log.read_text(errors="replace") if log.exists() else ""
            lines = text.splitlines()
            figures.defects += [line for line in lines if any(word in line for word in _DEFECTS)]


class _Clock:
    """The file that moves one node's clocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._moved_ms = 0
        self._boots = 0

    @property
    def environment(self) -> dict[str, str]:
        """By which the node finds it; the file is made."""
        self._write()
        return {"MESHBOX_TEST_CLOCK": str(self._path)}

    def move(self, span_ms: int) -> None:
        """That much time passes."""
        self._moved_ms += span_ms
        self._write()

    def reboot(self) -> None:
        """The machine is another boot's."""
        self._boots += 1

    def _write(self) -> None:
        moves: dict[str, Any] = {
            "boot_offset_ms": self._moved_ms,
            "wall_offset_ms": self._moved_ms,
            "synchronised": True,
            "boot_id": f"boot-{self._boots}",
        }
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(moves))
        draft.rename(self._path)


async def _ask_to_sweep(node: Node) -> None:
    with contextlib.suppress(aiohttp.ClientError, OSError):
        await node.control("POST", "/api/sweep")
