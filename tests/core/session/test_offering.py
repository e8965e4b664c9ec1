"""Our pages at the peer: numbered, open until settled, and how much is on its way in them."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.inventory import LogRecord, Run
from meshbox.core.limits import (
    FRESH_BYTES_MAX,
    FRESH_PAGES_UNSETTLED_MAX,
    FRESH_SEQS_MAX,
    PAGES_UNSETTLED_MAX,
)
from meshbox.core.retention import bucket_of
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.effects import Send
from meshbox.core.session.frames import OfferedLog, OfferedRun, Offers, Settled
from meshbox.core.session.offering import OfferedPages
from meshbox.core.topics import ALL_TOPICS, OwnTopics
from tests.core.session.model import NODE_MS, RETENTION

LOG = LogId(Namespace.LOGS, parse_topic("topic"), parse_author("author"))
OPAQUE = BlobClass.OPAQUE


def pages() -> OfferedPages:
    return OfferedPages(PeerClaims(), ALL_TOPICS)


def offered(blobs: int, size_bytes: int, *, first: int = 5) -> tuple[OfferedLog, ...]:
    run = OfferedRun(first, first + blobs, OPAQUE, size_bytes, size_bytes, 0)
    return (OfferedLog(LOG, (run,)),)


def test_pages_are_numbered_whatever_they_are() -> None:
    ours = pages()
    assert ours.offer(offered(1, 1), b"c") == Send(Offers(1, offered(1, 1), b"c", False, False))
    assert ours.offer((), b"", fresh=True) == Send(Offers(2, (), b"", True, False))
    assert ours.offer((), b"d", answers=True) == Send(Offers(3, (), b"d", False, True))
    assert (ours.unsettled, ours.unsettled_feed) == (3, 2)
    first = ours.page(1)
    assert (first.logs, first.blobs, first.bytes) == ((LOG,), 1, 1)
    assert (first.fresh, first.relayed, first.wanted) == (False, False, False)
    assert not ours.page(2).relayed


def test_those_of_the_feed_are_settled_in_their_order_and_fresh_ones_in_any() -> None:
    ours = pages()
    for fresh in (False, True, False, True):
        ours.offer((), b"", fresh=fresh)
    assert ours.settled(Settled(4)).fresh
    with pytest.raises(FrameUnexpected):
        ours.settled(Settled(3))
    ours.settled(Settled(1))
    ours.settled(Settled(3))
    with pytest.raises(FrameUnexpected):
        ours.settled(Settled(3))
    assert (ours.unsettled, ours.unsettled_feed) == (1, 0)
    with pytest.raises(FrameUnexpected):
        ours.page(1)


def test_there_is_room_for_so_many_of_each_kind() -> None:
    ours = pages()
    for _ in range(PAGES_UNSETTLED_MAX):
        assert ours.has_room
        ours.offer((), b"")
    assert not ours.has_room
    for _ in range(FRESH_PAGES_UNSETTLED_MAX):
        assert ours.has_fresh_room
        ours.offer((), b"", fresh=True)
    assert not ours.has_fresh_room
    ours.settled(Settled(1))
    assert ours.has_room


@pytest.mark.parametrize(
    ("blobs", "size_bytes", "heavy"),
    [
        (FRESH_SEQS_MAX // 2, 1, False),
        (FRESH_SEQS_MAX // 2 + 1, 1, True),
        (1, FRESH_BYTES_MAX // 2, False),
        (1, FRESH_BYTES_MAX // 2 + 1, True),
    ],
)
def test_pages_of_the_feed_are_heavy_together(blobs: int, size_bytes: int, heavy: bool) -> None:
    ours = pages()
    ours.offer(offered(10 * FRESH_SEQS_MAX, 10 * FRESH_BYTES_MAX), b"", fresh=True)
    assert not ours.are_heavy
    for _ in range(2):
        ours.offer(offered(blobs, size_bytes, first=10**6), b"")
    assert ours.are_heavy is heavy


def test_what_is_due_or_claimed_or_not_carried_is_in_no_page() -> None:
    fresh, due = bucket_of(NODE_MS), 0
    record = LogRecord(LOG, 1, (Run(0, 3, due, OPAQUE, 3, 1), Run(3, 5, fresh, OPAQUE, 2, 1)))
    claims = PeerClaims()
    (told,) = OfferedPages(claims, ALL_TOPICS).of([record], retention=RETENTION, now_ms=NODE_MS)
    assert (told.log, [(run.first, run.end) for run in told.runs]) == (LOG, [(3, 5)])
    other = OfferedPages(claims, OwnTopics([parse_topic("other")]))
    assert other.of([record], retention=RETENTION, now_ms=NODE_MS) == ()
    claims.offered((told,))
    assert OfferedPages(claims, ALL_TOPICS).of([record], retention=RETENTION, now_ms=NODE_MS) == ()
