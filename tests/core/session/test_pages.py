"""The open pages of a peer: when one is done with."""

from __future__ import annotations

import pytest

from meshbox.core.errors import FrameUnexpected
from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.limits import FRESH_PAGES_UNSETTLED_MAX, PAGES_UNSETTLED_MAX
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.session.frames import OfferedLog, OfferedRun, Offers
from meshbox.core.session.pages import OpenPage, OpenPages


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"author{number}"))


def page_of(pages: OpenPages, number: int, logs: int) -> OpenPage:
    """A page of so many logs, whose records were all read: nothing of them is here."""
    run = OfferedRun(0, 1, BlobClass.OPAQUE, 1, 1, 0)
    offered = tuple(OfferedLog(log_of(log), (run,)) for log in range(logs))
    page = pages.add(Offers(number, offered, b"%d" % number))
    page.reading = False
    for log in page.logs:
        page.set_open(log, SeqRanges.single(0), first=True)
    return page


def test_a_page_closes_once_nothing_of_any_of_its_logs_is_lacked() -> None:
    pages = OpenPages()
    page = page_of(pages, 1, logs=2)
    first, second = page.logs
    for _ in ("once", "and again"):
        page.set_open(first, EMPTY)
    assert pages.close_feed().pages == ()
    page.set_open(second, EMPTY)
    assert pages.close_feed().pages == (1,)
    assert pages.close_feed().pages == (), "it is closing"


def test_a_log_that_is_lacked_again_keeps_its_page_open() -> None:
    pages = OpenPages()
    page = page_of(pages, 1, logs=2)
    for lacking in (EMPTY, SeqRanges.single(0)):
        for log in page.logs:
            page.set_open(log, lacking)
    assert page.open_logs == 2
    for log in page.logs:
        assert pages.close_feed().pages == ()
        page.set_open(log, EMPTY)
    assert pages.close_feed().pages == (1,)


@pytest.mark.parametrize("is_fresh", [True, False])
def test_pages_of_the_feed_and_fresh_ones_have_a_bound_each(*, is_fresh: bool) -> None:
    pages = OpenPages()
    pages_max = FRESH_PAGES_UNSETTLED_MAX if is_fresh else PAGES_UNSETTLED_MAX
    cursor, other_cursor = (b"", b"c") if is_fresh else (b"c", b"")
    for number in range(1, pages_max + 1):
        pages.add(Offers(number, (), cursor, is_fresh))
    with pytest.raises(FrameUnexpected):
        pages.add(Offers(pages_max + 1, (), cursor, is_fresh))
    pages.add(Offers(pages_max + 1, (), other_cursor, not is_fresh))
