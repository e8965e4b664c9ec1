"""Bringing a server what it misses: bounded requests, one after another.

What came from such a server is not brought to one (core/bridging.py). What it does not take is
found by halves, and not brought again; but where it takes nothing at all, it is the server's fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.bridging import FarLog, brought, is_bridged
from meshbox.core.errors import ServerRefused
from meshbox.core.ids import LogId, Topic
from meshbox.core.limits import BLOB_BYTES_MAX, BROUGHT_BLOBS_MAX, BROUGHT_BYTES_MAX
from meshbox.core.ranges import SeqRanges
from meshbox.storage.interface import Deposit, MailboxStore, StoredBlob
from meshbox.sync.bridge.asked import Asked

FAULT_OF_WHAT_WAS_SENT: Final = frozenset({400, 413, 422})
"""Statuses by which a server says that another request, or half of this one, may succeed."""
REFUSED_MAX: Final = 16
"""Blobs not taken, one by one, and none taken beside them: then the server is at fault."""


@dataclass(slots=True)
class _Tally:
    """What became of the blobs so far."""

    taken: int = 0
    refused: int = 0


async def bring(
    wanted: Mapping[LogId, SeqRanges],
    asked: Asked,
    *,
    store: MailboxStore,
    server: MailboxServer,
) -> Counter[Topic]:
    """Brings the blobs held among `wanted`; how many the server took, by topic. Raises as `store`
    there."""
    count: Counter[Topic] = Counter()
    left = dict(wanted)
    tally = _Tally()
    while left:
        page = await store.read(
            list(left.items()),
            blobs_max=BROUGHT_BLOBS_MAX,
            bytes_max=BROUGHT_BYTES_MAX,
            whole_bytes_max=BLOB_BYTES_MAX,
        )
        fitting = [blob for blob in page.blobs if not is_bridged(blob.origin)]
        taken, refused = await _offer(fitting, server, tally)
        kept_back = [*refused, *(blob for blob in page.blobs if is_bridged(blob.origin))]
        known: dict[LogId, FarLog] = {}
        for blobs, was_taken in ((taken, True), (kept_back, False)):
            for log, seqs in _by_log(blobs).items():
                far = known.get(log, asked.log(log).far)
                known[log] = brought(far, seqs, taken=was_taken)
        if known:
            await store.commit(Deposit(notes=asked.brought(known)))
        store.count_relayed(len(taken))
        count.update(blob.log.topic for blob in taken)
        left = _after(left, page.blobs[-1]) if page.more else {}
    return count


async def _offer(
    blobs: Sequence[StoredBlob], server: MailboxServer, tally: _Tally
) -> tuple[list[StoredBlob], list[StoredBlob]]:
    """Brings `blobs`: those that were taken, and those that were not."""
    if not blobs:
        return [], []
    try:
        await server.store(_tree(blobs))
    except ServerRefused as error:
        if error.status not in FAULT_OF_WHAT_WAS_SENT:
            raise
        if len(blobs) == 1:
            tally.refused += 1
            if tally.refused >= REFUSED_MAX and not tally.taken:
                raise
            return [], list(blobs)
        half = len(blobs) // 2
        taken, refused = await _offer(blobs[:half], server, tally)
        more_taken, more_refused = await _offer(blobs[half:], server, tally)
        return taken + more_taken, refused + more_refused
    tally.taken += len(blobs)
    return list(blobs), []


def _tree(blobs: Sequence[StoredBlob]) -> dict[str, dict[str, dict[int, bytes]]]:
    tree: dict[str, dict[str, dict[int, bytes]]] = {}
    for blob in blobs:
        assert blob.data is not None, "read whole"
        tree.setdefault(blob.log.topic, {}).setdefault(blob.log.author, {})[blob.seq] = blob.data
    return tree


def _by_log(blobs: Sequence[StoredBlob]) -> dict[LogId, SeqRanges]:
    pairs: dict[LogId, list[tuple[int, int]]] = {}
    for blob in blobs:
        pairs.setdefault(blob.log, []).append((blob.seq, blob.seq + 1))
    return {log: SeqRanges(of_log) for log, of_log in pairs.items()}


def _after(left: Mapping[LogId, SeqRanges], last: StoredBlob) -> dict[LogId, SeqRanges]:
    """What of `left` comes after `last`, in the order in which it is read."""
    names = list(left)
    rest = {log: left[log] for log in names[names.index(last.log) :]}
    rest[last.log] = rest[last.log].from_(last.seq + 1)
    return {log: seqs for log, seqs in rest.items() if seqs}
