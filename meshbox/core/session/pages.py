"""The peer's open pages: offered to us and not settled yet. Knows no rule of what to ask for.

A page of the feed settles after all before it, and its cursor with it. A fresh page bears no
cursor and settles by itself. Bounds what a peer can make us remember: `PAGES_UNSETTLED_MAX` and
`FRESH_PAGES_UNSETTLED_MAX`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meshbox.core.errors import BlobUnasked, FrameUnexpected
from meshbox.core.ids import LogId
from meshbox.core.limits import FRESH_PAGES_UNSETTLED_MAX, PAGES_UNSETTLED_MAX
from meshbox.core.ranges import EMPTY, SeqRanges
from meshbox.core.session.frames import OfferedRun, Offers
from meshbox.core.session.lanes import Lane
from meshbox.core.wanting import size_guess_bytes


@dataclass(slots=True, eq=False)
class OpenLog:
    """One offered log on its way to settled."""

    log: LogId
    runs: tuple[OfferedRun, ...]
    size_guess_bytes: int
    largest_bytes: int
    lane: Lane
    open: SeqRanges = EMPTY
    """What we lack and have neither received nor been told is gone."""
    asked: SeqRanges = EMPTY
    """The part of `open` that this peer was asked for."""
    answered: SeqRanges = EMPTY
    """Received or gone: not asked for again, whatever a record read meanwhile says."""
    asked_node_ms: int = 0
    fresh_ms: int | None = None
    """When it was asked for as something new, monotonic, until some of it is stored."""
    uncommitted: SeqRanges = EMPTY
    """Received, and in commits under way."""
    stale: bool = False
    """Some of `open` may have come by another page: the record must be read again."""

    @property
    def in_flight(self) -> SeqRanges:
        """Asked for and not committed yet."""
        return self.asked | self.uncommitted


@dataclass(slots=True)
class OpenPage:
    """One page of the peer's feed, or a fresh one."""

    number: int
    cursor: bytes
    fresh: bool
    answers: bool
    logs: tuple[OpenLog, ...]
    assessed: bool = False
    """The records of all its logs were read once."""
    reading: bool = True
    """A read of records is under way."""
    gains: int = 0
    """The ledger's, when that read was asked for."""
    short: set[int] = field(default_factory=set)
    """Places with something to ask for once there is room, or once it came by another page."""
    denied: set[int] = field(default_factory=set)
    """Places that are being asked of another peer."""
    open_logs: int = 0
    """Places whose `open` is not empty, plus those never assessed."""
    closing: bool = False
    """Its cursor is in a commit under way."""

    def set_open(self, log: OpenLog, lacking: SeqRanges, *, first: bool = False) -> None:
        """What is lacked of `log` is `lacking` now; `first`: it was not known before."""
        was_open = first or bool(log.open)
        log.open = lacking
        if was_open and not lacking:
            self.open_logs -= 1
        elif lacking and not was_open:
            self.open_logs += 1


class Closing(NamedTuple):
    """Pages that are settled by the next commit."""

    pages: tuple[int, ...]
    cursor: bytes | None
    """The one behind the last of them that bears any."""
    answers: bool
    """With them, all that was asked for by name is settled."""


class OpenPages:
    """The open pages of one peer, iterated as they are to be asked for: fresh ones first."""

    def __init__(self) -> None:
        self._feed: dict[int, OpenPage] = {}
        self._fresh: dict[int, OpenPage] = {}
        self._by_log: dict[LogId, list[OpenLog]] = {}
        self._last = 0

    def __iter__(self) -> Iterator[OpenPage]:
        yield from self._fresh.values()
        yield from self._feed.values()

    @property
    def lag(self) -> int:
        """Blobs offered that we lack still."""
        return sum(log.open.count for page in self for log in page.logs)

    def add(self, frame: Offers) -> OpenPage:
        """The next page; `FrameUnexpected` when it is another, or one too many."""
        if frame.page != self._last + 1:
            raise FrameUnexpected(f"page {frame.page} after page {self._last}")
        if frame.fresh and frame.cursor:
            raise FrameUnexpected("a fresh page with a cursor")
        pages = self._fresh if frame.fresh else self._feed
        if len(pages) >= (FRESH_PAGES_UNSETTLED_MAX if frame.fresh else PAGES_UNSETTLED_MAX):
            raise FrameUnexpected(f"more than {len(pages)} unsettled pages")
        self._last = frame.page
        lane = Lane.FRESH if frame.fresh else Lane.FEED
        logs = tuple(_open_log(log, runs, lane) for log, runs in frame.logs)
        page = OpenPage(
            frame.page, frame.cursor, frame.fresh, frame.answers, logs, open_logs=len(logs)
        )
        pages[page.number] = page
        for log in logs:
            self._by_log.setdefault(log.log, []).append(log)
        return page

    def page(self, number: int) -> OpenPage:
        """The open page of this number."""
        found = self._feed.get(number) or self._fresh.get(number)
        assert found is not None, f"page {number} is not open"
        return found

    def answered(self, number: int, place: int) -> tuple[OpenPage, OpenLog]:
        """The page and log that an answer of the peer names; `BlobUnasked` when it is not open."""
        page = self._feed.get(number) or self._fresh.get(number)
        if page is None or place >= len(page.logs):
            raise BlobUnasked(f"an answer for log {place} of page {number}, which is not open")
        return page, page.logs[place]

    def of_log(self, log: LogId) -> Sequence[OpenLog]:
        """All places at which a log stands open."""
        return self._by_log.get(log, ())

    def all_logs(self) -> tuple[LogId, ...]:
        """Every log that stands open."""
        return tuple(self._by_log)

    def remove(self, number: int) -> OpenPage:
        """A page is settled."""
        page = self.page(number)
        (self._fresh if page.fresh else self._feed).pop(number)
        for log in page.logs:
            entries = self._by_log[log.log]
            entries.remove(log)
            if not entries:
                del self._by_log[log.log]
        return page

    def close_feed(self) -> Closing:
        """The oldest pages with nothing open, from now on closing."""
        numbers: list[int] = []
        cursor = None
        answers = False
        for page in self._feed.values():
            if page.open_logs or page.reading:
                break
            if not page.closing:
                page.closing = True
                numbers.append(page.number)
                cursor = page.cursor or cursor
                answers |= page.answers
        return Closing(tuple(numbers), cursor, answers)

    def fresh_done(self) -> tuple[int, ...]:
        """The fresh pages of which nothing is open or on its way to disk."""
        return tuple(
            page.number
            for page in self._fresh.values()
            if not (page.open_logs or page.reading or any(log.uncommitted for log in page.logs))
        )


def _open_log(log: LogId, runs: tuple[OfferedRun, ...], lane: Lane) -> OpenLog:
    largest_bytes = max((run.largest_bytes for run in runs), default=0)
    return OpenLog(log, runs, size_guess_bytes(runs), largest_bytes, lane)
