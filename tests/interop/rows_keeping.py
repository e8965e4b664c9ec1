"""compat 1.2, rules 6, 7, 10 and 11: what was stored twice, what expired, what a restart keeps."""

from __future__ import annotations

from collections.abc import Iterator

from tests.interop.checks import status
from tests.interop.dialect import B0, B1, B2, NUMBERED, Dialect, log
from tests.interop.row import Advance, Difference, Restart, Row, Step, Steps

WEEK_H = 7 * 24.0
BUCKET_H = 6.0
"""meshbox ages in steps of six hours, never beyond the week."""

NEWEST_WINS = (
    "their newest wins, so anybody can overwrite anybody; here the first stays and the client gets "
    "success all the same"
)
HAD_ITS_WEEK = "what expired had its week here: it is neither asked for nor taken again"
RENEWED = (
    "their second copy begins a week of its own, so anybody can keep anything for ever; here an "
    "age is never renewed"
)


def rows() -> Iterator[Row]:
    for dialect in NUMBERED:
        yield from _twice(dialect)
        yield from _expired(dialect)
        yield from _restarted(dialect)


def _twice(d: Dialect) -> Iterator[Row]:
    stored = d.store({"$t": {"$a": {0: B0}}})
    yield _row(
        d,
        7,
        "same-again",
        "the same blob again is a success and comes back once",
        (stored, stored, d.holds({"$t": {}}, t=({"$a": {"0": B0}}, {}))),
    )
    again = (stored, d.store({"$t": {"$a": {0: B1}}}, status(201, 200)))
    yield _row(
        d,
        7,
        "other-bytes",
        "other bytes for a stored seq are a success, and the first stay",
        (*again, d.holds({"$t": {}}, t=({"$a": {"0": B0}}, {}))),
        Difference(NEWEST_WINS, (*again, d.holds({"$t": {}}, t=({"$a": {"0": B1}}, {})))),
    )
    mixed = d.store({"$t": {"$a": {0: B1, 1: B1}, "$b": {0: B2}}})
    new = {"$b": {"0": B2}}
    yield _row(
        d,
        7,
        "known-among-new",
        "what is known stops nothing of the rest of a request",
        (stored, mixed, d.holds({"$t": {}}, t=({"$a": {"0": B0, "1": B1}, **new}, {}))),
        Difference(
            NEWEST_WINS,
            (stored, mixed, d.holds({"$t": {}}, t=({"$a": {"0": B1, "1": B1}, **new}, {}))),
        ),
    )


def _expired(d: Dialect) -> Iterator[Row]:
    whole = d.holds({"$t": {}}, t=({"$a": log(0, 1, 2)}, {}))
    nothing = d.holds({"$t": {}}, t=({}, {}))
    stored = d.store({"$t": {"$a": log(0, 1, 2)}})
    yield _row(
        d,
        11,
        "kept-a-week",
        "a blob is handed out for a week, and no longer",
        (stored, Advance(WEEK_H - BUCKET_H - 0.1), whole, Advance(BUCKET_H + 0.2), nothing),
    )
    yield _row(
        d,
        6,
        "expired-not-missing",
        "what expired is not missing, and the watermark stays",
        (
            stored,
            Advance(WEEK_H + 1),
            d.holds({"$t": {"$a": 2}}, t=({}, {})),
            d.store({"$t": {"$a": log(3)}}),
            d.holds({"$t": {"$a": 4}}, t=({}, {"$a": [4]})),
            d.holds({"$t": {}}, t=({"$a": log(3)}, {})),
        ),
    )
    gap = (d.store({"$t": {"$a": log(0, 2)}}), Advance(WEEK_H + 1))
    yield _row(
        d,
        6,
        "expired-above-gap",
        "what expired above a gap is not missing either",
        (*gap, d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [1, 3]}))),
        Difference(HAD_ITS_WEEK, (*gap, d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [1, 2, 3]})))),
    )
    back = (stored, Advance(WEEK_H + 1), d.store({"$t": {"$a": log(1)}}, status(201, 200)))
    yield _row(
        d,
        6,
        "expired-comes-back",
        "a client that deposits what expired gets success, and it is not handed out",
        (*back, nothing),
        Difference(HAD_ITS_WEEK, (*back, d.holds({"$t": {}}, t=({"$a": log(1)}, {})))),
    )
    renewed = (stored, Advance(96), stored, Advance(96))
    yield _row(
        d,
        7,
        "not-renewed",
        "storing again renews no age",
        (*renewed, nothing),
        _differs(renewed, whole),
    )


def _differs(before: Steps, last: Step) -> Difference:
    return Difference(RENEWED, (*before, last))


def _restarted(d: Dialect) -> Iterator[Row]:
    yield _row(
        d,
        10,
        "restart-keeps",
        "what was acknowledged survives a kill",
        (
            d.store({"$t": {"$a": log(0, 1, 3)}}),
            Restart(),
            d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [2]})),
            d.holds({"$t": {}}, t=({"$a": log(0, 1, 3)}, {})),
        ),
    )
    stored = (
        d.store({"$t": {"$a": log(0, 1, 2)}}),
        Advance(WEEK_H - 24),
        d.store({"$t": {"$a": log(3, 4)}}),
        Advance(48),
        Restart(),
    )
    yield _row(
        d,
        10,
        "restart-keeps-watermark",
        "a restart lowers no watermark: what expired is not missing afterwards",
        (*stored, d.holds({"$t": {"$a": 5}}, t=({}, {"$a": [5]}))),
    )


def _row(
    d: Dialect, rule: int, name: str, says: str, steps: Steps, differs: Difference | None = None
) -> Row:
    return Row(
        id=f"{d.name}.{name}",
        part=d.part,
        rule=f"compat 1.2 rule {rule}",
        says=says,
        steps=steps,
        differs=differs,
    )
