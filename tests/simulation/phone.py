"""A phone: it polls mailboxes by the highest number that it has of each log, and never below, and
uploads what they say they miss, as the apps do.

What it is given is checked: whole and ascending, and no number skipped that the mailbox held, or
that a connected peer was just giving it (design.md 4.12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import LogId
from meshbox.core.limits import FILLING_GAIN_MS, FILLING_HOLD_MS_MAX
from meshbox.core.ranges import SeqRanges, union
from meshbox.core.retention import RETENTION_MAX_MS, bucket_start_ms
from meshbox.core.session.assembly import content_hash
from meshbox.mailbox.mailbox import FetchAnswer
from meshbox.storage.interface import StoredBlob
from tests.simulation.bringing import TOPICS, Brought, hand_in
from tests.simulation.node import Machine, Process
from tests.simulation.truth import Truth

LOOKS_S: Final = 0.01
"""Seconds between two looks at a mailbox that is being asked, and may take long."""


class Phone:
    """One reader."""

    def __init__(self, name: str, truth: Truth) -> None:
        self.name = name
        self.heights: dict[LogId, int] = {}
        self._has: dict[LogId, dict[int, Brought]] = {}
        self._truth = truth
        self._asking = asyncio.Lock()

    async def poll(self, machine: Machine, *, uploads: bool) -> int:
        """Asks a mailbox for what is new to it, and if it `uploads` brings what that misses; how
        many blobs moved. Nothing when it does not run, or ends meanwhile."""
        async with self._asking:
            process = machine.process
            if process is None:
                return 0
            polling = process.owner.start(self._poll(machine, process, uploads=uploads))
            await asyncio.wait([polling])
            return 0 if polling.cancelled() else polling.result()

    async def _poll(self, machine: Machine, process: Process, *, uploads: bool) -> int:
        heights: dict[str, dict[str, int]] = {topic: {} for topic in TOPICS}
        for log, height in self.heights.items():
            heights[log.topic][log.author] = height
        served = [_served(process)]
        watching = process.owner.start(_watch(process, served))
        try:
            plan = await process.mailbox.planner.plan(heights, blobs_max=6, bytes_max=4_096)
            answer = await process.mailbox.read(plan)
        except MeshboxError:
            return 0
        finally:
            watching.cancel()
        self._check(machine, [*served, _served(process)], answer)
        for blob in answer.blobs:
            self.heights[blob.log] = max(blob.seq, self.heights.get(blob.log, -1))
            self._keep(blob)
        missing = self._missing(answer) if uploads else []
        accepted = await hand_in(machine, process, missing, self._truth)
        self._truth.uploaded(machine.name, [(blob.log.key, blob.seq) for blob in accepted])
        return len(answer.blobs) + len(accepted)

    def _keep(self, blob: StoredBlob) -> None:
        assert blob.data is not None
        kept = self._has.setdefault(blob.log, {})
        kept[blob.seq] = Brought(blob.log, blob.seq, blob.blob_class, blob.data)

    def _missing(self, answer: FetchAnswer) -> list[Brought]:
        """What of the blobs that it has the mailbox says it misses."""
        named = ((self._has.get(log, {}), seqs) for log, seqs in answer.missing.items())
        return [kept[seq] for kept, seqs in named for seq in seqs if seq in kept]

    def _check(self, machine: Machine, served: Sequence[_Served], answer: FetchAnswer) -> None:
        """`served`: from when the mailbox was asked until it answered."""
        given: dict[LogId, list[int]] = {}
        for blob in answer.blobs:
            given.setdefault(blob.log, []).append(blob.seq)
            if blob.data is None or content_hash(blob.data) != blob.content_hash:
                self._truth.breaks("served wrong", f"blob {blob.seq} by {machine.name}")
        for log, seqs in given.items():
            height = self.heights.get(log, -1)
            if seqs != sorted(set(seqs)) or seqs[0] <= height:
                self._truth.breaks("served wrong", f"{seqs} above {height} by {machine.name}")
            due = SeqRanges((seq, seq + 1) for seq in seqs) & served[0].due.get(log, SeqRanges())
            if due:
                self._truth.breaks("served though due", f"{due} by {machine.name}")
            skipped = SeqRanges.of(height + 1, seqs[-1]) - SeqRanges((s, s + 1) for s in seqs)
            for moment in served:
                skipped &= moment.could_give(log)
            if skipped:
                self._truth.breaks("gap read past", f"{skipped} by {self.name} at {machine.name}")


class _Served(NamedTuple):
    """What a mailbox holds and waits for at one moment, by looking at each."""

    held: dict[LogId, SeqRanges]
    due: dict[LogId, SeqRanges]
    awaited: dict[LogId, SeqRanges]

    def could_give(self, log: LogId) -> SeqRanges:
        return self.held.get(log, SeqRanges()) | self.awaited.get(log, SeqRanges())


async def _watch(process: Process, served: list[_Served]) -> None:
    while True:
        await asyncio.sleep(LOOKS_S)
        served.append(_served(process))


def _served(process: Process) -> _Served:
    held: dict[LogId, SeqRanges] = {}
    due: dict[LogId, SeqRanges] = {}
    began_ms = process.store.now_ms() - RETENTION_MAX_MS
    swept = process.store.database.counts.swept
    for record in process.store.records().values():
        young = [
            run
            for run in record.runs
            if bucket_start_ms(run.bucket) > began_ms and run.bucket > swept
        ]
        held[record.log] = SeqRanges((run.first, run.end) for run in young)
        due[record.log] = record.held - held[record.log]
    awaited: dict[LogId, SeqRanges] = {}
    now_ms = int(asyncio.get_running_loop().time() * 1_000)
    ledger = process.sync.ledger
    for log, wants in ledger._logs.items():
        held_ms = ledger._held_ms(log, now_ms)
        if now_ms - wants.gained_ms > FILLING_GAIN_MS or held_ms > FILLING_HOLD_MS_MAX:
            continue
        offered = (r for peer, r in wants.offered.items() if peer not in wants.broken)
        awaited[log] = union(offered)
    return _Served(held, due, awaited)
