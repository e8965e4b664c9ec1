"""What is asked of which logs, and what is looked up for it."""

from __future__ import annotations

import pytest

from meshbox.core.bridging import FarLog
from meshbox.core.errors import AnswerTooLarge
from meshbox.core.ids import Topic
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.storage.interface import Deposit
from meshbox.sync.bridge import asked as module
from meshbox.sync.bridge.asked import Asked
from meshbox.sync.bridge.memory import Memory
from meshbox.sync.bridge.passed import Passed
from tests.contract.harness import MemoryHarness
from tests.contract.material import log_of
from tests.sync.bridge.bridging import deposit

T = Topic("t")


async def test_heights_of_what_is_here_known_and_passed(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "whole", 0, 1, 2)
    await deposit(store, "t", "holed", 2, 3)
    memory = Memory(store, url="u", server_id=None)
    had = FarLog(there=SeqRanges.of(0, 4))
    await store.commit(Deposit(notes=memory.notes({log_of("holed", "t"): had})))
    passed = Passed(now_ms=store.now_ms())
    passed.note(T, "in vain", 7)
    asked = Asked(store, memory)
    assert await asked.heights([T, Topic("u")], passed) == {
        "t": {"whole": 2, "in vain": 7},
        "u": {},
    }


async def test_an_answer_that_says_nothing_new_is_not_noted(harness: MemoryHarness) -> None:
    store = await harness.open()
    await deposit(store, "t", "a", 0, 1, 2)
    asked = Asked(store, Memory(store, url="u", server_id=None))
    await asked.heights([T], Passed(now_ms=0))
    assert list(await asked.learn({}, is_whole=True)) == []
    assert asked.news() == []
    (follows,) = await asked.learn({log_of("a", "t"): SeqRanges.of(1, 2)}, is_whole=True)
    assert follows[1].bring == SeqRanges.of(1, 2)
    assert len(asked.news()) == 1
    assert asked.news() == []


async def test_too_many_logs_for_one_request(
    harness: MemoryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BRIDGED_LOGS_MAX", 2)
    store = await harness.open()
    for author in "abc":
        await deposit(store, "t", author, 0)
    with pytest.raises(AnswerTooLarge):
        await Asked(store, Memory(store, url="u", server_id=None)).heights([T], Passed(now_ms=0))


async def test_what_had_no_room_is_not_taken_for_gone(harness: MemoryHarness) -> None:
    store = await harness.open()
    memory = Memory(store, url="u", server_id=None)
    log = log_of("in vain", "t")
    had = FarLog(there=SeqRanges.of(3, 6))
    await store.commit(Deposit(notes=memory.notes({log: had})))
    passed = Passed(now_ms=store.now_ms())
    passed.note(T, log.author, 5)
    asked = Asked(store, memory)
    await asked.heights([T], passed)
    ((_, follows),) = await asked.learn({log: SeqRanges.of(0, 3)}, is_whole=True)
    assert follows.far.gone == EMPTY
