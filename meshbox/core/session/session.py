"""One session with one peer: handshake, our feed told to it, its feed settled here.

The session is a state machine without I/O. The shell feeds it frames, answers to its requests,
"written" and "tick", with `now_ms` (monotonic) where time matters, and carries out the effects that
come back, in order. A fault of the peer ends the session with its code as the reason; a fault of
our own is an assertion. After `Finish` every input is ignored.

| state     | allowed from the peer                             | leaves it                     |
|-----------|---------------------------------------------------|-------------------------------|
| HANDSHAKE | hello, proof (handshake.py), end                  | proven: OPEN                  |
| OPEN      | resume once; what strangers say (comparing.py);   | end, a fault, `close`: ENDED  |
|           | offers, want, blobs, gone, settled, addresses, end|                               |
| ENDED     | -                                                 |                               |

Over 300 lines: one state machine, a method an input.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from meshbox.core.errors import FrameUnexpected, PeerEnded, PeerError, PeerLost
from meshbox.core.ids import NodeId
from meshbox.core.session.beginnings import Beginnings
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.comparing import Sketcher
from meshbox.core.session.effects import (
    AwaitChange,
    ChooseCursor,
    Commit,
    CompareSketch,
    Effect,
    FindFeedEnd,
    FindLogs,
    Finish,
    LoadCursors,
    MakeSketch,
    PrepareComparison,
    Proven,
    ReadBlobs,
    ReadFeed,
    ReadLogs,
    ReadPart,
    ReadRecords,
    ReadRefill,
    Request,
    Send,
    Told,
)
from meshbox.core.session.frames import (
    Addresses,
    AskDifference,
    AskLogs,
    AskSketch,
    Blobs,
    Difference,
    End,
    Frame,
    Gone,
    Hello,
    Offers,
    Proof,
    Resume,
    Settled,
    Sketch,
    Want,
)
from meshbox.core.session.handshake import Authenticator, Handshake
from meshbox.core.session.reading import FeedReader
from meshbox.core.session.sending import FeedSender
from meshbox.core.session.serving import WantServer
from meshbox.core.topics import ALL_TOPICS, Carried, ToldTopics
from meshbox.core.wants import WantLedger


class SessionState(Enum):
    """See the table above."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    ENDED = "ended"


