"""Ctrl-C and its relatives: they end the demo at once, but not between making and noting a thing.

A signal raises `Interrupted` in the main thread. Inside `held_off()` it waits for the end of the
block, where something is begun and noted for the end. After `ignore()` signals do nothing: what
remains is cleaning up, which is bounded in time and not to be cut short by a second Ctrl-C.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from scripts.demo_steps.faults import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_came: list[int] = []
_blocks: list[None] = []


def listen() -> None:
    """From now on signals raise `Interrupted`.

    An ignored SIGHUP stays so, since nohup asked for it; an ignored SIGINT does not: shells without
    job control begin every command in the background that way.
    """
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)


def ignore() -> None:
    """From now on signals do nothing."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held_off() -> Iterator[None]:
    """Lets the block come to its end before a signal is heeded."""
    _blocks.append(None)
    try:
        yield
    finally:
        _blocks.pop()
    _heed()


def _note(number: int, _: FrameType | None) -> None:
    _came.append(number)
    _heed()


def _heed() -> None:
    if _came and not _blocks:
        raise Interrupted(_came.pop())
