"""One session on one stream: the thin shell around the state machine of core/session/.

Three things happen at once: frames are read and given to the session, frames of the session are
written by the only writer, and its requests are answered by the store. Everything runs on one
event loop and the session is only ever called from it, so nothing here is locked.

A fault of the store ends the session with the store's code: nothing was acknowledged, and the
next session goes on where the durable cursor stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, NamedTuple

from meshbox.core.address import Endpoint, bare_host
from meshbox.core.errors import MeshboxError, PeerError, PeerLost, PeerStalled
from meshbox.core.ids import NodeId
from meshbox.core.limits import FRAMES_UNWRITTEN_MAX
from meshbox.core.rate import UNBOUNDED, RateLimit
from meshbox.core.session.effects import Effect, Finish, Proven, Request, Send, Told
from meshbox.core.session.frames import Addresses, Frame, PeerAt
from meshbox.core.session.session import Session, SessionState
from meshbox.storage.interface import MailboxStore
from meshbox.sync.requests import StoreRequests
from meshbox.sync.summaries import Summaries
from meshbox.sync.transport import FrameStream
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder

LAST_WORDS_S: Final = 1.0
"""Seconds for the last frames to be written to a peer that may be gone, and again for it to
close its side."""

Clock = Callable[[], int]


class Rates(NamedTuple):
    """What all sessions of a node together may move."""

    incoming: RateLimit = UNBOUNDED
    outgoing: RateLimit = UNBOUNDED


NO_BOUND: Final = Rates()


class SessionRunner:
    """Drives `session` over `stream` until it has ended."""

    def __init__(
        self,
        session: Session,
        stream: FrameStream,
        store: MailboxStore,
        summaries: Summaries,
        *,
        dialled_at: Endpoint | None,
        rates: Rates,
        clock: Clock,
        on_proven: Callable[[SessionRunner, NodeId], None],
        on_told: Callable[[SessionRunner, tuple[PeerAt, ...]], None],
        on_step: Callable[[], None],
        on_store_error: Callable[[MeshboxError], None],
    ) -> None:
        self.session = session
        self.dialled_at = dialled_at
        self.proven_ms: int | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.reason: str | None = None
        self.detail = ""
        self._rates = rates
        self._stream = stream
        self._store = store
        self._summaries = summaries
        self._clock = clock
        self._on_proven = on_proven
        self._on_told = on_told
        self._on_step = on_step
        self._on_store_error = on_store_error
        self._requests: StoreRequests | None = None
        self._encoder = FrameEncoder()
        self._decoder = FrameDecoder()
        self._outbox: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._over = asyncio.Event()
        self._answered = asyncio.Event()
        self._bug: BaseException | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}

    @property
    def dialled(self) -> bool:
        """Whether this side dialled."""
        return self.dialled_at is not None

    @property
    def dialler_host(self) -> str | None:
        """See `FrameStream`."""
        return self._stream.dialler_host

    @property
    def peer_host(self) -> str | None:
        """The address of the other side, as `bare_host` has it; a name where we dialled one."""
        host = self.dialled_at.host if self.dialled_at else self.dialler_host
        return None if host is None else bare_host(host)

    @property
    def ended(self) -> bool:
        """Whether the session is over (its last frames may still be on their way)."""
        return self.session.state is SessionState.ENDED

    async def run(self) -> None:
        """Returns when the session has ended and its last words were said; `reason` says why.

        Cancelling it cuts the stream, as a crash would. A bug of ours is raised.
        """
        reader = self._spawn(self._read_frames())
        writer = self._spawn(self._write_frames())
        try:
            self._carry_out(self.session.start())
            await self._over.wait()
            await asyncio.wait({writer}, timeout=LAST_WORDS_S)
            if writer.done():
                await self._stream.close_writing()
                await asyncio.wait({reader}, timeout=LAST_WORDS_S)
        finally:
            self._carry_out(self.session.fault(PeerLost("cut by this node")))
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._bug is not None:
            raise self._bug

    def wake(self) -> None:
        """The ledger named this session's peer."""
        self._carry_out(self.session.wake())

    def tick(self) -> None:
        """Time passed; about four times a second."""
        self._carry_out(self.session.tick(now_ms=self._clock()))

    def tell(self, addresses: Addresses) -> None:
        """Tells the peer where others are."""
        self._carry_out(self.session.tell(addresses))

    def close(self, reason: str, detail: str = "") -> None:
        """Ends the session by our own wish; `run` returns soon."""
        self._carry_out(self.session.close(reason, detail))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._outbox.put_nowait(effect.frame)
                case Finish():
                    self.reason, self.detail = effect.reason, effect.detail
                    self._outbox.put_nowait(None)
                    self._over.set()
                case Proven():
                    self._proven(effect.peer)
                case Told():
                    self._on_told(self, effect.peers)
                case _:
                    self._spawn(self._answer(effect))
        self._on_step()

    def _proven(self, peer: NodeId) -> None:
        hello = self.session.peer_hello
        assert hello is not None
        self.proven_ms = self._clock()
        self._encoder.offers_in_numbers = hello.reads_numbers
        self._requests = StoreRequests(
            self._store,
            self._summaries,
            peer=peer,
            epoch_id=hello.epoch_id,
            carried=self.session.carried,
        )
        self._on_proven(self, peer)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._bug = task.exception()
            self._over.set()

    async def _answer(self, request: Request) -> None:
        assert self._requests is not None
        try:
            result = await self._requests.answer(request)
        except MeshboxError as error:
            self._on_store_error(error)
            self.close(error.code, error.message)
            return
        self._carry_out(self.session.answer(request, result, now_ms=self._clock()))
        self._answered.set()

    async def _read_frames(self) -> None:
        """Reads to the stream's end, also after the session's: what comes then is ignored."""
        while (raw := await self._stream.read()) is not None:
            self.bytes_in += len(raw)
            try:
                effects = self.session.receive(self._decoder.decode(raw), now_ms=self._clock())
            except PeerError as error:
                effects = self.session.fault(error)
            self._carry_out(effects)
            self._check_unwritten()
            await _pause(self._rates.incoming, len(raw))
            while not self.session.reads_on:
                self._answered.clear()
                await self._answered.wait()
        cut = PeerLost("the stream ended without a word")
        self._carry_out(self.session.fault(cut))

    def _check_unwritten(self) -> None:
        """A peer that only speaks, and never reads the answers, may not fill our memory."""
        if self._outbox.qsize() > FRAMES_UNWRITTEN_MAX:
            stalled = PeerStalled(f"more than {FRAMES_UNWRITTEN_MAX} frames wait for it to read")
            self._carry_out(self.session.fault(stalled))

    async def _write_frames(self) -> None:
        while (frame := await self._outbox.get()) is not None:
            raw = self._encoder.encode(frame)
            self.bytes_out += len(raw)
            try:
                await self._stream.write(raw)
            except PeerLost as error:
                self._carry_out(self.session.fault(error))
                return
            await _pause(self._rates.outgoing, len(raw))
            self._carry_out(self.session.sent(frame))


async def _pause(limit: RateLimit, size_bytes: int) -> None:
    wait_s = limit.wait_s(size_bytes, now_s=asyncio.get_running_loop().time())
    if wait_s:
        await asyncio.sleep(wait_s)
