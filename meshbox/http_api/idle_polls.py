"""`IdlePolls`: the answers to polls that find nothing new, which most polls are.

A phone asks with the same bytes until it is told something. So the answer is remembered by these
bytes, with the records of the logs that it was planned from, and given again while they are the
same: no JSON, no plan, one look-up a topic, and the store's read barrier as ever.

Invariant: what is answered here is, byte for byte, what would be planned anew.
"""

from __future__ import annotations

from meshbox.core.bounded_cache import BoundedCache
from meshbox.core.limits import (
    IDLE_POLL_BYTES_MAX,
    IDLE_POLLS_BYTES_MAX,
    IDLE_POLLS_COUNT_MAX,
)
from meshbox.http_api.exchange import Answer
from meshbox.mailbox.planner import FetchPlan, FetchPlanner, TopicRecords

_RECORD_BYTES = 1_000
"""About the bytes of an ordinary log's record, which the store may have forgotten."""
_RUN_BYTES = 300


class IdlePolls:
    """The remembered answers of one API generation."""

    def __init__(self, planner: FetchPlanner) -> None:
        self._planner = planner
        self._known = BoundedCache[bytes, tuple[Answer, tuple[TopicRecords, ...]]](
            count_max=IDLE_POLLS_COUNT_MAX, weight_max=IDLE_POLLS_BYTES_MAX
        )

    async def answer(self, body: bytes) -> Answer | None:
        """The answer to a poll, if it is known and still right."""
        known = self._known.get(body)
        if known is None:
            return None
        answer, basis = known
        if await self._planner.is_current(basis):
            return answer
        self._known.discard(body)
        return None

    def remember(self, body: bytes, plan: FetchPlan, answer: Answer) -> None:
        """Keeps the answer to a poll when nothing was new to it."""
        if plan.basis is None or len(body) > IDLE_POLL_BYTES_MAX:
            return
        weight = len(body) + len(answer.body) + sum(map(_weight, plan.basis))
        self._known.put(body, (answer, plan.basis), weight=weight)


def _weight(topic: TopicRecords) -> int:
    ranges = sum(record.range_count for record in topic.records)
    return _RECORD_BYTES * len(topic.records) + _RUN_BYTES * ranges
