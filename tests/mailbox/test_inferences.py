"""What the apps conclude from answers, and that it is true (compat 2.3).

Phones write while they are offline, poll with any page bound, upload exactly what `missing` names,
and remember the highest number of each log; strangers store whatever they like; weeks pass. The
newest apps conclude:

- no `missing` for a log that they named → the mailbox has it up to the height that they sent;
- a watermark, echoed for each pair of every store → it has everything up to there;
- no `more` → there was nothing else above their heights.

After any history, polling on ends with everything delivered that can be, and with everything that
the phones hold at the mailbox.

One exception is the design's own (4.7): a log with nothing held remembers few ranges, and a number
between them that never came counts as seen. Here it remembers them all.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from meshbox.core import inventory
from meshbox.core.filling import NothingFilling
from meshbox.core.limits import LOG_RANGES_MAX
from meshbox.mailbox.deposit import ClientBlob
from meshbox.mailbox.mailbox import FetchAnswer, Mailbox
from meshbox.mailbox.sweeping import sweep
from tests.clocks import ManualClock
from tests.contract.material import DAY_MS
from tests.mailbox.asking import fetch
from tests.mailbox.stores import NODE_KEY, new_key_value, opened_store
from tests.searching import examples

T = TypeVar("T")

TOPICS = ("t", "u")
PHONES = ("alice", "bob", "carol")
SIZES = (0, 1, 30, 1_000, 70_000)
LARGE = 1_200_000
"""Beyond one stored chunk."""


class Log(NamedTuple):
    topic: str
    author: str


class Phone:
    """An app: what it holds, by log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: dict[Log, dict[int, bytes]] = {}
        self.late: dict[Log, set[int]] = {}
        """What came to the mailbox when this phone was beyond it already: it asks for no such."""

    def height(self, log: Log) -> int:
        return max(self.held.get(log, {}), default=-1)

    def heights(self) -> dict[str, dict[str, int]]:
        heights: dict[str, dict[str, int]] = {topic: {} for topic in TOPICS}
        for log, blobs in self.held.items():
            if blobs:
                heights[log.topic][log.author] = self.height(log)
        return heights


class Known(NamedTuple):
    """What the mailbox must have: held by log and number, and what it saw expire."""

    held: dict[Log, dict[int, bytes]]
    expired: dict[Log, set[int]]

    def seen(self, log: Log) -> set[int]:
        return self.held.get(log, {}).keys() | self.expired.get(log, set())

    def watermark(self, log: Log) -> int | None:
        seen, mark = self.seen(log), -1
        while mark + 1 in seen:
            mark += 1
        return mark if mark >= 0 else None