class Session:
    """One side of a session. `dialled` is the id that this side dialled; None: it answers.

    `ledger` and `beginnings` are shared by all sessions of a node.
    """

    def __init__(
        self,
        *,
        hello: Hello,
        dialled: NodeId | None,
        authenticator: Authenticator,
        ledger: WantLedger,
        beginnings: Beginnings,
        carried: Carried = ALL_TOPICS,
        now_ms: int,
    ) -> None:
        self.state = SessionState.HANDSHAKE
        self.ended_by: PeerError | None = None
        self._handshake = Handshake(
            own=hello, dialled=dialled, authenticator=authenticator, now_ms=now_ms
        )
        self._hello = hello
        self._dialled = dialled
        self.carried = carried
        self._ledger = ledger
        self._beginnings = beginnings
        self._claims = PeerClaims()
        self._server = WantServer()
        self._sender: FeedSender | None = None
        self._sketcher: Sketcher | None = None
        self._reader: FeedReader | None = None

    @property
    def peer(self) -> NodeId | None:
        """The proven peer; None before."""
        return self._handshake.peer

    @property
    def peer_hello(self) -> Hello | None:
        """What the peer said of itself; proven only once `peer` is."""
        return self._handshake.peer_hello

    @property
    def blobs_in(self) -> int:
        """Blobs stored that came by this session."""
        return self._reader.blobs_in if self._reader else 0

    @property
    def duplicates_in(self) -> int:
        """Blobs that came by this session and were held already."""
        return self._reader.duplicates_in if self._reader else 0

    @property
    def reads_on(self) -> bool:
        """Whether the shell may read further frames: enough of the peer's blobs are committed."""
        if self._reader is None or self.state is SessionState.ENDED:
            return True
        return not self._reader.is_full

    @property
    def blobs_out(self) -> int:
        """Blobs sent by this session."""
        return self._server.blobs_out

    @property
    def lag(self) -> int:
        """Blobs that the peer offered and we lack still."""
        return self._reader.lag if self._reader else 0

    @property
    def pages_unsettled(self) -> int:
        """Pages that we offered and the peer has not settled."""
        return self._sender.pages_unsettled if self._sender else 0

    @property
    def is_settled(self) -> bool:
        """Whether the peer settled all of our feed, and knows so durably."""
        return self._sender is not None and self._sender.is_settled

    @property
    def progress_ms(self) -> int | None:
        """Monotonic time of the last offer, blob or commit that came of the peer's feed."""
        return self._reader.progress_ms if self._reader else None

    def start(self) -> list[Effect]:
        """Begins: both sides say hello at once."""
        return self._guarded(lambda: _sends(self._handshake.start()))

    def receive(self, frame: Frame, *, now_ms: int) -> list[Effect]:
        """A frame of the peer."""
        return self._guarded(lambda: self._receive(frame, now_ms))

    def fault(self, error: PeerError) -> list[Effect]:
        """The shell found the peer at fault (a frame that does not decode, a cut stream)."""
        return self._guarded(lambda: _raise(error))

    def answer(self, request: Request, result: Any, *, now_ms: int) -> list[Effect]:
        """The result of a request, of the type that the request's docstring names."""
        return self._guarded(lambda: self._answer(request, result, now_ms))

    def sent(self, frame: Frame) -> list[Effect]:
        """`frame` was written to the stream."""
        if not isinstance(frame, Blobs | Gone):
            return []
        return self._guarded(self._server.sent)

    def wake(self) -> list[Effect]:
        """The ledger named this peer: what another was asked for may be free now."""
        return self._guarded(lambda: self._reader.wake() if self._reader else [])

    def tell(self, addresses: Addresses) -> list[Effect]:
        """Tells the peer where others are, if it wishes to be told."""
        hello = self.peer_hello
        if self.state is not SessionState.OPEN or hello is None or not hello.hears_addresses:
            return []
        return [Send(addresses)]

    def tick(self, *, now_ms: int) -> list[Effect]:
        """Time passed; call about four times a second."""
        return self._guarded(lambda: self._tick(now_ms))

    def close(self, reason: str, detail: str = "") -> list[Effect]:
        """Ends the session by our own wish; the peer is told the reason."""
        if self.state is SessionState.ENDED:
            return []
        return self._end(reason, detail, tell=True)

    def _guarded(self, step: Callable[[], list[Effect]]) -> list[Effect]:
        if self.state is SessionState.ENDED:
            return []
        try:
            return step()
        except PeerError as error:
            self.ended_by = error
            told = not isinstance(error, PeerLost | PeerEnded)
            return self._end(error.code, error.message, tell=told)

    def _end(self, reason: str, detail: str, *, tell: bool) -> list[Effect]:
        self.state = SessionState.ENDED
        if self._reader is not None:
            self._reader.close()
        last: list[Effect] = [Send(End(reason, detail))] if tell else []
        return [*last, Finish(reason, detail)]

    def _tick(self, now_ms: int) -> list[Effect]:
        self._handshake.tick(now_ms)
        if self._reader is None or self._sender is None:
            return []
        return self._reader.tick(now_ms) + self._sender.tick(now_ms)

    def _receive(self, frame: Frame, now_ms: int) -> list[Effect]:
        if isinstance(frame, End):
            raise PeerEnded(f"{frame.reason}: {frame.detail}" if frame.detail else frame.reason)
        if self.state is SessionState.HANDSHAKE:
            return self._greet(frame, now_ms)
        return self._open(frame, now_ms)

    def _greet(self, frame: Frame, now_ms: int) -> list[Effect]:
        effects = _sends(self._handshake.receive(frame))
        peer = self.peer
        if peer is None:
            return effects
        self.state = SessionState.OPEN
        self._reader = FeedReader(
            peer=peer,
            ledger=self._ledger,
            beginnings=self._beginnings,
            carried=self.carried,
            now_ms=now_ms,
        )
        key = self._sketch_key()
        is_dialler = self._dialled is not None
        hello = self.peer_hello
        assert hello is not None
        self._sender = FeedSender(
            sketch_key=key,
            is_dialler=is_dialler,
            claims=self._claims,
            carried=ToldTopics(hello.nonce, hello.topics),
            compares=not hello.topics and not self._hello.topics,
            ledger=self._ledger,
        )
        self._sketcher = Sketcher(key) if is_dialler else None
        return [*effects, Proven(peer), LoadCursors(peer)]

    def _sketch_key(self) -> bytes:
        """The epoch of the side that was dialled: random, known to both, the same for all who
        dial it, and unknown to those who write logs."""
        hello = self.peer_hello if self._dialled else self._hello
        assert hello is not None
        return hello.epoch_id

    def _open(self, frame: Frame, now_ms: int) -> list[Effect]:
        reader, sender, sketcher = self._reader, self._sender, self._sketcher
        assert reader is not None
        assert sender is not None
        assert self.peer is not None
        self._ledger.heard(self.peer, now_ms=now_ms)
        match frame:
            case Offers():
                self._claims.offered(frame.logs)
                return reader.offers(frame, now_ms=now_ms)
            case Blobs():
                return reader.blobs(frame, now_ms=now_ms)
            case Gone():
                return reader.gone(frame, now_ms=now_ms)
            case Resume():
                return sender.resumed(frame.cursors)
            case AskSketch():
                if sketcher is None:
                    raise FrameUnexpected("a sketch was asked of the side that was dialled")
                return sketcher.asked(frame)
            case AskDifference():
                return sender.difference_asked()
            case Difference():
                return sender.difference_told(frame)
            case Sketch():
                return sender.sketched(frame)
            case AskLogs():
                return sender.asked_for(frame)
            case Want():
                return self._server.want(frame, sender.wanted(frame.page))
            case Settled():
                return sender.settled(frame)
            case Addresses():
                return [Told(frame.peers)]
            case Hello() | Proof() | End():
                raise FrameUnexpected(f"{type(frame).__name__} after the handshake")

    def _answer(self, request: Request, result: Any, now_ms: int) -> list[Effect]:
        reader, sender, sketcher = self._reader, self._sender, self._sketcher
        assert reader is not None
        assert sender is not None
        match request:
            case LoadCursors():
                return [Send(Resume(result)), *reader.start()]
            case ReadRefill():
                return reader.refill_read(result)
            case ChooseCursor():
                return sender.cursor_chosen(result)
            case MakeSketch():
                assert sketcher is not None
                return sketcher.made(result)
            case PrepareComparison():
                return []
            case CompareSketch():
                return sender.compared(result)
            case FindLogs():
                return sender.logs_found(result)
            case ReadLogs():
                return sender.logs_read(result)
            case ReadFeed():
                return sender.feed_read(request, result)
            case AwaitChange():
                return sender.feed_moved(request, deposited=result)
            case FindFeedEnd():
                return sender.feed_end(request, result)
            case ReadBlobs():
                return self._server.blobs_read(request, result)
            case ReadPart():
                return self._server.part_read(request, result)
            case ReadRecords():
                return reader.records_read(request, result, now_ms=now_ms)
            case Commit():
                return reader.committed(request, result, now_ms=now_ms)


def _sends(frames: list[Frame]) -> list[Effect]:
    return [Send(frame) for frame in frames]


def _raise(error: PeerError) -> list[Effect]:
    raise error
