"""Turns: which peers may send this node blobs in parts now, since memory for them is the node's.

What came of a blob in parts is held until it is whole (core/session/assembly.py), so each peer
that is asked for some has a turn, of as many bytes as the largest of them by its offer. All
together have `PARTS_BYTES_MAX`. Who gets none waits, in the order of asking: a later one is let by
only where it leaves enough for all before it. A turn ends when nothing in parts is in flight. While
others wait it is not prolonged after `PARTS_TURN_MS`, and who has it for twice as long loses it
with its session: what came of its blob is kept (beginnings.py), and goes on with the next turn.

Plain calls from one thread; time comes in as monotonic milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshbox.core.ids import NodeId
from meshbox.core.limits import PARTS_BYTES_MAX, PARTS_TURN_MS, WANT_PATIENCE_MS

_WAITING_MS = 3 * WANT_PATIENCE_MS
"""Milliseconds after which one that asked no more does not wait any longer: who waits asks again
every `WANT_PATIENCE_MS`."""


@dataclass(slots=True, eq=False)
class Turn:
    """That of one session; `bytes` is 0 while it has none."""

    peer: NodeId
    bytes: int = 0
    since_ms: int = 0


@dataclass(slots=True)
class _Waiting:
    bytes: int
    asked_ms: int


class Turns:
    """The turns of one node."""

    __slots__ = ("_waiting", "_woken", "bytes", "bytes_uncommitted")

    def __init__(self) -> None:
        self.bytes = 0
        """Of all turns."""
        self.bytes_uncommitted = 0
        """Of blobs that are whole, and not committed, of all peers."""
        self._waiting: dict[Turn, _Waiting] = {}
        self._woken: set[NodeId] = set()

    def take(self, turn: Turn, size_bytes: int, *, now_ms: int) -> bool:
        """Whether blobs of up to `size_bytes` may be asked for; if not, it waits, and `take_woken`
        names its peer once a turn has ended."""
        size_bytes = max(turn.bytes, min(size_bytes, PARTS_BYTES_MAX))
        more_bytes = size_bytes - turn.bytes
        if self._is_long(turn, PARTS_TURN_MS, now_ms) or (
            more_bytes and not self._fits(turn, more_bytes, now_ms)
        ):
            self._waiting[turn] = _Waiting(size_bytes, now_ms)  # In its old place, if it had one.
            return False
        self._waiting.pop(turn, None)
        if not turn.bytes:
            turn.since_ms = now_ms
        turn.bytes = size_bytes
        self.bytes += more_bytes
        return True

    def give_back(self, turn: Turn) -> None:
        """Nothing in parts is in flight of it; those that waited longest are woken."""
        if not turn.bytes:
            return
        self.bytes -= turn.bytes
        turn.bytes = 0
        left_bytes = PARTS_BYTES_MAX - self.bytes
        for other, waiting in self._waiting.items():
            left_bytes -= waiting.bytes - other.bytes
            if left_bytes < 0:
                break
            self._woken.add(other.peer)

    def leave(self, turn: Turn) -> None:
        """Its session ended."""
        self._waiting.pop(turn, None)
        self.give_back(turn)

    def is_over(self, turn: Turn, *, now_ms: int) -> bool:
        """Whether others waited long enough for it."""
        return self._is_long(turn, 2 * PARTS_TURN_MS, now_ms)

    def take_woken(self) -> frozenset[NodeId]:
        """The peers that may get a turn now; each is named once."""
        woken = frozenset(self._woken)
        self._woken.clear()
        return woken

    def _is_long(self, turn: Turn, turn_ms: int, now_ms: int) -> bool:
        """Whether it has lasted for more than `turn_ms`, and others wait."""
        if not turn.bytes or now_ms - turn.since_ms <= turn_ms:
            return False
        return any(other is not turn for other, _ in self._queue(now_ms))

    def _fits(self, turn: Turn, more_bytes: int, now_ms: int) -> bool:
        """Whether so much more fits beside all turns and what those before it wait for."""
        left_bytes = PARTS_BYTES_MAX - self.bytes - more_bytes
        for other, waiting in self._queue(now_ms):
            if other is turn or left_bytes < 0:
                break
            left_bytes -= waiting.bytes - other.bytes
        return left_bytes >= 0

    def _queue(self, now_ms: int) -> Iterator[tuple[Turn, _Waiting]]:
        """Those that wait, without those that have been silent: as far as they are looked at."""
        for turn, waiting in tuple(self._waiting.items()):
            if now_ms - waiting.asked_ms > _WAITING_MS:
                del self._waiting[turn]
            else:
                yield turn, waiting
