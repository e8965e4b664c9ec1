"""What to ask of, and to bring to, a mailbox server of the apps' own kind (design.md 10).

Pure. Such a server tells no ages and has no feed: it is asked for what lies above a height, and
says what it misses up to there. Of each log is remembered what the server is known to have had
(`there`), what it is known to give out no more (`gone`), and what it was given once (`sent`).

- **Heights.** The highest number seen here, which survives expiry, so that nothing is asked for
  twice. A server makes a list of all that it misses up to the height, so it is never more than
  `HEIGHT_LEAP` above what the server has without a hole: a large one would kill it.
- **Holes.** What the server had and we never saw lies below that height. It is asked for once,
  with a height below it; what does not come then is gone there.
- **Bringing.** What `missing` names, each number once: a server that names again what it took is
  not filled in a loop. Above the height, where nothing can be named, what was never sent, once
  nothing below it is left to bring.
- **Lives.** A server tells no age, so what comes from it is new here, as what a phone deposits;
  each node takes a number once. It bears an origin of its own (`bridged`), by which every node of
  every mesh knows it, and is brought to no such server again. So a message that goes out and comes
  in again ends at the latest a week after the server dropped it: none lives for ever.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from meshbox.core.ids import ORIGIN_TAG_BYTES, Origin
from meshbox.core.limits import HEIGHT_LEAP, MISSING_MAX, REMEMBERED_RANGES_MAX
from meshbox.core.ranges import EMPTY, SEQ_END, SeqRanges

_ORIGIN_NODE: Final = hashlib.blake2b(b"meshbox: from a mailbox server", digest_size=32).digest()


def bridged(server: str) -> Origin:
    """The origin of what comes from the server called `server`."""
    tag = hashlib.blake2b(server.encode(), digest_size=ORIGIN_TAG_BYTES).digest()
    return Origin(_ORIGIN_NODE, tag)


def is_bridged(origin: Origin) -> bool:
    """Whether a blob came into its mesh from any such server."""
    return origin.node == _ORIGIN_NODE


class FarLog(NamedTuple):
    """What is remembered of one log at one server."""

    there: SeqRanges = EMPTY
    """What it is known to have had."""
    gone: SeqRanges = EMPTY
    """What it gives out no more, although it had it."""
    sent: SeqRanges = EMPTY
    """What it was given, or never is to be."""


UNKNOWN: Final = FarLog()


class Answer(NamedTuple):
    """What a server said of one log."""

    height: int | None
    """As asked; None when the log was not named: then nothing is missing, and all of it came."""
    got: SeqRanges
    """What came."""
    missing: SeqRanges
    """What it named as missing."""
    is_whole: bool = True
    """There was no more to come."""


class Exchange(NamedTuple):
    """What follows from an answer."""

    far: FarLog
    """What is known now; what was brought comes to it with `brought`."""
    bring: SeqRanges
    """What the server lacks and is held here."""
    asks_again: bool
    """It is known now to have had what was never seen here: to be asked for at once."""


def height_of(seen: SeqRanges, far: FarLog, *, passed: int | None = None) -> int | None:
    """The height to ask with; None: do not name the log, all of it is wanted.

    `passed` is the highest number that came and could not be kept: it is not asked for again.
    """
    top = max(-1 if number is None else number for number in (seen.highest, passed))
    hole = _wanted(seen, far, passed=passed).lowest
    height = top if hole is None else min(top, hole - 1)
    return None if height < 0 else min(height, _bound(far))


def needs_memory(seen: SeqRanges) -> bool:
    """Whether the height depends on what is remembered."""
    top = seen.highest
    return top is not None and (top >= HEIGHT_LEAP or seen.watermark != top)


def exchange(*, seen: SeqRanges, held: SeqRanges, far: FarLog, answer: Answer) -> Exchange:
    """What an answer teaches, for a log of which `seen` and `held` were ours when it was asked."""
    there = (far.there | answer.got) - answer.missing
    height = answer.height
    if height is not None:
        there |= SeqRanges.of(0, _told_end(height, answer.missing)) - answer.missing
    gone = far.gone - answer.got - answer.missing
    above = SeqRanges.of(0 if height is None else height + 1, _given_end(answer))
    gone |= (there & above) - seen - answer.got
    known = FarLog(there, gone, far.sent)
    bring = (answer.missing & held) - far.sent
    if height is not None and not bring and answer.is_whole:
        bring = held.from_(height + 1) - there - far.sent
    return Exchange(known, bring, bool(_wanted(seen | answer.got, known, passed=None)))


def brought(far: FarLog, seqs: SeqRanges, *, taken: bool) -> FarLog:
    """After `seqs` were brought, or found to be what is not to be brought (`taken` is False)."""
    return far._replace(there=far.there | seqs if taken else far.there, sent=far.sent | seqs)


def kept(far: FarLog) -> FarLog:
    """As much of it as is remembered: of sets of many ranges the lowest and the highest ones.

    What is forgotten costs asking or bringing it once more.
    """
    return FarLog(*map(_shortened, far))


def _wanted(seen: SeqRanges, far: FarLog, *, passed: int | None) -> SeqRanges:
    """What the server may still give that was never seen here, but for what was passed."""
    wanted = far.there - far.gone - seen
    return wanted if passed is None else wanted.from_(passed + 1)


def _bound(far: FarLog) -> int:
    watermark = far.there.watermark
    return HEIGHT_LEAP - 1 if watermark is None else watermark + HEIGHT_LEAP


def _told_end(height: int, missing: SeqRanges) -> int:
    """Up to where a list of what is missing can be taken for whole: it may have been cut."""
    lowest, highest = missing.lowest, missing.highest
    if lowest is None or highest is None or height - lowest < MISSING_MAX:
        return min(height + 1, SEQ_END)
    return highest + 1


def _given_end(answer: Answer) -> int:
    """Up to where everything that the server gives out has come."""
    if answer.is_whole:
        return SEQ_END
    highest = answer.got.highest
    return 0 if highest is None else highest + 1


def _shortened(ranges: SeqRanges) -> SeqRanges:
    if len(ranges) <= REMEMBERED_RANGES_MAX:
        return ranges
    pairs = ranges.pairs
    return SeqRanges((pairs[0], *pairs[1 - REMEMBERED_RANGES_MAX :]))
