"""Store and get as /blobs and /blips have them in common: one data set, two dialects."""

from __future__ import annotations

from collections.abc import Sequence

from meshbox.http_api.deposits import client_blobs
from meshbox.http_api.exchange import Answer, Exchange
from meshbox.http_api.idle_polls import IdlePolls
from meshbox.http_api.settings import IdRule
from meshbox.http_api.waiting import wait_seconds
from meshbox.mailbox.deposit import check_counts
from meshbox.mailbox.mailbox import FetchAnswer, Mailbox, Watermarks
from meshbox.mailbox.planner import FetchPlan
from meshbox.wire.json_logs import (
    BlobTree,
    Dialect,
    FetchedTopic,
    HeightTree,
    count_heights,
    decode_heights,
    encode_fetched,
)


class NumberedLogs:
    """The logs of a mailbox for one dialect."""

    def __init__(self, mailbox: Mailbox, *, ids: IdRule, dialect: Dialect) -> None:
        self._mailbox = mailbox
        self._ids = ids
        self._dialect = dialect
        self._idle_polls = IdlePolls(mailbox.planner)

    async def store(self, exchange: Exchange, tree: BlobTree) -> Watermarks:
        """Stores what `tree` has, all or nothing; the watermarks afterwards."""
        blobs = await client_blobs(tree, ids=self._ids, dialect=self._dialect)
        return await self._mailbox.deposit(blobs, client=exchange.client)

    async def get(self, exchange: Exchange) -> Answer:
        """Answers a get request with a page; with `?wait=` as soon as it has something new."""
        seconds = wait_seconds(exchange)
        if seconds:
            return await self._get_later(exchange, seconds=seconds)
        body = await exchange.json_body()
        known = await self._idle_polls.answer(body)
        if known is not None:
            return known
        plan, answer = await self._get_now(exchange, self._heights(body))
        self._idle_polls.remember(body, plan, answer)
        return answer

    def _heights(self, body: bytes) -> HeightTree:
        heights = decode_heights(body)
        counts = count_heights(heights)
        check_counts(topics=counts.topics, logs=counts.logs)
        self._ids.check_all(heights)
        return heights

    async def _get_later(self, exchange: Exchange, *, seconds: float) -> Answer:
        heights = self._heights(await exchange.json_body())
        exchange.forget_body()
        left = exchange.when_left()
        await self._mailbox.wait_for_new(heights, seconds=seconds, left=left)
        _, answer = await self._get_now(exchange, heights)
        return answer

    async def _get_now(self, exchange: Exchange, heights: HeightTree) -> tuple[FetchPlan, Answer]:
        plan = await self._mailbox.planner.plan(heights, bytes_max=exchange.page_bytes_max())
        await exchange.lend_answer(plan.bytes_bound)
        answer = await self._mailbox.read(plan)
        return plan, Answer(200, _encoded(answer, self._dialect))


def _encoded(answer: FetchAnswer, dialect: Dialect) -> bytes:
    blobs: dict[str, dict[str, dict[int, bytes]]] = {topic: {} for topic in answer.topics}
    missing: dict[str, dict[str, Sequence[int]]] = {topic: {} for topic in answer.topics}
    for blob in answer.blobs:
        assert blob.data is not None
        blobs[blob.log.topic].setdefault(blob.log.author, {})[blob.seq] = blob.data
    for log, seqs in answer.missing.items():
        missing[log.topic][log.author] = seqs
    topics = {topic: FetchedTopic(blobs[topic], missing[topic]) for topic in answer.topics}
    return encode_fetched(topics, more=answer.more, dialect=dialect)
