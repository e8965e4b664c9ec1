"""The watch sees a turn that computes, not one that waits, and costs an idle loop nothing."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from meshbox.node.loop_watch import IDLE_INTERVAL_MS, LoopWatch
from tests.waiting import a_while, stand_by

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="another thread's CPU clock")


@pytest.fixture
async def watch() -> Iterator[LoopWatch]:  # type: ignore[misc]
    watch = LoopWatch()
    watch.start()
    yield watch
    watch.stop()


def compute(cpu_ms: float) -> None:
    end = time.thread_time() + cpu_ms / 1_000
    while time.thread_time() < end:
        pass


async def test_a_turn_that_computes_is_seen(watch: LoopWatch) -> None:
    held_ms = IDLE_INTERVAL_MS + 100
    compute(held_ms)
    await a_while(0.01)
    seen_ms = watch.held_ms_max
    assert seen_ms is not None
    # Less what was over before the sample that saw it.
    assert 50 < seen_ms < held_ms + 50


async def test_a_turn_that_waits_is_not_seen(watch: LoopWatch) -> None:
    stand_by(IDLE_INTERVAL_MS * 2 / 1_000)
    await a_while(0.01)
    assert watch.held_ms_max == 0.0


async def test_many_short_turns_are_not_one_long_one(watch: LoopWatch) -> None:
    def seen_ms() -> float:
        assert watch.held_ms_max is not None
        return watch.held_ms_max

    turns = 0
    while turns < 150 or not seen_ms():  # The sampling thread may have to wait for a core.
        compute(2)
        await asyncio.sleep(0)
        turns += 1
    assert seen_ms() < 100


async def test_stopping_does_not_wait_for_a_turn() -> None:
    watch = LoopWatch()
    watch.start()
    compute(IDLE_INTERVAL_MS + 50)  # By now the watch waits for a turn.
    watch.stop()
    watch.stop()


async def test_stopping_at_the_moment_of_a_sample_ends_too() -> None:
    watch = LoopWatch()
    sampling = threading.Event()
    times_ms = iter([0.0, 1_000.0])

    def read_ms() -> float:
        now_ms = next(times_ms)
        if now_ms:
            # The sample is taken, and the turn asked for, after `stop` was called.
            sampling.set()
            watch._stopped.wait()
            stand_by(0.05)
        return now_ms

    watch._read_ms = read_ms
    watch.start()
    sampling.wait()
    watch.stop()
    assert not watch._thread.is_alive()
