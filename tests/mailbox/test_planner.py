"""Plans of answers: what they are made from, and for how long the same request is answered so."""

from __future__ import annotations

from meshbox.core.limits import IDLE_POLL_LOGS_MAX
from meshbox.mailbox.deposit import ClientBlob
from meshbox.mailbox.mailbox import Mailbox


async def deposit(mailbox: Mailbox, *blobs: tuple[str, str, int]) -> None:
    await mailbox.deposit([ClientBlob(*blob, b"x") for blob in blobs], client="")


async def test_an_answer_with_blobs_is_planned_anew_each_time(mailbox: Mailbox) -> None:
    await deposit(mailbox, ("t", "a", 0))
    assert (await mailbox.planner.plan({"t": {}})).basis is None


async def test_an_answer_without_any_is_right_until_its_topics_change(mailbox: Mailbox) -> None:
    await deposit(mailbox, ("t", "a", 0), ("u", "a", 0))
    plan = await mailbox.planner.plan({"t": {"a": 0}, "nothing": {}})
    assert plan.basis is not None
    await deposit(mailbox, ("u", "a", 1))
    assert await mailbox.planner.is_current(plan.basis)
    await deposit(mailbox, ("nothing", "a", 0))
    assert not await mailbox.planner.is_current(plan.basis)


async def test_what_is_missing_alone_makes_no_answer_new(mailbox: Mailbox) -> None:
    await deposit(mailbox, ("t", "a", 2))
    heights = {"t": {"a": 2}}
    assert not await mailbox.planner.has_new(heights)
    plan = await mailbox.planner.plan(heights)
    assert [list(seqs) for seqs in plan.missing.values()] == [[0, 1]]
    assert plan.basis is not None


async def test_more_logs_than_are_compared_are_planned_anew(mailbox: Mailbox) -> None:
    authors = [f"{n}" for n in range(IDLE_POLL_LOGS_MAX + 1)]
    await deposit(mailbox, *(("t", author, 0) for author in authors))
    assert (await mailbox.planner.plan({"t": dict.fromkeys(authors, 0)})).basis is None
