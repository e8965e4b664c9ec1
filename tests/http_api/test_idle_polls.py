"""A remembered answer is the one that would be made: whatever happened in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.core.filling import Filling
from meshbox.core.ids import LogId
from meshbox.core.limits import IDLE_POLL_BYTES_MAX, IDLE_POLL_LOGS_MAX, IDLE_POLLS_BYTES_MAX
from meshbox.core.retention import BUCKET_MS
from meshbox.http_api.exchange import Answer
from meshbox.http_api.idle_polls import IdlePolls
from meshbox.mailbox.deposit import ClientBlob
from meshbox.mailbox.mailbox import Mailbox
from meshbox.mailbox.sweeping import sweep
from meshbox.storage.memory import MemoryKeyValue
from tests.clocks import ManualClock
from tests.http_api.serving import Service, serving
from tests.mailbox.stores import NODE_KEY, opened_store
from tests.waiting import eventually

TOPICS = ["t", "u"]
AUTHORS = ["a", "b"]
SEQS = st.integers(0, 5)

polls = st.dictionaries(
    st.sampled_from(TOPICS), st.dictionaries(st.sampled_from(AUTHORS), SEQS, max_size=2), min_size=1
)
blobs = st.tuples(st.sampled_from(TOPICS), st.sampled_from(AUTHORS), SEQS)
buckets = st.integers(1, 40)
steps = st.lists(polls | blobs | buckets | st.none(), max_size=25)
"""Polls, deposits, time that passes in buckets, sweeps; the polls are asked again after each."""


class Hold(Filling):
    """Holds every log back below a number, in every other step."""

    def __init__(self) -> None:
        self.below: int | None = None

    def stop_below(self, log: LogId, *, above: int | None) -> int | None:
        del log
        return self.below if self.below is not None and self.below > (above or 0) else None


@given(steps)
@example([("t", "a", 0), {"t": {"a": 0}}, ("t", "b", 0), ("t", "b", 1)])
@example([("t", "a", 0), ("t", "a", 2), {"t": {"a": 2}}, ("t", "a", 1)])
@example([("t", "a", 0), {"t": {"a": 3}}, 29, None, {"t": {}}, ("t", "a", 0), ("u", "a", 0)])
def test_it_is_answered_as_if_nothing_were_remembered(steps: Sequence[object]) -> None:
    async def run() -> None:
        clock, filling = ManualClock(), Hold()
        async with opened_store(MemoryKeyValue(), clock=clock) as store:
            mailbox = Mailbox(store, node_key=NODE_KEY, tag_salt=b"salt", filling=filling)
            remembering = IdlePolls(mailbox.planner)
            asked: list[dict[str, dict[str, int]]] = []
            for at, step in enumerate(steps):
                filling.below = 2 if at % 2 else None
                if isinstance(step, dict):
                    asked.append(step)
                elif isinstance(step, tuple):
                    topic, author, seq = step
                    await mailbox.deposit([ClientBlob(topic, author, seq, b"x")], client="")
                elif isinstance(step, int):
                    clock.advance(step * BUCKET_MS)
                else:
                    await sweep(store)
                for heights in asked:
                    await ask(remembering, mailbox, heights)

    asyncio.run(run())


async def ask(remembering: IdlePolls, mailbox: Mailbox, heights: dict[str, dict[str, int]]) -> None:
    """Asks both ways, and remembers."""
    body = json.dumps(heights).encode()
    known = await remembering.answer(body)
    plan = await mailbox.planner.plan(heights)
    fresh = Answer(200, repr((await mailbox.read(plan))._replace(topics=list(heights))).encode())
    assert known is None or known == fresh
    remembering.remember(body, plan, fresh)


async def test_a_poll_with_nothing_new_is_remembered_until_there_is(service: Service) -> None:
    await service.post("/blips/store", {"blips": {"t": {"a": {"0": ""}}}})
    idle = IdlePolls(service.mailbox.planner)
    plan = await service.mailbox.planner.plan({"t": {"a": 0}})
    answer = Answer(200, b"nothing")
    idle.remember(b"poll", plan, answer)
    for _ in range(2):
        assert await idle.answer(b"poll") is answer
    assert await idle.answer(b"another") is None
    await service.post("/blips/store", {"blips": {"t": {"b": {"7": ""}}}})
    assert await idle.answer(b"poll") is None


async def test_a_remembered_answer_waits_for_the_disk_too() -> None:
    key_value = MemoryKeyValue()
    async with opened_store(key_value) as store, serving(store) as service:
        body = {"topics": {"t": {"a": 0}}}
        await service.post("/blips/store", {"blips": {"t": {"a": {"0": ""}}}})
        for _ in range(2):
            assert (await service.post("/blips/get", body)).status == 200
        syncs = key_value.syncs
        key_value.hold_syncs()
        storing = asyncio.create_task(
            service.post("/blips/store", {"blips": {"u": {"a": {"0": ""}}}})
        )
        await eventually(lambda: key_value.syncs != syncs)
        polling = asyncio.create_task(service.post("/blips/get", body))
        done, _ = await asyncio.wait([polling], timeout=0.05)
        assert not done
        key_value.release_syncs()
        assert (await polling).status == 200
        await storing


async def test_what_is_remembered_is_bounded(service: Service) -> None:
    blobs = [ClientBlob("t", f"{n}", 0, b"") for n in range(IDLE_POLL_LOGS_MAX + 1)]
    await service.mailbox.deposit(blobs, client="")
    heights = {f"{n}": 0 for n in range(IDLE_POLL_LOGS_MAX + 1)}
    assert (await service.mailbox.planner.plan({"t": heights})).basis is None
    plan = await service.mailbox.planner.plan({"u": {}})
    idle = IdlePolls(service.mailbox.planner)
    answer = Answer(200, bytes(IDLE_POLLS_BYTES_MAX // 4))
    large = bytes(IDLE_POLL_BYTES_MAX + 1)
    idle.remember(large, plan, answer)
    assert await idle.answer(large) is None
    for n in range(5):
        idle.remember(b"%d" % n, plan, answer)
    found = [await idle.answer(b"%d" % n) is not None for n in range(5)]
    assert found == [False, False, True, True, True]
