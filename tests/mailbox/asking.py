"""Asks a mailbox as one request of the apps does."""

from __future__ import annotations

from typing import Any

from meshbox.mailbox.mailbox import FetchAnswer, Mailbox
from meshbox.mailbox.planner import Heights


async def fetch(mailbox: Mailbox, heights: Heights, **bounds: Any) -> FetchAnswer:
    """A page of what is new to a client at `heights`; `bounds` are those of `FetchPlanner.plan`."""
    return await mailbox.read(await mailbox.planner.plan(heights, **bounds))
