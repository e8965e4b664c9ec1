"""An event loop whose time is made up: it leaps to the next thing that is due.

Callbacks run in the order in which asyncio promises it, so a run is decided by what its parts draw
from their random sources, and by nothing else. A task belongs to whoever runs when it is made,
and can be ended with all that belongs to the same owner, as a process is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, Final

RESOLUTION_S: Final = 1e-6
"""Seconds by which a callback may come early, for the sake of sums of fractions."""


def looked_at_s(at_s: float, *, every_s: float) -> float:
    """When somebody notices what happens `at_s` who looks every so many seconds; 0: always."""
    return math.ceil(at_s / every_s) * every_s if every_s else at_s


class Owner:
    """Whom tasks belong to: a process, that ends as a whole."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs `work`, and what it starts, as a part of this process."""
        with self.acting():
            return asyncio.get_running_loop().create_task(work)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What is started in here is a part of this process."""
        before = _OWNER.set(self)
        try:
            yield
        finally:
            _OWNER.reset(before)

    def own(self, task: asyncio.Task[Any]) -> None:
        """One more task of this process."""
        self._tasks.append(task)

    def kill(self) -> None:
        """Nothing of this process goes on."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()


_OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


TURNS_MAX: Final = 20_000
"""Turns of the loop at one moment: far above what any work takes."""


class Deadlock(AssertionError):
    """Everything waits, and nothing would ever happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop without sockets, threads or a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        """What nobody caught."""
        self._now_s = 0.0
        self._clock_resolution = RESOLUTION_S
        self._selector = _Leaping(self)
        self.set_task_factory(_owned_task)
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        """Seconds since the loop was made, made up."""
        return self._now_s

    def leap(self, seconds: float) -> None:
        """Time passes at once."""
        self._now_s += seconds

    def end(self) -> None:
        """Everything that still runs is cancelled, and the loop closed."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _note_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context['message']}: {error!r}")


class _Leaping:
    """In the place of a selector: what would be a wait is a leap."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is left to happen")
        self._turns = 0 if timeout else self._turns + 1
        if self._turns > TURNS_MAX:
            raise Deadlock("much happens, and time does not pass")
        self._loop.leap(timeout)
        return []


def _owned_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    *,
    context: Context | None = None,
) -> asyncio.Task[Any]:
    assert isinstance(work, Coroutine)
    task = asyncio.Task(work, loop=loop, context=context)
    owner = _OWNER.get() if context is None else context.get(_OWNER)
    if owner is not None:
        owner.own(task)
    return task
