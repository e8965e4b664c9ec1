"""The promises, checked by their words and not by the code that keeps them.

- What a node acknowledged it holds, until it expired there; also after its power went.
- Nothing is shown that a power cut could take back.
- What goes for room is counted, and comes back when there is room.
- Nothing expired comes back; nothing lives longer than a week, or less but for its bucket.
- A cursor passes only what is settled, durably.
- What a node wants of others is bounded, and of connected peers only.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from meshbox.core import limits
from meshbox.core.forgetting import FORGET_FLOOR_MS
from meshbox.core.ids import BlobClass, LogKey, NodeId
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.retention import BUCKET_MS, HOUR_MS, RETENTION_MAX_MS, bucket_of
from meshbox.core.session import lanes
from meshbox.core.session.assembly import content_hash
from meshbox.core.topics import RULE_BYTES
from meshbox.storage.embedded.schema import blob_key
from meshbox.storage.interface import BlobPage, Deposit, FeedPage, NewBlob, Outcome
from meshbox.sync.service import SyncService
from tests.simulation.clocks import MachineClock
from tests.simulation.store import CheckedStore
from tests.simulation.truth import Book, Covered, Kept, Place, Truth

FLIGHT_MS = 10 * 60_000
"""More than any blob is ever on its way."""
CLOCK_MS = 1_000
"""More than the readings of one clock are ever apart."""
LIE_HASH = content_hash(b"other bytes")
"""Of what strangers may bring: to be opaque is no crime (stranger.py)."""


class MachineWatch:
    """A `Watch` of one machine."""

    def __init__(self, name: str, truth: Truth, book: Book, clock: MachineClock) -> None:
        self.name = name
        self.book = book
        self._truth = truth
        self._clock = clock
        self._audited: dict[LogKey, tuple[LogRecord, int]] = {}
        """Logs as they were last looked at, and how far time had leapt."""
        self._gone: list[int] = []
        """What is neither held nor expired any more, as far as the audit has come."""

    def committed(
        self,
        store: CheckedStore,
        deposit: Deposit,
        outcomes: Sequence[Outcome],
        *,
        due_through: int,
    ) -> None:
        """`due_through`: the newest bucket that was due when it was asked for."""
        for blob, outcome in zip(deposit.blobs, outcomes, strict=True):
            place = (blob.log.key, blob.seq)
            if outcome in (Outcome.STORED, Outcome.REPLACED):
                self._stored(store, blob, due_through=due_through)
            elif outcome is Outcome.KNOWN:
                self._known(place, blob, by_peer=not deposit.whole)
        self._check_cursors(store, [cursor.peer for cursor in deposit.cursors])

    def blobs_shown(self, store: CheckedStore, page: BlobPage) -> None:
        for blob in page.blobs:
            bucket = bucket_of(blob.stamp_ms)
            if store.key_value.is_at_risk(blob_key(bucket, blob.log.key, blob.seq)):
                self._breaks("shown before durable", f"blob {blob.seq}")

    def feed_shown(self, store: CheckedStore, page: FeedPage) -> None:
        if store.durable_change < page.view:
            self._breaks("shown before durable", f"a feed page of {page.view}")
        self.cursor_minted(store, page.cursor)

    def cursor_minted(self, store: CheckedStore, cursor: bytes) -> None:
        self._truth.seen(self.name, store, self.book)
        change = store.change_of(cursor)
        records = tuple(r for r in store.records().values() if r.runs and r.change <= change)
        self._truth.cursors[cursor] = Covered(self.name, records)

    def audit(self, store: CheckedStore) -> None:
        """Compares what is promised of the disk with all that is there."""
        self._truth.seen(self.name, store, self.book)
        wrong_ms = self._truth.clock_seen(self.name, store.now_ms())
        if not self._clock.was_doubtful and abs(wrong_ms) > CLOCK_MS:
            self._breaks("lost time", f"{wrong_ms} ms, though its clocks were always right")
        due_through = store.database.time.due_through()
        records = store.records()
        leapt_ms = self._truth.time.leapt_ms
        for key, record in records.items():
            last = self._audited.get(key)
            if last is None or last[0] is not record or last[1] != leapt_ms:
                self._audited[key] = record, leapt_ms
                shown = store.database.shown(record, due_through=due_through)
                self._audit_log(store, key, shown)
        for key, seq in tuple(self.book.kept):
            if key not in records and not self._forgot(store, key):
                self._breaks("lost", f"blob {seq} of a log that is not there")
        self._audit_evictions(store)

    def audit_opened(self, store: CheckedStore) -> None:
        """After an opening: what was promised before it, cursors too."""
        self._audited.clear()
        self.book.evictions = min(self.book.evictions, store.database.counts.evicted)
        self.audit(store)
        self._check_cursors(store, _peers(store))

    def _stored(self, store: CheckedStore, blob: NewBlob, *, due_through: int) -> None:
        place = (blob.log.key, blob.seq)
        before = self.book.expired.get(place)
        came_back = before is not None and before >= blob.blob_class
        if came_back and not self._forgot(store, blob.log.key):
            self._breaks("came back", f"blob {blob.seq}, which expired here")
        if bucket_of(min(blob.stamp_ms, store.now_ms())) <= due_through:
            self._breaks("stored though due", f"blob {blob.seq}")
        now_ms = self._truth.time.now_ms()
        self.book.kept[place] = Kept(content_hash(blob.data), blob.blob_class, now_ms)

    def _known(self, place: Place, blob: NewBlob, *, by_peer: bool) -> None:
        """The same bytes are held; who was not asked to keep them before is now."""
        if place not in self.book.kept:
            now_ms = self._truth.time.now_ms()
            self.book.kept[place] = Kept(content_hash(blob.data), blob.blob_class, now_ms)
        elif by_peer and self._truth.is_calm and (self.name, place) not in self._truth.brought:
            self._breaks("came twice", f"blob {blob.seq}")

    def _audit_log(self, store: CheckedStore, key: LogKey, record: LogRecord) -> None:
        pieces = record.range_count
        if pieces > limits.LOG_RANGES_MAX:
            self._breaks("unbounded", f"a log in {pieces} pieces")
        if pieces >= limits.LOG_RANGES_MAX - 1:
            self._truth.crowded.add(key)
        held = dict(_held(record))
        places = [(((key, seq)), run.bucket) for seq, run in held.items()]
        headers = store.database.held(places) if places else {}
        for (_, seq), found in headers.items():
            header = found.header
            self._audit_held((key, seq), Kept(header.content_hash, header.blob_class))
        for place in [p for p in self.book.kept if p[0] == key and p[1] not in held]:
            self._not_held(place, record)

    def _audit_held(self, place: Place, held: Kept) -> None:
        kept = self.book.kept.get(place)
        other = kept is not None and kept.content_hash != held.content_hash
        better = kept is not None and held.blob_class > kept.blob_class
        if other and not better and place[0] not in self._truth.crowded:
            self._breaks("changed", f"blob {place[1]}")
        birth = self._truth.births.get((*place, held.content_hash))
        if birth is None:
            if held.content_hash != LIE_HASH or held.blob_class is BlobClass.VERIFIED:
                self._breaks("invented", f"blob {place[1]}")
            return
        began_ms = self._truth.born_ms(*place, held.content_hash)
        if self._clock.was_doubtful and kept is not None:
            # What began while it was off may stay for a week from its storing (ADR 2).
            began_ms = max(began_ms, kept.stored_ms)
        age_ms = self._truth.time.now_ms() - began_ms
        if age_ms > RETENTION_MAX_MS + self._truth.unmeasured_ms:
            self._breaks("lives too long", f"blob {place[1]}, {age_ms / HOUR_MS:.1f} h")

    def _not_held(self, place: Place, record: LogRecord) -> None:
        key, seq = place
        kept = self.book.kept.pop(place)
        if key in self._truth.crowded:
            return
        if seq not in record.expired.all:
            self.book.evicted.add(key)
            self._gone.append(seq)
            return
        before = self.book.expired.get(place, kept.blob_class)
        self.book.expired[place] = max(before, kept.blob_class)
        birth = self._truth.births.get((key, seq, kept.content_hash))
        if birth is None:
            return
        age_ms = self._truth.time.now_ms() - birth.first_ms
        if age_ms < RETENTION_MAX_MS - BUCKET_MS - FLIGHT_MS - self._truth.ahead_ms:
            self._breaks("expired early", f"blob {seq}, {age_ms / HOUR_MS:.1f} h")

    def _forgot(self, store: CheckedStore, key: LogKey) -> bool:
        """Whether nothing is known of what expired of a log, nor need be: it is old enough to be
        forgotten, and the log may begin anew (ADR 22)."""
        record = store.records().get(key)
        old = {seq for log, seq in self.book.expired if log == key}
        if record is None:
            old |= {seq for log, seq in self.book.kept if log == key}
        elif any(seq in record.expired.all for seq in old):
            return False
        first_ms: dict[int, int] = {}
        for (log, seq, _), birth in self._truth.births.items():
            if log == key and seq in old:
                first_ms[seq] = min(birth.first_ms, first_ms.get(seq, birth.first_ms))
        newest_ms = max(first_ms.values(), default=0)
        least_ms = RETENTION_MAX_MS + FORGET_FLOOR_MS - BUCKET_MS - FLIGHT_MS - self._truth.ahead_ms
        return self._truth.time.now_ms() - newest_ms >= least_ms

    def _audit_evictions(self, store: CheckedStore) -> None:
        """What is neither held nor expired went for room, if the node says that as much did; it
        may have left what was seen since."""
        gone, self._gone = self._gone, []
        evictions = store.database.counts.evicted
        if len(gone) > evictions - self.book.evictions:
            self._breaks("lost", f"blobs {gone}")
        self.book.evictions = evictions

    def _check_cursors(self, store: CheckedStore, peers: Iterable[NodeId]) -> None:
        """The newest cursors of some peers, or those to which they go back when there is room."""
        for kept in store.database.peers(peers).values():
            if kept is not None and kept.has_passed:
                kept = kept.returned()
            for epoch in kept.epochs if kept else ():
                self._cursor_kept(store, epoch.cursors[0])

    def _cursor_kept(self, store: CheckedStore, cursor: bytes) -> None:
        covered = self._truth.cursors.get(cursor[RULE_BYTES:])
        if covered is None:
            return
        for record in covered.records:
            if record.log.key not in self._truth.crowded:
                self._check_settled(store, covered, record)

    def _check_settled(self, store: CheckedStore, covered: Covered, record: LogRecord) -> None:
        own = store.as_shown(store.database.records([record.log.key])[0])
        for run in record.runs:
            places = [(record.log.key, seq) for seq in unseen(own, run)]
            offered = run.blob_class
            lacking = [
                place[1] for place in places if not self._is_excused(place, covered.owner, offered)
            ]
            if lacking:
                self._breaks("cursor passed", f"{record.log.author} {lacking} of {covered.owner}")

    def _is_excused(self, place: Place, owner: str, offered: BlobClass) -> bool:
        """Whether it need not be seen: it may be due, or went for room, here or at its owner."""
        if place in self.book.kept or place[0] in self.book.evicted | self._truth.evicted_of(owner):
            return True
        return self._truth.is_old(*place) or not self._truth.holds(owner, place, offered)

    def _breaks(self, promise: str, detail: str) -> None:
        self._truth.breaks(promise, f"{detail} at {self.name}")


def unseen(record: LogRecord | None, run: Run, *, evicted_too: bool = True) -> list[int]:
    """The numbers of `run` that were never seen in its class or better; by looking at each.
    `evicted_too`: what went for room was seen."""
    if record is None:
        return list(range(run.first, run.end))
    own = record.run_of(run.first)
    if own is not None and own.end >= run.end and own.blob_class >= run.blob_class:
        return []
    gone = (record.expired, record.evicted) if evicted_too else (record.expired,)
    classes = [c for c in BlobClass if c >= run.blob_class]
    seen = [ranges[c] for ranges in gone for c in classes]
    return [
        seq
        for seq in range(run.first, run.end)
        if not _is_held(record, seq, run.blob_class) and not any(seq in one for one in seen)
    ]


def lacked(store: CheckedStore, record: LogRecord | None, run: Run) -> list[int]:
    """What of a neighbour's `run` a node should have seen and has not; what went for room it should
    have as soon as there is room for everything."""
    if not store.has_room_for(run.largest_bytes):
        return []
    return unseen(record, run, evicted_too=store.is_limited)


def _is_held(record: LogRecord, seq: int, blob_class: BlobClass) -> bool:
    run = record.run_of(seq)
    return run is not None and run.blob_class >= blob_class


def check_wants(truth: Truth, name: str, sync: SyncService) -> None:
    """What is wanted is bounded, and of connected peers only."""
    connected = {r.session.peer for r in sync._runners if not r.ended}
    for wants in sync.ledger._logs.values():
        if wants.offered.keys() - connected:
            truth.breaks("wanted of nobody", f"at {name}")
    for runner in sync._runners:
        reader = runner.session._reader
        if reader is None:
            continue
        pages = list(reader._pages)
        asked = sum(log.in_flight.count for page in pages for log in page.logs)
        if len(pages) > limits.PAGES_UNSETTLED_MAX + limits.FRESH_PAGES_UNSETTLED_MAX:
            truth.breaks("unbounded", f"pages at {name}")
        if asked > lanes.SEQS_ALL_MAX:
            truth.breaks("unbounded", f"{asked} numbers asked at {name}")
        if runner._outbox.qsize() > limits.FRAMES_UNWRITTEN_MAX + 8:
            truth.breaks("unbounded", f"frames at {name}")


def check_blame(truth: Truth, name: str, sync: SyncService, honest: Container[NodeId]) -> None:
    """Nobody who keeps the rules is found to break them, and kept out for it."""
    for status in sync.peers():
        if status.misbehaved and status.node_id in honest:
            truth.breaks("blamed", f"{status.node_id[:6]} at {name}")


def _held(record: LogRecord) -> Iterator[tuple[int, Run]]:
    for run in record.runs:
        for seq in range(run.first, run.end):
            yield seq, run


def _peers(store: CheckedStore) -> list[NodeId]:
    return list(store.database.peer_order._peers)
