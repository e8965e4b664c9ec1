"""A stranger with an identity of its own that dials a node and misbehaves.

Each way of misbehaving is what it says once the handshake is over, and how it answers wants; what
breaks other rules stands in plots.py. None may make the node store what nobody wrote, hide or lose
anything, or go on for ever; the checks look at the node, not at the stranger.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from meshbox.core.errors import PeerError
from meshbox.core.ids import BlobClass, Origin, Topic, node_key_of
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.frames import (
    AskDifference,
    AskSketch,
    BlobPart,
    Blobs,
    Difference,
    Frame,
    Gone,
    Hello,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    Proof,
    Resume,
    Settled,
    Sketch,
    Want,
)
from meshbox.core.topics import OwnTopics
from meshbox.identity.key import Identity
from meshbox.sync.authenticator import NodeAuthenticator
from meshbox.sync.transport import FrameStream
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder
from tests.simulation.bringing import content_of, log_of
from tests.simulation.node import Machine

STAYS_S: Final = 12.0
"""Seconds that it waits to hear of its end."""
LOG: Final = 1
"""The number of the log that it lies about: one that authors write."""
ORIGIN: Final = Origin(b"s" * 32, b"lies")


def offer(*pairs: tuple[int, int], page: int = 1, size_bytes: int = 40) -> Offers:
    """A page of one log, of blobs of this size."""
    runs = tuple(
        OfferedRun(a, b, BlobClass.OPAQUE, (b - a) * size_bytes, size_bytes, 0) for a, b in pairs
    )
    return Offers(page, (OfferedLog(log_of(LOG), runs),), b"cursor %d" % page)


def part(page: int, place: int, seq: int, data: bytes, **changes: object) -> BlobPart:
    """A whole blob, but for the `changes`."""
    whole = BlobPart(
        page, place, seq, BlobClass.OPAQUE, 0, ORIGIN, content_hash(data), len(data), 0, data
    )
    return whole._replace(**changes)  # type: ignore[arg-type]


ANYTHING: Final = part(1, 0, 0, b"nobody wrote this")
ONE: Final = SeqRanges.of(0, 1)
PROOF: Final = Proof(b"\0" * 64)
RESUME: Final = Resume(())

SPEECHES: Final[tuple[tuple[Frame | bytes, ...], ...]] = (
    (b"\xff\xff\xff",),
    (offer((0, SEQ_END)),),
    (offer((3, 4), (6, 60)), offer((0, 50), page=2)),
    (offer((0, 9)), offer((0, 9), page=3)),
    tuple(offer((n, n + 1), page=n) for n in range(1, 9)),
    (Blobs((ANYTHING,)),),
    (offer((5, 50)), Blobs((ANYTHING._replace(log=7),))),
    (Gone(1, (PageRanges(0, ONE),)),),
    (offer((20, 30)), Gone(1, (PageRanges(0, SeqRanges.of(0, 90)),))),
    (Settled(9),),
    (Want(1, (PageRanges(200, ONE),)),),
    (Want(1, (PageRanges(0, SeqRanges.of(0, SEQ_END)),)),),
    (Want(77, (PageRanges(0, ONE),)),),
    (Resume(()), Resume(())),
    (PROOF,),
    (AskSketch(2), AskSketch(1)),
    (AskSketch(64), AskSketch(64)),
    (Sketch(Digest(), 3, bytes(SYMBOL_BYTES)),),
    (AskDifference(), AskDifference()),
    (Difference(()), Difference((1, 2, 3))),
    (Hello(b"\1" * 32, b"\2" * 32, b"\3" * 16),),
    (Offers(1, (), b"", fresh=True), Offers(2, (), b"cursor", fresh=True)),
    tuple(Offers(n, offer((n, n + 1)).logs, b"", fresh=True) for n in range(1, 6)),
)
"""What is said once the session is open; a node that is told none of it hears silence."""

Answer = Callable[[Want, PageRanges], Sequence[Frame]]
"""What is said to what is wanted of one log."""
Retort = Callable[[Offers], Sequence[Frame]]
"""What is said to a page of offers."""
Sketching = Callable[[AskSketch, int], Sketch]
"""The symbols told when some are asked for, after so many."""
Greeting = Callable[[Hello, Machine], Sequence[Frame]]
"""What is said instead of the handshake; `Hello` is what would be right."""


def _other_bytes(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """What nobody wrote, but what it may well hold."""
    return (Blobs((part(want.page, wanted.log, wanted.ranges.pairs[0][0], b"other bytes"),)),)


def _other_pieces(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """Pieces with the hash of what was written, and other bytes."""
    seq = wanted.ranges.pairs[0][0]
    written = content_hash(content_of(LOG, seq, variant=0, size_bytes=40))
    piece = part(want.page, wanted.log, seq, b"x" * 20, content_hash=written, size_bytes=40)
    return (Blobs((piece, piece._replace(offset=20))),)


def _piece_after_piece(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """The end of a blob without its beginning."""
    seq = wanted.ranges.pairs[0][0]
    return (Blobs((part(want.page, wanted.log, seq, b"an end", size_bytes=900, offset=500),)),)


def _too_much(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """A piece that is longer than its blob."""
    seq = wanted.ranges.pairs[0][0]
    return (Blobs((part(want.page, wanted.log, seq, b"too much", size_bytes=3),)),)


def _nothing_of_it(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """A piece without bytes."""
    seq = wanted.ranges.pairs[0][0]
    return (Blobs((part(want.page, wanted.log, seq, b"", size_bytes=900),)),)


def gone(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """One promise after another is broken."""
    return (Gone(want.page, (wanted,)),)


def _what_was_not_asked(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """A number beside those asked for."""
    return (Blobs((part(want.page, wanted.log, (wanted.ranges.highest or 0) + 1, b"poison"),)),)


def _silence(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """Nothing ever comes."""
    del want, wanted
    return ()


ANSWERS: Final[tuple[Answer, ...]] = (
    _silence,
    gone,
    _other_bytes,
    _other_pieces,
    _piece_after_piece,
    _too_much,
    _nothing_of_it,
    _what_was_not_asked,
)


def _of_nothing(ask: AskSketch, told: int) -> Sketch:
    """It holds nothing."""
    return Sketch(Digest(), told, bytes((ask.symbols - told) * SYMBOL_BYTES))


def _no_retort(offers: Offers) -> Sequence[Frame]:
    """It hears them, and no more."""
    del offers
    return ()


class Manner(NamedTuple):
    """What a stranger does otherwise than a node would; the rest it does right."""

    says: Sequence[Frame | bytes] = ()
    answers: Answer = _silence
    retorts: Retort = _no_retort
    sketches: Sketching = _of_nothing
    greets: Greeting | None = None
    topics: tuple[Topic, ...] = ()
    """What it says that it carries; none: everything."""
    opens: Frame = RESUME
    """How it begins, once it is proven; if otherwise, it resumes when told what differs."""
    is_dialled: bool = False
    """It is announced, and waits for the node to dial it."""
    stays_s: float = STAYS_S


def harassing(speech: int, answer: int) -> Manner:
    """The manner of one speech and one way to answer wants."""
    return Manner(SPEECHES[speech % len(SPEECHES)], ANSWERS[answer % len(ANSWERS)])


class Stranger:
    """One visit to a node, or of one."""

    def __init__(self, stream: FrameStream, identity: Identity, rng: random.Random) -> None:
        self._stream = stream
        self._identity = identity
        self._rng = rng
        self._encoder = FrameEncoder()
        self._decoder = FrameDecoder()

    async def visit(self, machine: Machine, manner: Manner) -> None:
        """Says its piece, and stays until it is thrown out, or for a while."""
        try:
            async with asyncio.timeout(manner.stays_s):
                await self._shake_hands(machine, manner)
                await self._say(manner.says)
                await self._listen(manner)
        except (PeerError, TimeoutError):
            """It is thrown out, or has seen enough."""

    async def _shake_hands(self, machine: Machine, manner: Manner) -> None:
        nonce = self._rng.randbytes(32)
        topics = OwnTopics(manner.topics).told(nonce) if manner.topics else b""
        node_key = node_key_of(self._identity.node_id)
        own = Hello(node_key, nonce, self._rng.randbytes(16), topics=topics)
        if manner.is_dialled:
            own = own._replace(leaf_fingerprint=self._identity.node_id.encode()[:32])
        if manner.greets is not None:
            await self._say(manner.greets(own, machine))
            return
        await self._say([own])
        while not isinstance(heard := await self._hear(), Hello):
            """Nothing comes before it."""
        if not manner.is_dialled:
            await self._prove(machine, heard, nonce)
        await self._say([manner.opens])

    async def _prove(self, machine: Machine, heard: Hello, nonce: bytes) -> None:
        signature = NodeAuthenticator(self._identity, b"").prove(
            server=machine.node_id,
            leaf_fingerprint=heard.leaf_fingerprint,
            server_nonce=heard.nonce,
            dialler_nonce=nonce,
        )
        await self._say([Proof(signature)])

    async def _listen(self, manner: Manner) -> None:
        told = 0
        while True:
            match await self._hear():
                case AskSketch() as ask:
                    await self._say([manner.sketches(ask, told)])
                    told = ask.symbols
                case AskDifference():
                    await self._say([Difference((1, 2, 3))])
                case Difference() if manner.opens != RESUME:
                    await self._say([RESUME])
                case Offers() as offers:
                    await self._say(manner.retorts(offers))
                case Want() as want:
                    for wanted in want.logs:
                        await self._say(manner.answers(want, wanted))

    async def _say(self, frames: Sequence[Frame | bytes]) -> None:
        for frame in frames:
            raw = frame if isinstance(frame, bytes) else self._encoder.encode(frame)
            await self._stream.write(raw)

    async def _hear(self) -> Frame:
        raw = await self._stream.read()
        if raw is None:
            raise TimeoutError
        return self._decoder.decode(raw)
