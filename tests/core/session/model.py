"""Two sessions face to face, over the real codec, each on a naive store that answers by hand.

The harness owns every order: which side's frame arrives next, which request is answered next.
`Pair.run` draws that order from a random source, so a seed is a schedule.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from meshbox.core.ids import BlobClass, LogId, LogKey, NodeId, Origin, node_id_of
from meshbox.core.inventory import LogDraft, LogRecord
from meshbox.core.reconcile import (
    SYMBOL_BYTES,
    Digest,
    Sketch,
    differing,
    element_of,
    pack_symbols,
    unpack_symbols,
)
from meshbox.core.retention import RETENTION_MAX_MS, Retention, bucket_of
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.beginnings import Beginnings
from meshbox.core.session.comparing import SYMBOLS_FIRST
from meshbox.core.session.effects import (
    AwaitChange,
    BlobsRead,
    ChooseCursor,
    Commit,
    Committed,
    Compared,
    CompareSketch,
    Effect,
    FeedRead,
    FindFeedEnd,
    FindLogs,
    Finish,
    HeldBlob,
    LoadCursors,
    LogsFound,
    MakeSketch,
    PrepareComparison,
    Proven,
    ReadBlobs,
    ReadFeed,
    ReadLogs,
    ReadPart,
    ReadRecords,
    ReadRefill,
    RecordsRead,
    RefillRead,
    Request,
    Send,
    SketchMade,
    Told,
)
from meshbox.core.session.frames import Blobs, Frame, Hello, PeerAt
from meshbox.core.session.session import Session
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from meshbox.core.wants import WantLedger
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder

NODE_MS = 100 * RETENTION_MAX_MS
RETENTION = Retention(RETENTION_MAX_MS)
ORIGIN = Origin(b"\1" * 32, b"\2" * 4)


class Moment(NamedTuple):
    """What a node holds, for those that it shares no cursor with."""

    elements: dict[int, LogKey]
    cursor: bytes

    @property
    def digest(self) -> Digest:
        return Digest().adding(self.elements)

    def sketch(self, count: int) -> list[int]:
        sketch = Sketch(list(self.elements))
        for _ in sketch.extend(count):
            pass
        return sketch.symbols

    def compare(self, request: CompareSketch) -> Compared:
        if request.digest == self.digest:
            return Compared((), (), len(self.elements), self.cursor)
        theirs = unpack_symbols(request.symbols)
        found = result_of(differing(self.sketch(len(theirs)), theirs))
        if found is None:
            return Compared(None, (), len(self.elements), self.cursor)
        foreign = tuple(found - self.elements.keys())
        return Compared(self.logs_of(found), foreign, len(self.elements), self.cursor)

    def logs_of(self, elements: Iterable[int]) -> tuple[LogKey, ...]:
        return tuple(self.elements[element] for element in elements if element in self.elements)


class ModelNode:
    """What one node holds, and its answers. Everything it commits is durable at once."""

    def __init__(self, number: int, *, carried: OwnTopics = ALL_TOPICS) -> None:
        self.carried = carried
        self.hears = True
        self.key = bytes([number]) * 32
        self.node_id = node_id_of(self.key)
        self.ledger = WantLedger()
        self.beginnings = Beginnings()
        self.blobs: dict[tuple[LogId, int], bytes] = {}
        self.records: dict[LogId, LogRecord] = {}
        self.cursors: dict[NodeId, list[bytes]] = {}
        self.moments: dict[tuple[str, NodeId], Moment] = {}
        self.change = 0
        self.holds_relays = False
        """What peers brought has not waited long enough, where it is to wait."""
        self.deposited = 0
        """The change of the last blob that no peer brought."""
        self.refill: dict[NodeId, list[LogKey]] = {}
        self.received: list[tuple[LogId, int]] = []
        self.feeds_read = 0
        self.records_read = 0

    def hello(self, *, nonce: int) -> Hello:
        told = self.carried.told(bytes([nonce]) * 32)
        own = Hello(self.key, bytes([nonce]) * 32, self.key[:16], b"\7" * 32, topics=told)
        return own._replace(hears_addresses=self.hears)

    def put(
        self, log: LogId, seq: int, data: bytes, blob_class: BlobClass, *, brought: bool = False
    ) -> bool:
        """Stores one blob; False when the number is seen already."""
        draft = LogDraft(self.records.get(log, LogRecord(log, 0)))
        if draft.admit(seq, blob_class).value != "new":
            return False
        draft.add(seq, blob_class=blob_class, bucket=bucket_of(NODE_MS), size_bytes=len(data))
        self.change += 1
        self.records[log] = draft.finish(self.change)
        self.blobs[log, seq] = data
        self.deposited = self.deposited if brought else self.change
        return True

    def lose(self, log: LogId, seq: int) -> None:
        """The blob is not held any more, as after expiry."""
        data = self.blobs.pop((log, seq))
        draft = LogDraft(self.records[log])
        draft.remove(seq, size_bytes=len(data))
        self.records[log] = draft.finish(self.records[log].change)

    def can_answer(self, request: Request) -> bool:
        if isinstance(request, ReadRefill):
            return bool(self.refill.get(request.peer))
        if not isinstance(request, AwaitChange):
            return True
        holds = self.holds_relays and request.relays_wait_ms
        return (self.deposited if holds else self.change) > request.change

    def answer(self, request: Request, peer: NodeId) -> Any:
        match request:
            case LoadCursors():
                return tuple(reversed(self.cursors.get(request.peer, [])))[:1]
            case ChooseCursor():
                return request.cursors[0] if request.cursors else None
            case ReadRefill():
                return RefillRead(tuple(self.refill[request.peer]), b"all")
            case AwaitChange():
                return self.deposited > request.change
            case MakeSketch():
                moment = self._moment("told", peer, request.key, anew=not request.first)
                sketch = moment.sketch(request.end)[request.first :]
                return SketchMade(moment.digest, pack_symbols(sketch))
            case PrepareComparison():
                return None
            case CompareSketch():
                first = len(request.symbols) == SYMBOLS_FIRST * SYMBOL_BYTES
                moment = self._moment("compared", peer, request.key, anew=first)
                return moment.compare(request)
            case FindLogs():
                moment = self.moments["told", peer]
                return LogsFound(moment.logs_of(request.elements), moment.cursor)
            case ReadLogs():
                by_key = {log.key: record for log, record in self.records.items()}
                records = tuple(by_key.get(key) for key in request.keys)
                return RecordsRead(records, NODE_MS, RETENTION)
            case ReadFeed():
                return self._feed(request)
            case FindFeedEnd():
                return FeedRead((), b"%d" % self.change, self.change, False, NODE_MS, RETENTION)
            case ReadRecords():
                self.records_read += 1
                records = tuple(self.records.get(log) for log in request.logs)
                return RecordsRead(records, NODE_MS, RETENTION)
            case ReadBlobs():
                return self._read(request)
            case ReadPart():
                data = self.blobs.get((request.blob.log, request.blob.seq))
                end = request.offset + request.size
                return None if data is None else data[request.offset : end]
            case Commit():
                return self._commit(request, peer)

    def _moment(self, what: str, peer: NodeId, key: bytes, *, anew: bool) -> Moment:
        """What is held; for all asks of one session the same."""
        if anew:
            held = (record for record in self.records.values() if record.runs)
            elements = {element_of(key, r.log.key, r.runs): r.log.key for r in held}
            self.moments[what, peer] = Moment(elements, b"%d" % self.change)
        return self.moments[what, peer]

    def _feed(self, request: ReadFeed) -> FeedRead:
        self.feeds_read += 1
        after = int(request.after or b"0")
        changed = sorted((r for r in self.records.values() if r.change > after), key=_change_of)
        page = changed[: request.logs_max]
        through = page[-1].change if len(page) < len(changed) else self.change
        more = len(page) < len(changed)
        return FeedRead(tuple(page), b"%d" % through, self.change, more, NODE_MS, RETENTION)

    def _read(self, request: ReadBlobs) -> BlobsRead:
        found: list[HeldBlob] = []
        size_bytes = 0
        for log, ranges in request.wanted:
            for seq in ranges.numbers():
                data = self.blobs.get((log, seq))
                if data is None:
                    continue
                whole = len(data) <= request.whole_bytes_max
                size_bytes += len(data) if whole else 0
                full = len(found) >= request.blobs_max or size_bytes > request.bytes_max
                if found and full:
                    return BlobsRead(tuple(found), more=True)
                found.append(
                    HeldBlob(
                        log,
                        seq,
                        BlobClass.OPAQUE,
                        5,
                        ORIGIN,
                        content_hash(data),
                        len(data),
                        data if whole else None,
                        None,
                    )
                )
        return BlobsRead(tuple(found), more=False)

    def _commit(self, request: Commit, peer: NodeId) -> Committed:
        stored = 0
        for blob in request.blobs:
            stored += self.put(blob.log, blob.seq, blob.data, blob.blob_class, brought=True)
            self.received.append((blob.log, blob.seq))
        if request.refilled is not None:
            assert request.refilled == b"all"
            self.refill[peer].clear()
        if request.cursor is not None:
            self.cursors.setdefault(peer, []).append(request.cursor)
        return Committed(stored, len(request.blobs) - stored)


class TrustingAuthenticator:
    """Signs by naming the server; refuses any other signature."""

    def __init__(self, own: NodeId) -> None:
        self.own = own

    def prove(self, *, server: NodeId, **_: bytes) -> bytes:
        return server.encode().ljust(64, b"\0")

    def check(self, proof: bytes, **_: object) -> bool:
        return proof == self.own.encode().ljust(64, b"\0")


@dataclass
class Side:
    """One end: its session, what it asked and what is on the way to the other end."""

    node: ModelNode
    session: Session
    outgoing: deque[Frame] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    finished: str | None = None
    proven: NodeId | None = None
    told: list[PeerAt] = field(default_factory=list)
    sent: list[Frame] = field(default_factory=list)
    encoder: FrameEncoder = field(default_factory=FrameEncoder)
    decoder: FrameDecoder = field(default_factory=FrameDecoder)

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.outgoing.append(effect.frame)
                    self.sent.append(effect.frame)
                case Finish():
                    self.finished = effect.reason
                case Proven():
                    self.proven = effect.peer
                case Told():
                    self.told += effect.peers
                case _:
                    self.requests.append(effect)


class Pair:
    """A dialler and an answerer, joined."""

    def __init__(self, left: ModelNode, right: ModelNode, *, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.now_ms = 1_000
        self.sides = (
            Side(left, _session(left, dialled=right.node_id)),
            Side(right, _session(right, dialled=None)),
        )
        for side in self.sides:
            side.do(side.session.start())

    def run(self, *, steps_max: int = 100_000) -> int:
        """Takes steps in an order drawn from the seed until nothing is left to do."""
        for step in range(steps_max):
            if not self.step():
                return step
        raise AssertionError("the pair never comes to rest")

    def rest(self) -> None:
        """Runs until nothing is left to do, also not with time."""
        for _ in range(8):
            self.run()
            self.tick(250)
        self.run()

    def tick(self, passed_ms: int) -> None:
        """Time passes."""
        self.now_ms += passed_ms
        for side in self.sides:
            side.do(side.session.tick(now_ms=self.now_ms))

    def step(self) -> bool:
        """One frame delivered or one request answered; False when there is nothing to do."""
        choices = [
            (kind, index)
            for index, side in enumerate(self.sides)
            for kind, ready in (("deliver", side.outgoing), ("answer", self._ready(side)))
            if ready
        ]
        if not choices:
            return False
        kind, index = self.random.choice(choices)
        if kind == "deliver":
            self._deliver(index)
        else:
            self._answer(self.sides[index])
        return True

    def answer_all(self, side: Side, *, answers_max: int = 100) -> None:
        """Answers what a side asks, as long as it asks for more, and delivers nothing."""
        for _ in range(answers_max):
            if self._ready(side):
                self._answer(side)

    def _ready(self, side: Side) -> list[Request]:
        """What may be answered now: commits in their order, all else in any."""
        ready = [request for request in side.requests if side.node.can_answer(request)]
        commits = [request for request in ready if isinstance(request, Commit)]
        return [r for r in ready if not isinstance(r, Commit) or r is commits[0]]

    def _deliver(self, index: int) -> None:
        side, other = self.sides[index], self.sides[1 - index]
        frame = side.outgoing.popleft()
        side.do(side.session.sent(frame))
        raw = side.encoder.encode(frame)
        if other.finished is None:
            received = other.decoder.decode(raw)
            other.do(other.session.receive(received, now_ms=self.now_ms))

    def _answer(self, side: Side) -> None:
        request = self.random.choice(self._ready(side))
        side.requests.remove(request)
        assert side.proven is not None
        result = side.node.answer(request, side.proven)
        side.do(side.session.answer(request, result, now_ms=self.now_ms))
        woken = side.node.ledger.take_woken()
        if side.proven in woken:
            side.do(side.session.wake())


def result_of(work: Generator[None, None, Any]) -> Any:
    """What `work` returns."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


def blobs_sent(side: Side) -> list[tuple[int, int, int]]:
    """(page, place, seq) of every whole blob or first part that the side sent."""
    return [
        (part.page, part.log, part.seq)
        for frame in side.sent
        if isinstance(frame, Blobs)
        for part in frame.parts
        if part.offset == 0
    ]


def _session(node: ModelNode, *, dialled: NodeId | None) -> Session:
    return Session(
        hello=node.hello(nonce=3 if dialled else 4),
        dialled=dialled,
        authenticator=TrustingAuthenticator(node.node_id),
        ledger=node.ledger,
        beginnings=node.beginnings,
        carried=node.carried,
        now_ms=1_000,
    )


def _change_of(record: LogRecord) -> int:
    return record.change
