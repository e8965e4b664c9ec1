"""Commits that may overlap, and those that may not."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import StoreFailed
from meshbox.sync.ordering import CommitOrder
from tests.contract.material import turns


class Commits:
    """Commits that end when they are told to, and what overlapped."""

    def __init__(self) -> None:
        self.order = CommitOrder()
        self.begun: list[int] = []
        self.answered: list[int] = []
        self.running: set[int] = set()
        self.overlaps: set[frozenset[int]] = set()
        self.ends: dict[int, asyncio.Future[None]] = {}

    def start(self, number: int, *, alone: bool) -> asyncio.Task[int]:
        self.ends[number] = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self._run(number, alone=alone))

    async def _run(self, number: int, *, alone: bool) -> int:
        result = await self.order.run(lambda: self._commit(number), alone=alone)
        self.answered.append(result)
        return result

    async def _commit(self, number: int) -> int:
        self.begun.append(number)
        self.overlaps |= {frozenset((number, other)) for other in self.running}
        self.running.add(number)
        try:
            await self.ends[number]
        finally:
            self.running.remove(number)
        return number


async def test_small_ones_overlap_and_a_lonely_one_waits_for_all_before_it() -> None:
    commits = Commits()
    tasks = [commits.start(at, alone=at == 2) for at in range(4)]
    await turns()
    assert commits.begun == [0, 1]
    commits.ends[1].set_result(None)
    await turns()
    assert commits.begun == [0, 1]
    commits.ends[0].set_result(None)
    await turns()
    assert commits.begun == [0, 1, 2]
    commits.ends[2].set_result(None)
    commits.ends[3].set_result(None)
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]


@given(st.lists(st.booleans(), max_size=8), st.randoms(use_true_random=False))
def test_a_lonely_one_overlaps_with_nothing_whatever_ends_first(
    alone: list[bool], rng: object
) -> None:
    async def run() -> Commits:
        commits = Commits()
        tasks = [commits.start(at, alone=is_alone) for at, is_alone in enumerate(alone)]
        while len(done := [task for task in tasks if task.done()]) < len(tasks):
            await turns(5)
            running = sorted(commits.running)
            if running:
                ended = rng.choice(running)  # type: ignore[attr-defined]
                commits.ends[ended].set_result(None)
        assert len(done) == len(tasks)
        return commits

    commits = asyncio.run(run())
    lonely = {at for at, is_alone in enumerate(alone) if is_alone}
    assert not any(pair & lonely for pair in commits.overlaps)
    assert commits.begun == commits.answered == list(range(len(alone)))


@pytest.mark.parametrize("later", range(6))
async def test_one_that_waits_for_a_lonely_one_is_not_overtaken(later: int) -> None:
    """However many turns of the loop after the lonely one's end the next is called for."""
    commits = Commits()
    tasks = [commits.start(0, alone=True), commits.start(1, alone=False)]
    await turns()
    commits.ends[0].set_result(None)
    await turns(later)
    tasks.append(commits.start(2, alone=False))
    await turns()
    assert commits.begun == [0, 1, 2]
    for end in (commits.ends[1], commits.ends[2]):
        end.set_result(None)
    await asyncio.gather(*tasks)


async def test_the_answer_of_a_quick_one_waits_for_those_before_it() -> None:
    commits = Commits()
    tasks = [commits.start(at, alone=False) for at in range(3)]
    await turns()
    commits.ends[2].set_result(None)
    commits.ends[0].set_result(None)
    await turns()
    assert commits.answered == [0]
    commits.ends[1].set_result(None)
    await asyncio.gather(*tasks)
    assert commits.answered == [0, 1, 2]


async def test_after_one_that_failed_none_follows() -> None:
    commits = Commits()
    tasks = [commits.start(at, alone=at > 0) for at in range(3)]
    await turns()
    commits.ends[0].set_exception(StoreFailed("no disk"))
    for task in tasks:
        with pytest.raises(StoreFailed):
            await task
    assert commits.begun == [0]
    with pytest.raises(StoreFailed):
        await commits.start(9, alone=False)
