"""The binding's errors, all bare `Exception` with a text, as ours.

A cause keeps its text and loses its traceback: a frame in it may hold an iterator or a family, and
as long as one of these lives, `close` does not give the lock back.
"""

from __future__ import annotations

from types import TracebackType

from meshbox.core.errors import MeshboxError, StoreBusy, StoreDamaged, StoreFailed, StoreLocked

_LOCKED = ("LOCK", "lock hold by")
_STALLED = "Write stall"
_DAMAGED = "Corruption:"
_UNREADABLE = ("Input/output error", "No such file or directory")


class faults:  # noqa: N801 - `with faults(…)`, at every access: a generator costs four times as much
    """Turns whatever the binding raises into `StoreFailed`, `StoreLocked` or `StoreBusy`.

    Damage is `StoreDamaged`: a wrong checksum anywhere; where `reads`, also a file that is missing
    or cannot be read.
    """

    __slots__ = ("_reads", "_what")

    def __init__(self, what: str, *, reads: bool = False) -> None:
        self._what = what
        self._reads = reads

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del trace
        if isinstance(error, Exception) and not isinstance(error, MeshboxError):
            # Without a name here: it would hold the frames that it came through, and these it.
            raise _ours(self._what, error, reads=self._reads) from error.with_traceback(None)


def _ours(what: str, error: Exception, *, reads: bool) -> StoreBusy | StoreFailed | StoreLocked:
    text = str(error)
    if _STALLED in text:
        return StoreBusy("the database is behind with its writes", hint="try again in a moment")
    if any(word in text for word in _LOCKED):
        return StoreLocked(
            "another process has this database open", hint="only one node may run on a data folder"
        )
    if _DAMAGED in text or (reads and any(word in text for word in _UNREADABLE)):
        return StoreDamaged(f"{what}: {text}")
    return StoreFailed(f"{what}: {text}")