class Conversation(RuleBasedStateMachine):
    engine: ClassVar[str] = "memory"

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.opened = opened_store(
            new_key_value(self.engine, Path(self.folder.name)), clock=self.clock
        )
        self.store = self.run(self.opened.__aenter__())
        self.mailbox = Mailbox(
            self.store, node_key=NODE_KEY, tag_salt=b"s", filling=NothingFilling()
        )
        self.phones = [Phone(name) for name in PHONES]
        self.known = Known({}, {})

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(
        phone=st.integers(0, len(PHONES) - 1),
        topic=st.sampled_from(TOPICS),
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=6),
    )
    def writes_offline(self, phone: int, topic: str, sizes: list[int]) -> None:
        writer = self.phones[phone]
        log = Log(topic, writer.name)
        for size in sizes:
            seq = writer.height(log) + 1
            writer.held.setdefault(log, {})[seq] = content(log, seq, size)

    @rule(
        topic=st.sampled_from(TOPICS),
        author=st.sampled_from((*PHONES, "mallory")),
        seqs=st.sets(st.integers(0, 12), min_size=1, max_size=5),
        size=st.sampled_from((*SIZES, LARGE)),
    )
    def a_stranger_stores(self, topic: str, author: str, seqs: set[int], size: int) -> None:
        log = Log(topic, author)
        self.run(self.deposit(log, {seq: b"!" + content(log, seq, size) for seq in seqs}))

    @rule(
        phone=st.integers(0, len(PHONES) - 1),
        blobs_max=st.sampled_from((1, 2, 3, 7, 50)),
        bytes_max=st.sampled_from((0, 40, 3_000, 4_000_000)),
    )
    def polls(self, phone: int, blobs_max: int, bytes_max: int) -> None:
        self.run(self.poll(self.phones[phone], blobs_max=blobs_max, bytes_max=bytes_max))

    @rule(
        writer=st.integers(0, len(PHONES) - 1),
        topic=st.sampled_from(TOPICS),
        sizes=st.lists(st.sampled_from(SIZES), min_size=2, max_size=6),
        blobs_max=st.sampled_from((1, 2, 3, 7, 50)),
    )
    def all_poll_while_one_stores(
        self, writer: int, topic: str, sizes: list[int], blobs_max: int
    ) -> None:
        """Its log grows at the end only, so nothing is late for anybody."""
        log = Log(topic, self.phones[writer].name)
        first = max(self.known.seen(log) | {p.height(log) for p in self.phones}, default=-1) + 1

        async def store() -> None:
            for seq, size in enumerate(sizes, first):
                await self.deposit(log, {seq: content(log, seq, size)})

        async def both() -> None:
            polls = [
                self.poll(phone, blobs_max=blobs_max, bytes_max=5_000, growing=(log, first))
                for phone in self.phones
                for _ in range(2)
            ]
            await asyncio.gather(store(), *polls)

        self.run(both())

    @precondition(lambda self: self.known.held)
    @rule(swept=st.booleans())
    def a_week_passes(self, swept: bool) -> None:
        self.clock.advance(8 * DAY_MS)
        for log, blobs in self.known.held.items():
            self.known.expired.setdefault(log, set()).update(blobs)
        self.known.held.clear()
        if swept:
            self.run(sweep(self.store))

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.run(self.everybody_polls_on())
        finally:
            self.run(self.opened.__aexit__(None, None, None))
            self.loop.close()
            self.folder.cleanup()

    async def everybody_polls_on(self) -> None:
        rounds = 4 + sum(len(blobs) for p in self.phones for blobs in p.held.values())
        rounds += sum(map(len, self.known.held.values())) * 3
        for _ in range(rounds):
            settled = [await self.poll(p, blobs_max=2, bytes_max=100) for p in self.phones]
            if all(settled):
                break
        else:
            raise AssertionError("polls went on without end")
        for phone in self.phones:
            for log, blobs in phone.held.items():
                assert blobs.keys() <= self.known.seen(log), "what a phone holds is here"
            for log, held in self.known.held.items():
                late = phone.late.get(log, set())
                assert held.keys() <= phone.held.get(log, {}).keys() | late, "all was delivered"

    async def deposit(self, log: Log, blobs: dict[int, bytes]) -> None:
        stored = await self.mailbox.deposit(
            [ClientBlob(*log, seq, data) for seq, data in blobs.items()], client="10.0.0.1"
        )
        for seq, data in blobs.items():
            if seq not in self.known.seen(log):
                self.known.held.setdefault(log, {})[seq] = data
                for phone in self.phones:
                    if seq < phone.height(log):
                        phone.late.setdefault(log, set()).add(seq)
        assert stored == {log: self.known.watermark(log)}

    async def poll(
        self,
        phone: Phone,
        *,
        blobs_max: int,
        bytes_max: int,
        growing: tuple[Log, int] | None = None,
    ) -> bool:
        """A poll, and an upload of what was missing; whether nothing was new or uploaded.

        `growing`: meanwhile that log gets numbers from that one on. Then nothing is uploaded.
        """
        heights = phone.heights()
        answer = await fetch(self.mailbox, heights, blobs_max=blobs_max, bytes_max=bytes_max)
        if growing is None:
            self.check_new(phone, answer, blobs_max=blobs_max)
        missing = {Log(log.topic, log.author): list(seqs) for log, seqs in answer.missing.items()}
        for topic, authors in heights.items():
            for author, height in authors.items():
                log = Log(topic, author)
                end = growing[1] if growing and growing[0] == log else height + 1
                named = range(min(height + 1, end))
                lacking = [seq for seq in named if seq not in self.known.seen(log)]
                assert [seq for seq in missing.get(log, []) if seq < end] == lacking
        for blob in answer.blobs:
            log = Log(blob.log.topic, blob.log.author)
            assert blob.data is not None
            assert blob.seq > heights[log.topic].get(log.author, -1)
            # Two polls of one phone may be answered with the same blob.
            phone.held.setdefault(log, {}).setdefault(blob.seq, blob.data)
        if growing is not None:
            return False
        uploaded = False
        for log, seqs in missing.items():
            mine = {seq: phone.held[log][seq] for seq in seqs if seq in phone.held[log]}
            if mine:
                uploaded = True
                await self.deposit(log, mine)
        return not (answer.blobs or uploaded)

    def check_new(self, phone: Phone, answer: FetchAnswer, *, blobs_max: int) -> None:
        """Of each log the lowest that are new, with their bytes; `more` while any is left out."""
        got: dict[Log, dict[int, bytes | None]] = {}
        for blob in answer.blobs:
            got.setdefault(Log(blob.log.topic, blob.log.author), {})[blob.seq] = blob.data
        left = 0
        for log, held in self.known.held.items():
            new = sorted(seq for seq in held if seq > phone.height(log))
            came = got.pop(log, {})
            assert list(came) == new[: len(came)]
            assert all(held[seq] == data for seq, data in came.items())
            left += len(new) - len(came)
        assert got == {}
        assert answer.more == (left > 0)
        assert len(answer.blobs) <= blobs_max
        assert answer.blobs or not left, "a page that leaves something out has something"


def content(log: Log, seq: int, size: int) -> bytes:
    return (f"{log.topic}/{log.author}/{seq};".encode() * (size // 8 + 1))[:size]


@pytest.mark.parametrize(("engine", "histories"), [("memory", 60), ("rocksdb", 8)])
def test_what_the_apps_conclude_is_true(
    engine: str, histories: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conversation, "engine", engine)
    monkeypatch.setattr(inventory, "LOG_RANGES_EMPTY_MAX", LOG_RANGES_MAX)
    run_state_machine_as_test(
        Conversation, settings=settings(max_examples=examples(histories), stateful_step_count=25)
    )
