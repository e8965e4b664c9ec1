"""compat 1.4 and 2.3: what /blips adds to /blobs, and that both are one data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.bodies import Json
from tests.interop.checks import JSON_TYPE, OK, BodyIs, JsonIs, status
from tests.interop.dialect import B0, B1, B2, BLIPS, BLOBS, log
from tests.interop.row import Advance, Ask, Check, Difference, Part, Row, Step, Steps

KEY = "58" + "66" * 31
STORED = status(201)
OLDER = (
    "0.19 answered 201 without a body, 0.20 needs one (its status is not known: clients look at "
    "2xx only); 201 with a body suits both"
)


def rows() -> Iterator[Row]:
    yield from _watermarks()
    yield from _bodies()
    yield from _one_data_set()


def _watermarks() -> Iterator[Row]:
    d = BLIPS
    yield _marks("none-without-0", "no watermark before seq 0", (_stored(log(1, 2), None),))
    yield _marks(
        "first", "the watermark is the highest n of which 0 … n are seen", (_stored(log(0), 0),)
    )
    yield _marks(
        "run", "the watermark is the highest n of which 0 … n are seen", (_stored(log(0, 1, 2), 2),)
    )
    yield _marks("gap", "it stops at a gap", (_stored(log(0, 1, 3), 1),))
    yield _marks(
        "filled",
        "filling the gap takes it over what was stored before",
        (_stored(log(0, 2, 3), 0), _stored(log(1), 3)),
    )
    yield _marks(
        "backwards",
        "the order of storing does not count",
        (_stored(log(2), None), _stored(log(1), None), _stored(log(0), 2)),
    )
    yield _marks(
        "unchanged",
        "it is told also when it did not change",
        (_stored(log(0, 1), 1), _stored(log(0, 1), 1), _stored(log(0), 1), _stored(log(5), 1)),
        rule="compat 2.3 (c)",
    )
    yield _marks(
        "after-expiry",
        "it stays when what it counts expires",
        (_stored(log(0, 1), 1), Advance(7 * 24.0 + 1), _stored(log(2), 2), _stored(log(0), 2)),
        rule="compat 1.2 rule 6",
    )
    several = {"$t": {"$a": log(0, 1), "$b": log(1)}, "$u": {"$a": log(0)}}
    marks = {"$t": {"$a": 1, "$b": None}, "$u": {"$a": 0}}
    yield _marks(
        "each-pair",
        "each stored pair has its own, and nothing else has one",
        (
            d.store({"$v": {"$c": log(0)}, "$t": {"$c": log(0)}}),
            d.store(several, STORED, JSON_TYPE, JsonIs({"watermarks": marks})),
        ),
    )
    text = '{"watermarks":{"$t":{"$a":0,"$b":null},"$u":{"$a":0}}}'
    unsorted = {"$u": {"$a": log(0)}, "$t": {"$b": log(1), "$a": log(0)}}
    yield _marks(
        "order",
        "the answer is compact, in the order of bytes",
        (d.store(unsorted, STORED, JSON_TYPE, BodyIs(text)),),
    )
    yield _marks(
        "nothing-stored",
        "a store of nothing is answered with no watermarks",
        (d.store({}, STORED, JSON_TYPE, JsonIs({"watermarks": {}})),),
    )
    yield _marks(
        "last",
        "a watermark is not overtaken by the last seq",
        (_stored({0: B0, 2**64 - 1: B1}, 0),),
        rule="compat 1.2 rule 9",
    )


def _bodies() -> Iterator[Row]:
    d = BLIPS
    tree = {"$t": {"$a": log(0, 1)}}
    stored = d.holds({"$t": {}}, t=({"$a": log(0, 1)}, {}))
    extras: dict[str, dict[str, Any]] = {
        "october": {"sender_pubkey": KEY, "signature": []},
        "signed": {"sender_pubkey": KEY, "signature": [0, 255, 7]},
        "no-sender": {"sender_pubkey": None},
        "hashes": {"sender_pubkey": KEY, "signature": [], "blob_hashes": ["07" * 32]},
        "scrub-hashes": {"scrub_hashes": {"$t": {"$a": {"0": "07" * 32}}}},
    }
    for name, extra in extras.items():
        yield _row(
            f"body.{name}",
            "the members that releases added beside `blips` are taken",
            "compat 1.4; media-facts",
            (d.store_as(Json({**d.tree(tree), **extra}), OK), stored),
        )
    leaves = {
        "scrubbable": {"blip": B0, "scrub_hash": "07" * 32},
        "scrubbable-null": {"blip": B0, "scrub_hash": None},
        "scrubbable-bare": {"blip": B0},
    }
    for name, leaf in leaves.items():
        body = d.tree({"$t": {"$a": {0: leaf, 1: B1}}})
        yield _row(
            f"body.{name}",
            "a blip may be an object that has its bytes, as on the scrub branch",
            "compat 1.4",
            (d.store_as(Json(body), OK), stored),
            Difference(
                "a branch that was not merged; taking it costs nothing",
                (d.store_as(Json(body), status(422)),),
            ),
        )
    for name, leaf in {
        "no-blip": {"scrub_hash": None},
        "blip-null": {"blip": None},
        "blip-bad": {"blip": "A"},
    }.items():
        yield _row(
            f"body.scrubbable-{name}",
            "an object without bytes is of the wrong shape",
            "compat 1.4",
            (d.store_as(Json(d.tree({"$t": {"$a": {0: leaf}}})), status(422)),),
        )


def _one_data_set() -> Iterator[Row]:
    says = "what one generation stores the other hands out"
    yield _row(
        "shared.blobs-to-blips",
        says,
        "compat 0 (0.18 shim of 0.19)",
        (
            BLOBS.store({"$t": {"$a": log(0, 1)}}),
            BLIPS.holds({"$t": {}}, t=({"$a": log(0, 1)}, {})),
            BLIPS.holds({"$t": {"$a": 2}}, t=({}, {"$a": [2]})),
        ),
    )
    yield _row(
        "shared.blips-to-blobs",
        says,
        "compat 0 (0.18 shim of 0.19)",
        (
            BLIPS.store({"$t": {"$a": log(0, 2)}}),
            BLOBS.holds({"$t": {}}, t=({"$a": log(0, 2)}, {})),
            BLOBS.holds({"$t": {"$a": 2}}, t=({}, {"$a": [1]})),
        ),
    )
    yield _row(
        "shared.watermark",
        "the watermark counts what either generation stored",
        "compat 0 (0.18 shim of 0.19)",
        (BLOBS.store({"$t": {"$a": log(0, 2)}}), _stored(log(1), 2)),
    )
    yield _row(
        "shared.conflict",
        "of two blobs for one seq the first stays, whichever generation stored it",
        "compat 1.2 rule 7",
        (
            BLOBS.store({"$t": {"$a": {0: B1}}}),
            BLIPS.store({"$t": {"$a": {0: B2}}}),
            BLIPS.holds({"$t": {}}, t=({"$a": {"0": B1}}, {})),
            BLOBS.holds({"$t": {}}, t=({"$a": {"0": B1}}, {})),
        ),
        Difference(
            "their newest wins, so anybody can overwrite anybody",
            (
                BLOBS.store({"$t": {"$a": {0: B1}}}),
                BLIPS.store({"$t": {"$a": {0: B2}}}),
                BLIPS.holds({"$t": {}}, t=({"$a": {"0": B2}}, {})),
            ),
        ),
    )


def _stored(seqs: Any, watermark: int | None) -> Ask:
    marks: tuple[Check, ...] = (
        STORED,
        JSON_TYPE,
        JsonIs({"watermarks": {"$t": {"$a": watermark}}}),
    )
    return BLIPS.store({"$t": {"$a": seqs}}, *marks)


def _marks(name: str, says: str, steps: Steps, *, rule: str = "compat 1.4; 1.2 rule 4") -> Row:
    return _row(
        f"watermark.{name}", says, rule, steps, Difference(OLDER, tuple(map(_any_2xx, steps)))
    )


def _any_2xx(step: Step) -> Step:
    if not isinstance(step, Ask):
        return step
    return Ask(step.request, (OK,))


def _row(name: str, says: str, rule: str, steps: Steps, differs: Difference | None = None) -> Row:
    return Row(
        id=f"blips.{name}", part=Part.BLIPS, rule=rule, says=says, steps=steps, differs=differs
    )
