"""Plots: what strangers do beside a bad speech, each broken rule by itself, and some together.

The handshake gone wrong, sketches that are none, pages answered out of turn, wants beyond what was
offered, and large blobs that one stranger begins and another spoils. As with speeches, the checks
look at the node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshbox.core.ids import node_key_of, parse_topic
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.frames import (
    Addresses,
    AskDifference,
    AskLogs,
    AskSketch,
    Blobs,
    Difference,
    Frame,
    Gone,
    Hello,
    OfferedLog,
    Offers,
    PageRanges,
    Settled,
    Sketch,
    Want,
)
from tests.simulation.bringing import TOPICS, log_of
from tests.simulation.node import Machine
from tests.simulation.stranger import (
    ONE,
    PROOF,
    RESUME,
    Manner,
    gone,
    offer,
    part,
)

LARGE_BYTES: Final = 900
BEGUN: Final = content_hash(b"what nobody has")
"""The hash of blobs of which strangers send a beginning."""
SPOILT: Final = tuple(range(60, 65))
"""Numbers that no author comes to."""


def _no_hello(own: Hello, machine: Machine) -> Sequence[Frame]:
    del own, machine
    return (RESUME,)


def _silent(own: Hello, machine: Machine) -> Sequence[Frame]:
    del own, machine
    return ()


def _of_the_future(own: Hello, machine: Machine) -> Sequence[Frame]:
    del machine
    return (own._replace(version_min=9, version_max=9),)


def _as_the_node(own: Hello, machine: Machine) -> Sequence[Frame]:
    return (own._replace(node_key=node_key_of(machine.node_id)),)


def _as_another(own: Hello, machine: Machine) -> Sequence[Frame]:
    del machine
    return (own._replace(node_key=own.nonce),)


def _unproven(own: Hello, machine: Machine) -> Sequence[Frame]:
    del machine
    return (own, PROOF)


def _garbage(ask: AskSketch, told: int) -> Sketch:
    """Symbols that never decode."""
    return Sketch(Digest(7, 9), told, b"\5" * ((ask.symbols - told) * SYMBOL_BYTES))


def _changing(ask: AskSketch, told: int) -> Sketch:
    """The digest is another each time."""
    return _garbage(ask, told)._replace(digest=Digest(7 + told, 9))


def _too_few(ask: AskSketch, told: int) -> Sketch:
    """One symbol whatever was asked for."""
    del ask
    return Sketch(Digest(), told, bytes(SYMBOL_BYTES))


def _wants_beyond(offers: Offers) -> Sequence[Frame]:
    """A log that the page has not."""
    return (Want(offers.page, (PageRanges(len(offers.logs), ONE),)),)


def _wants_too_much(offers: Offers) -> Sequence[Frame]:
    """More of a log than may be in flight."""
    return (Want(offers.page, (PageRanges(0, SeqRanges.of(0, 9)),)),) if offers.logs else ()


def _wants_again(offers: Offers) -> Sequence[Frame]:
    """The same three times, and gives no credit for what is large."""
    wanted = (SeqRanges((run.first, run.end) for run in log.runs) for log in offers.logs)
    places = enumerate(ranges.take_lowest(2) for ranges in wanted)
    want = Want(offers.page, tuple(PageRanges(place, ranges) for place, ranges in places))
    return (want,) * 3 if offers.logs else ()


def _settles_out_of_turn(offers: Offers) -> Sequence[Frame]:
    """A later page before the first."""
    return () if offers.page == 1 else (Settled(offers.page),)


def _asks_again(offers: Offers) -> Sequence[Frame]:
    """By name for what it was just told, and again before that is answered."""
    keys = tuple(log.log.key for log in offers.logs)
    return (Settled(offers.page), AskLogs(keys), AskLogs(keys)) if keys else ()


def _begins(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """The first bytes of a large blob."""
    seq, size_bytes = wanted.ranges.pairs[0][0], LARGE_BYTES
    piece = part(want.page, wanted.log, seq, b"x" * 500, content_hash=BEGUN, size_bytes=size_bytes)
    return (Blobs((piece,)),)


def _begins_and_gives_up(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """The first bytes of a large blob, which then is gone."""
    return (*_begins(want, wanted), Gone(want.page, (wanted,)))


def _goes_on_falsely(want: Want, wanted: PageRanges) -> Sequence[Frame]:
    """To its end with what another began, so that the whole is not what was announced."""
    begun = (each for each in want.begun if each.log == wanted.log)
    return tuple(
        Blobs(
            (
                part(
                    want.page,
                    each.log,
                    each.seq,
                    b"y" * (LARGE_BYTES - each.offset),
                    content_hash=each.content_hash,
                    size_bytes=LARGE_BYTES,
                    offset=each.offset,
                ),
            )
        )
        for each in begun
    )


def _scattered(page: int, logs: Sequence[int], *, count: int, first: int = 0) -> Offers:
    """Of each log every other number."""
    pairs = tuple((first + 2 * n, first + 2 * n + 1) for n in range(count))
    runs = offer(*pairs).logs[0].runs
    return Offers(page, tuple(OfferedLog(log_of(log), runs) for log in logs), b"cursor %d" % page)


def _large(first: int, end: int) -> Offers:
    return offer((first, end), size_bytes=LARGE_BYTES)


_BEGINNERS: Final = tuple(Manner((_large(seq, seq + 1),), _begins, stays_s=0.4) for seq in SPOILT)

PLOTS: Final[tuple[tuple[Manner, ...], ...]] = (
    *((Manner(greets=greets),) for greets in (_no_hello, _silent, _of_the_future, _as_the_node)),
    (Manner(greets=_unproven),),
    (Manner(greets=_as_another, is_dialled=True),),
    *((Manner(sketches=sketches),) for sketches in (_garbage, _changing, _too_few)),
    (Manner(opens=AskDifference()),),
    (Manner(opens=AskDifference(), sketches=_garbage),),
    (Manner(topics=(parse_topic(TOPICS[0]),)),),
    (Manner((Addresses(()),)),),
    (Manner((offer((80, 81))._replace(answers=True),)),),
    (Manner((offer((80, 81))._replace(fresh=True),)),),
    (Manner((_scattered(1, [1], count=16), _scattered(2, [1], count=16, first=33))),),
    (Manner(tuple(_scattered(page, [1, 3, 5], count=5) for page in (1, 2, 3)), gone),),
    (Manner(retorts=_wants_beyond),),
    (Manner(retorts=_wants_too_much),),
    (Manner(retorts=_wants_again),),
    (Manner(retorts=_settles_out_of_turn),),
    (Manner(retorts=_asks_again),),
    (Manner((AskSketch(2), AskSketch(2)), is_dialled=True),),
    (Manner((AskDifference(),), is_dialled=True),),
    (Manner((Sketch(Digest(), 0, bytes(SYMBOL_BYTES)),), is_dialled=True),),
    (Manner((Difference(None),), is_dialled=True),),
    (Manner(is_dialled=True),),
    (Manner((_large(60, 62),), _begins, stays_s=40.0),),
    (Manner((_large(60, 61),), _begins_and_gives_up),),
    (_BEGINNERS[0], Manner((_large(60, 61),), gone)),
    (_BEGINNERS[0], Manner((_large(60, 61),), _goes_on_falsely)),
    (*_BEGINNERS, Manner((_large(60, 65),), _goes_on_falsely), *_BEGINNERS[:1]),
)
"""Each is what strangers do to one node, one after another."""
