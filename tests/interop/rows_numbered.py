"""compat 1.2, rules 1 to 5: what a get answers, for /blobs and for /blips alike."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.interop.bodies import Json
from tests.interop.checks import EMPTY, JSON_TYPE, BodyIs, status
from tests.interop.dialect import B0, B1, BLOBS, NUMBERED, Dialect, log, post
from tests.interop.row import Row, Step


def rows() -> Iterator[Row]:
    for dialect in NUMBERED:
        yield from _stores(dialect)
        yield from _topics(dialect)
        yield from _heights(dialect)
        yield from _missing(dialect)
        yield from _encoding(dialect)
    yield _row(
        BLOBS,
        0,
        "store-answer",
        "a store is answered 201 with an empty body and no content type",
        BLOBS.store({"$t": {"$a": log(0)}}, status(201), *EMPTY),
        BLOBS.store({"$t": {"$a": log(0)}}, status(201), *EMPTY),
        BLOBS.store({}, status(201), *EMPTY),
    )


def _stores(d: Dialect) -> Iterator[Row]:
    empties = {"no-topics": {}, "no-authors": {"$t": {}}, "no-seqs": {"$t": {"$a": {}}}}
    for name, tree in empties.items():
        yield _row(
            d,
            0,
            f"store-{name}",
            "a store of nothing succeeds and stores nothing",
            d.store(tree),
            d.holds({"$t": {}}, t=({}, {})),
        )
    yield _row(
        d,
        0,
        "store-several",
        "one request may store for many topics and authors",
        d.store({"$t": {"$a": log(0, 1), "$b": log(0)}, "$u": {"$a": log(2)}}),
        d.holds(
            {"$t": {}, "$u": {}},
            t=({"$a": log(0, 1), "$b": log(0)}, {}),
            u=({"$a": log(2)}, {}),
        ),
    )

    data = base64.b64encode(bytes(range(256))).decode()
    yield _row(
        d,
        0,
        "store-bytes",
        "any bytes come back as they were, also none",
        d.store({"$t": {"$a": {0: data, 1: ""}}}),
        d.holds({"$t": {}}, t=({"$a": {"0": data, "1": ""}}, {})),
    )


def _topics(d: Dialect) -> Iterator[Row]:
    yield _row(
        d,
        1,
        "unknown-topic",
        "a requested topic that nobody wrote to is there, empty",
        d.holds({"$t": {}}, t=({}, {})),
    )
    yield _row(
        d,
        1,
        "every-requested-topic",
        "every requested topic is there, known or not",
        d.store({"$u": {"$a": log(0)}}),
        d.holds({"$t": {}, "$u": {}, "$v": {}}, t=({}, {}), u=({"$a": log(0)}, {}), v=({}, {})),
    )
    yield _row(
        d,
        1,
        "no-other-topic",
        "a topic that was not requested is not there",
        d.store({"$t": {"$a": log(0)}, "$u": {"$a": log(0)}}),
        d.holds({"$t": {}}, t=({"$a": log(0)}, {})),
    )
    yield _row(
        d,
        1,
        "no-topics",
        "a request without topics is answered without topics",
        d.store({"$t": {"$a": log(0)}}),
        post(
            d.get_path,
            Json({"topics": {}}),
            status(200),
            JSON_TYPE,
            BodyIs(f'{{"{d.by_topic}":{{}}}}'),
        ),
    )


def _heights(d: Dialect) -> Iterator[Row]:
    stored = d.store({"$t": {"$a": log(0, 1, 2), "$b": log(0, 1)}})
    yield _row(
        d,
        2,
        "whole-log",
        "of an author that is not named the whole log comes",
        stored,
        d.holds({"$t": {"$a": 2}}, t=({"$b": log(0, 1)}, {})),
    )
    yield _row(
        d,
        2,
        "above-height",
        "of a named author only what is above its height comes",
        stored,
        d.holds({"$t": {"$a": 1, "$b": 1}}, t=({"$a": log(2)}, {})),
    )
    yield _row(
        d,
        2,
        "height-zero",
        "the height 0 means that the client has seq 0",
        stored,
        d.holds({"$t": {"$a": 0, "$b": 0}}, t=({"$a": log(1, 2), "$b": log(1)}, {})),
    )
    yield _row(
        d,
        2,
        "heights-by-topic",
        "a height counts in its own topic only",
        d.store({"$t": {"$a": log(0, 1)}, "$u": {"$a": log(0, 1)}}),
        d.holds({"$t": {"$a": 0}, "$u": {}}, t=({"$a": log(1)}, {}), u=({"$a": log(0, 1)}, {})),
    )
    yield _row(
        d,
        3,
        "nothing-new",
        "an author without new seqs is absent from what comes, and from missing",
        stored,
        d.holds({"$t": {"$a": 2, "$b": 1}}, t=({}, {})),
    )
    yield _row(
        d,
        3,
        "only-missing",
        "an author may be missing something without anything new, and the other way round",
        stored,
        d.holds({"$t": {"$a": 4, "$b": 0}}, t=({"$b": log(1)}, {"$a": [3, 4]})),
    )


def _missing(d: Dialect) -> Iterator[Row]:
    yield _row(
        d,
        4,
        "gap",
        "missing is what lies above the watermark and is not held",
        d.store({"$t": {"$a": log(0, 2, 3)}}),
        d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [1]})),
    )
    yield _row(
        d,
        4,
        "gap-filled",
        "filling a gap takes the watermark over what was stored before",
        d.store({"$t": {"$a": log(0, 2, 3)}}),
        d.store({"$t": {"$a": log(1)}}),
        d.holds({"$t": {"$a": 3}}, t=({}, {})),
        d.holds({"$t": {"$a": 5}}, t=({}, {"$a": [4, 5]})),
    )
    yield _row(
        d,
        4,
        "backwards",
        "the order of storing does not count",
        *(d.store({"$t": {"$a": log(seq)}}) for seq in (3, 2, 1)),
        d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [0]})),
        d.store({"$t": {"$a": log(0)}}),
        d.holds({"$t": {"$a": 3}}, t=({}, {})),
    )
    yield _row(
        d,
        5,
        "unknown-author",
        "of an author of whom nothing is held everything is missing",
        d.holds({"$t": {"$a": 2}}, t=({}, {"$a": [0, 1, 2]})),
        d.holds({"$t": {"$a": 0}}, t=({}, {"$a": [0]})),
    )
    yield _row(
        d,
        5,
        "requested-only",
        "missing is told of requested authors only",
        d.store({"$t": {"$a": log(0), "$b": log(1)}}),
        d.holds({"$t": {"$a": 0}}, t=({"$b": log(1)}, {})),
    )
    yield _row(
        d,
        5,
        "ascending",
        "missing is in ascending order",
        d.store({"$t": {"$a": log(5, 1, 3)}}),
        d.holds({"$t": {"$a": 6}}, t=({}, {"$a": [0, 2, 4, 6]})),
    )
    yield _row(
        d,
        5,
        "server-ahead",
        "nothing is missing when the server is ahead",
        d.store({"$t": {"$a": log(0, 1, 2, 3)}}),
        d.holds({"$t": {"$a": 1}}, t=({"$a": log(2, 3)}, {})),
    )
    yield _row(
        d,
        5,
        "not-above-height",
        "nothing above the height is missing, also when the server has gaps there",
        d.store({"$t": {"$a": log(0, 5)}}),
        d.holds({"$t": {"$a": 0}}, t=({"$a": log(5)}, {})),
        d.holds({"$t": {"$a": 2}}, t=({"$a": log(5)}, {"$a": [1, 2]})),
    )
    yield _row(
        d,
        5,
        "below-first",
        "without seq 0 missing begins at 0",
        d.store({"$t": {"$a": log(3)}}),
        d.holds({"$t": {"$a": 1}}, t=({"$a": log(3)}, {"$a": [0, 1]})),
        d.holds({"$t": {"$a": 3}}, t=({}, {"$a": [0, 1, 2]})),
    )
    yield _row(
        d,
        5,
        "missing-by-author",
        "each author's missing is its own",
        d.store({"$t": {"$a": log(0), "$b": log(0, 1)}}),
        d.holds({"$t": {"$a": 1, "$b": 1, "$c": 0}}, t=({}, {"$a": [1], "$c": [0]})),
    )


def _encoding(d: Dialect) -> Iterator[Row]:
    def exact(text: str) -> tuple:
        return (
            status(200),
            JSON_TYPE,
            BodyIs(text.replace("BY", d.by_topic).replace("OF", d.name)),
        )

    yield _row(
        d,
        0,
        "seq-order",
        "an answer is compact; seqs are in the order of numbers, as decimal text",
        d.store({"$t": {"$a": {10: B0, 9: B1, 100: B0}}}),
        d.get(
            {"$t": {}},
            *exact(
                '{"BY":{"$t":{"OF":{"$a":{"9":"AQ==","10":"AA==","100":"AA=="}},"missing":{}}}}'
            ),
        ),
    )
    yield _row(
        d,
        0,
        "map-order",
        "topics and authors are in the order of their bytes, not of the request",
        d.store({"$u": {"$b": {0: B0}, "$a": {0: B0}}}),
        d.get(
            {"$u": {"$c": 0}, "$t": {"$b": 0, "$a": 0}},
            *exact(
                '{"BY":{"$t":{"OF":{},"missing":{"$a":[0],"$b":[0]}},'
                '"$u":{"OF":{"$a":{"0":"AA=="},"$b":{"0":"AA=="}},"missing":{"$c":[0]}}}}'
            ),
        ),
    )
    yield _row(
        d,
        0,
        "utf8-order",
        "that is the order of UTF-8, where U+1F600 comes after U+FF5E",
        d.get(
            {"$t\U0001f600": {}, "$t\uff5e": {}},
            *exact(
                '{"BY":{"$t\uff5e":{"OF":{},"missing":{}},"$t\U0001f600":{"OF":{},"missing":{}}}}'
            ),
        ),
    )
    yield _row(
        d,
        0,
        "escapes",
        "only what JSON must escape is escaped",
        d.store({"$t": {'é"\\/\n\u0001\u007f': {0: B0}}}),
        d.get(
            {"$t": {}},
            *exact('{"BY":{"$t":{"OF":{"é\\"\\\\/\\n\\u0001\u007f":{"0":"AA=="}},"missing":{}}}}'),
        ),
    )


def _row(d: Dialect, rule: int, name: str, says: str, *steps: Step) -> Row:
    cited = f"compat 1.2 rule {rule}" if rule else "compat 1.2; compat 1.0"
    if d is not BLOBS:
        cited += " (as 1.4 has it)"
    return Row(id=f"{d.name}.{name}", part=d.part, rule=cited, says=says, steps=steps)
