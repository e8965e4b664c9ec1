"""What the reference server keeps: dicts and sets, by the rules of compat 1.1 and 1.2.

Shares nothing with meshbox: no ranges, no runs, no stamps, only what was stored, when, and every
sequence number ever seen. Hours are those of a clock that the tests move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.interop.flaws import Flaw

WEEK_H = 7 * 24.0
CAP = 10_000
PAGE_BLOBS, PAGE_BYTES = 1_000, 4 << 20

Tree = dict[str, dict[str, dict[int, bytes]]]
Heights = dict[str, dict[str, int]]
Missing = dict[str, dict[str, list[int]]]


class Kept(NamedTuple):
    """One blob and the hour of its storing."""

    data: bytes
    at_h: float


@dataclass
class Log:
    """All of one author in one topic."""

    blobs: dict[int, Kept] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)


class ReferenceStore:
    """Logs and messages, with the planted mistakes."""

    def __init__(self, planted: frozenset[Flaw]) -> None:
        self._planted = planted
        self.now_h = 0.0
        self._logs: dict[str, dict[str, Log]] = {}
        self._messages: dict[str, list[Kept]] = {}

    def restart(self) -> None:
        """A kill and a start."""
        if Flaw.LOST_AT_RESTART in self._planted:
            self._logs.clear()
        for log in self._each_log():
            if Flaw.WATERMARK_LOST_AT_RESTART in self._planted:
                log.seen = {seq for seq, kept in log.blobs.items() if self._is_alive(kept)}

    def deposit(self, tree: Tree) -> dict[str, dict[str, int | None]]:
        """Stores `tree`; the watermark of each of its logs."""
        marks: dict[str, dict[str, int | None]] = {}
        for topic, authors in tree.items():
            for author, blobs in authors.items():
                log = self._logs.setdefault(topic, {}).setdefault(author, Log())
                before = self._watermark(log)
                for seq, data in blobs.items():
                    self._store(log, seq, data)
                mark = self._watermark(log)
                if Flaw.WATERMARK_STOPS_AT_STORED in self._planted and before is not None:
                    mark = min(mark or 0, max(before, *blobs))
                if mark is None and Flaw.WATERMARK_LEFT_OUT_WHEN_NONE in self._planted:
                    continue
                if mark == before and Flaw.WATERMARK_ONLY_WHEN_CHANGED in self._planted:
                    continue
                if blobs:
                    marks.setdefault(topic, {})[author] = mark
        return marks

    def fetch(self, heights: Heights) -> tuple[Tree, Missing, bool]:
        """What is new to a client, what it should upload, and whether there is more."""
        heights = self._misread(heights)
        new = {
            (topic, author): seqs
            for topic, asked in heights.items()
            for author, seqs in self._new_in(topic, asked)
        }
        page = dict(self._page(new))
        more = sum(map(len, page.values())) < sum(map(len, new.values()))
        tree: Tree = {topic: {} for topic in heights}
        for (topic, author), seqs in page.items():
            blobs = self._logs[topic][author].blobs
            tree[topic][author] = {seq: blobs[seq].data for seq in seqs}
        missing = {topic: self._missing_in(topic, asked) for topic, asked in heights.items()}
        self._share_cap(missing)
        if more and Flaw.PAGE_WITHOUT_MISSING in self._planted:
            missing = {topic: {} for topic in heights}
        if Flaw.ALL_TOPICS in self._planted:
            tree, missing = self._everything(tree, missing)
        return tree, missing, more

    def append(self, topic: str, data: bytes) -> None:
        """Stores a message."""
        kept = self._messages.setdefault(topic, [])
        if Flaw.MESSAGES_TWICE in self._planted or data not in (other.data for other in kept):
            kept.append(Kept(data, self.now_h))
        if Flaw.MESSAGES_ARE_BLOBS in self._planted:
            self.deposit({topic: {"": {len(kept): data}}})

    def messages(self, topics: Iterable[str]) -> dict[str, list[bytes]]:
        """Messages by topic, oldest first."""
        found: dict[str, list[bytes]] = {}
        for topic in topics:
            names = [topic]
            if Flaw.COLON_MESSAGES in self._planted:
                names += [name for name in self._messages if name.startswith(f"{topic}:")]
            kept = [kept for name in names for kept in self._messages.get(name, ())]
            alive = [each.data for each in kept if self._is_alive(each)]
            if Flaw.NEWEST_MESSAGE_FIRST in self._planted:
                alive.reverse()
            if alive or Flaw.UNKNOWN_MESSAGE_TOPIC_LEFT_OUT not in self._planted:
                found[topic] = alive
        return found

    def _store(self, log: Log, seq: int, data: bytes) -> None:
        kept = log.blobs.get(seq)
        if kept is not None and self._is_alive(kept):
            data = data if Flaw.NEWEST_WINS in self._planted else kept.data
            at_h = self.now_h if Flaw.STORING_AGAIN_RENEWS in self._planted else kept.at_h
            log.blobs[seq] = Kept(data, at_h)
        elif kept is None or Flaw.EXPIRED_IS_TAKEN_AGAIN in self._planted:
            log.blobs[seq] = Kept(data, self.now_h)
        log.seen.add(seq)

    def _is_alive(self, kept: Kept) -> bool:
        if Flaw.NEVER_EXPIRES in self._planted:
            return True
        week_h = 24.0 if Flaw.EXPIRES_AFTER_A_DAY in self._planted else WEEK_H
        return self.now_h - kept.at_h < week_h

    def _held(self, log: Log) -> set[int]:
        return {seq for seq, kept in log.blobs.items() if self._is_alive(kept)}

    def _watermark(self, log: Log) -> int | None:
        seen = self._held(log) if Flaw.WATERMARK_FALLS in self._planted else log.seen
        if Flaw.WATERMARK_IS_HIGHEST in self._planted:
            return max(seen, default=None)
        first_unseen = next(n for n in range(len(seen) + 1) if n not in seen)
        return first_unseen - 1 if first_unseen else None

    def _misread(self, heights: Heights) -> Heights:
        """What a server takes the heights for."""
        if Flaw.HEIGHTS_OF_ANY_TOPIC in self._planted:
            whole = {author: at for asked in heights.values() for author, at in asked.items()}
            heights = dict.fromkeys(heights, whole)
        if Flaw.HEIGHT_ZERO_IS_NONE in self._planted:
            heights = {
                topic: {author: at for author, at in asked.items() if at}
                for topic, asked in heights.items()
            }
        return heights

    def _new_in(self, topic: str, asked: dict[str, int]) -> Iterator[tuple[str, list[int]]]:
        for author, log in sorted(self._logs.get(topic, {}).items()):
            if author not in asked and Flaw.UNNAMED_AUTHOR_LEFT_OUT in self._planted:
                continue
            if author > "\U00010000" and Flaw.SUPPLEMENTARY_AUTHORS_ARE_LOST in self._planted:
                continue
            above = asked.get(author, -1) - (Flaw.HEIGHT_INCLUDED in self._planted)
            seqs = sorted(seq for seq in self._held(log) if seq > above)
            if seqs or Flaw.EMPTY_AUTHORS_LISTED in self._planted:
                yield author, seqs

    def _page(
        self, new: dict[tuple[str, str], list[int]]
    ) -> Iterator[tuple[tuple[str, str], list[int]]]:
        """One blob of each log in turn, until the page is full."""
        if Flaw.NO_PAGES in self._planted:
            yield from new.items()
            return
        blobs_left, bytes_left = PAGE_BLOBS, PAGE_BYTES
        taken: dict[tuple[str, str], list[int]] = {log: [] for log in new if not new[log]}
        for log, seq in self._turns(new):
            if blobs_left <= 0 or (bytes_left <= 0 and any(taken.values())):
                break
            taken.setdefault(log, []).append(seq)
            blobs_left -= 1
            bytes_left -= len(self._logs[log[0]][log[1]].blobs[seq].data)
        yield from taken.items()

    def _turns(
        self, new: dict[tuple[str, str], list[int]]
    ) -> Iterator[tuple[tuple[str, str], int]]:
        if Flaw.PAGE_WITH_HOLES in self._planted:
            new = {log: seqs[::-1] for log, seqs in new.items()}
        if Flaw.UNFAIR_PAGE in self._planted:
            yield from ((log, seq) for log, seqs in new.items() for seq in seqs)
            return
        for turn in range(max(map(len, new.values()), default=0)):
            for log, seqs in new.items():
                if turn < len(seqs):
                    yield log, seqs[turn]

    def _missing_in(self, topic: str, asked: dict[str, int]) -> dict[str, list[int]]:
        if Flaw.MISSING_OF_ALL_AUTHORS in self._planted:
            asked = {author: max(log.seen) for author, log in self._logs.get(topic, {}).items()}
        found: dict[str, list[int]] = {}
        for author, height in asked.items():
            log = self._logs.get(topic, {}).get(author)
            if log is None and Flaw.MISSING_BELOW_HEIGHT_ONLY in self._planted:
                continue
            missing = self._missing_of(log or Log(), height)
            if Flaw.MISSING_DESCENDS in self._planted:
                missing.reverse()
            if missing or Flaw.EMPTY_MISSING_LISTED in self._planted:
                found[author] = missing
        return found

    def _missing_of(self, log: Log, height: int) -> list[int]:
        watermark = self._watermark(log)
        first = 0 if watermark is None else watermark + 1
        if Flaw.MISSING_NEEDS_SEQ_0 in self._planted and watermark is None and log.seen:
            first = min(log.seen)
        if Flaw.MISSING_ABOVE_HEIGHT in self._planted:
            height = max(height, *log.seen, 0)
        known = self._not_missing(log)
        if Flaw.EXPIRED_IS_MISSING in self._planted:
            first = 0
        if Flaw.CAP_BEFORE_FILTER in self._planted:
            return [n for n in range(first, min(height + 1, first + CAP)) if n not in known]
        missing: list[int] = []
        n = first
        while n <= height and len(missing) < CAP:
            if n not in known:
                missing.append(n)
            n += 1
        return missing

    def _not_missing(self, log: Log) -> set[int]:
        if Flaw.MISSING_LISTS_STORED in self._planted:
            return set()
        gone = {Flaw.EXPIRED_IS_MISSING, Flaw.EXPIRED_ABOVE_WATERMARK_IS_MISSING}
        return self._held(log) if gone & self._planted else log.seen

    def _share_cap(self, missing: Missing) -> None:
        """Cuts lists so that all together have no more than the cap, and none is left empty."""
        lists = [seqs for authors in missing.values() for seqs in authors.values()]
        if Flaw.CAP_OF_EACH_AUTHOR in self._planted or sum(map(len, lists)) <= CAP:
            return
        share = max(1, CAP // len(lists))
        for authors in missing.values():
            for seqs in authors.values():
                del seqs[share:]
        if Flaw.MISSING_UNCAPPED_AUTHORS_LEFT_OUT in self._planted:
            for authors in missing.values():
                for author in [author for author in authors if len(authors[author]) == share]:
                    del authors[author]

    def _everything(self, tree: Tree, missing: Missing) -> tuple[Tree, Missing]:
        others = {
            topic: {
                author: {s: k.data for s, k in log.blobs.items()} for author, log in logs.items()
            }
            for topic, logs in self._logs.items()
        }
        return others | tree, {topic: {} for topic in others} | missing

    def _each_log(self) -> Iterator[Log]:
        for logs in self._logs.values():
            yield from logs.values()
