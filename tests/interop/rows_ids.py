"""compat 1.2, rules 8 and 9: which ids and numbers there are, and what the largest ones do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.checks import OK, TEXT_TYPE, BodyStarts, JsonHas, JsonIs, status
from tests.interop.dialect import B0, B1, NUMBERED, Dialect, log
from tests.interop.row import Check, Difference, Row, Steps

LAST = 2**64 - 1
CAP = 10_000
REFUSED = (status(422), TEXT_TYPE, BodyStarts(""))
NOT_5XX = "a bad request is no fault of the server's: 422 with the reason instead of 500"
KILLS = (
    "a height of 2^64-1 kills their server up to 0.18, and one of a billion takes its memory; "
    "later ones cap the range"
)


def rows() -> Iterator[Row]:
    for dialect in NUMBERED:
        yield from _bad_ids(dialect)
        yield from _good_ids(dialect)
        yield from _numbers(dialect)
        yield from _caps(dialect)


def _bad_ids(d: Dialect) -> Iterator[Row]:
    bad = {"colon": ":", "nul": "\u0000"}
    for name, sign in bad.items():
        for whose, topic, author in (
            ("topic", f"$t{sign}x", "$a"),
            ("author", "$t", f"$a{sign}x"),
        ):
            tree = {"$u": {"$b": log(0)}, topic: {author: log(0)}}
            nothing = d.holds({"$u": {}}, u=({}, {}))
            yield _row(
                d,
                8,
                f"id.{name}-in-{whose}.store",
                "an id with a colon or NUL is refused, and nothing of the request is stored",
                (d.store(tree, *REFUSED), nothing),
                Difference(NOT_5XX, (d.store(tree, status(500)), nothing)),
            )
            heights = {topic: {author: 0}}
            yield _row(
                d,
                8,
                f"id.{name}-in-{whose}.get",
                "an id with a colon or NUL is refused",
                (d.get(heights, *REFUSED),),
                Difference(NOT_5XX, (d.get(heights, status(500)),)),
            )
    alone = d.get({"$t:x": {}}, *REFUSED)
    yield _row(
        d,
        8,
        "id.colon-topic-alone.get",
        "a topic with a colon is refused also when no author is named",
        (alone,),
        Difference(
            "theirs looks at ids only where a topic has authors",
            (d.get({"$t:x": {}}, status(200)),),
        ),
    )
    yield _row(
        d,
        8,
        "id.colon-topic-alone.store",
        "a store that names a topic with a colon and nothing in it succeeds: nothing is stored",
        (d.store({"$t:x": {}}, OK),),
    )
    yield _row(
        d,
        8,
        "id.nul-topic-leaks-nothing",
        "topic NUL author is refused and hands out nothing of that author in that topic",
        (d.store({"$t": {"$a": log(0)}}), d.get({"$t\u0000$a": {}}, *REFUSED)),
        Difference("theirs reads the other topic's blobs out; not asked for", None),
    )
    long_ids = {"ascii": "$t$ux", "utf8": "$t" + "é" * 33}
    for name, long_id in long_ids.items():
        for whose, tree in (
            ("topic", {long_id: {"$a": log(0)}}),
            ("author", {"$t": {long_id: log(0)}}),
        ):
            yield _row(
                d,
                8,
                f"id.long-{name}-{whose}",
                "an id of more than 128 bytes of UTF-8 is refused",
                (d.store(tree, *REFUSED),),
                Difference(
                    "an id is stored with each log and listed: it needs a bound",
                    (d.store(tree, OK),),
                ),
            )


def _good_ids(d: Dialect) -> Iterator[Row]:
    names: dict[str, tuple[str, str]] = {
        "empty-author": ("$t", ""),
        "any-text": ("$t / Ω", "an author $a"),
        "longest": ("$t$u", "$a$b"),
        "longest-utf8": ("$t" + "é" * 32, "$a" + "é" * 32),
        "line-end": ("$t\n", "\t$a"),
    }
    for name, (topic, author) in names.items():
        yield _row(
            d,
            8,
            f"id.{name}",
            "any other text is an id, also an empty one",
            (
                d.store({topic: {author: log(0)}}),
                d.get({topic: {author: 0}}, *_answer(d, topic, {}, {})),
                d.get({topic: {}}, *_answer(d, topic, {author: log(0)}, {})),
            ),
        )
    yield _row(
        d,
        8,
        "id.empty-topic",
        "any other text is an id, also an empty one",
        (
            d.store({"": {"$a": log(0)}}),
            d.get(
                {"": {}},
                status(200),
                JsonHas(
                    "the empty topic has $a",
                    lambda got, name: got[d.by_topic][""][d.name][name("$a")] == {"0": B0},
                ),
            ),
        ),
    )
    author = "\U0001f600$a"
    stored = d.store({"$t": {author: log(0)}})
    yield _row(
        d,
        8,
        "id.supplementary-author",
        "an author that begins beyond U+FFFF is handed out like any other",
        (stored, d.get({"$t": {}}, *_answer(d, "$t", {author: log(0)}, {}))),
        Difference(
            "their range of a topic ends at U+FFFF: stored and never returned",
            (stored, d.get({"$t": {}}, *_answer(d, "$t", {}, {}))),
        ),
    )


def _numbers(d: Dialect) -> Iterator[Row]:
    yield _row(
        d,
        9,
        "seq-last",
        "2^64-1 is a seq like any other",
        (
            d.store({"$t": {"$a": {LAST: B1, 0: B0}}}),
            d.holds({"$t": {}}, t=({"$a": {"0": B0, str(LAST): B1}}, {})),
            d.holds({"$t": {"$a": 0}}, t=({"$a": {str(LAST): B1}}, {})),
        ),
    )
    yield _row(
        d,
        9,
        "missing-cap-exactly",
        "10,000 missing numbers are all listed",
        (d.holds({"$t": {"$a": CAP - 1}}, t=({}, {"$a": list(range(CAP))})),),
    )


def _caps(d: Dialect) -> Iterator[Row]:
    capped = d.holds({"$t": {"$a": LAST}}, t=({}, {"$a": list(range(CAP))}))
    yield _row(
        d,
        9,
        "height-last",
        "the height 2^64-1 is answered with the lowest 10,000 missing numbers",
        (capped,),
        Difference(KILLS, None),
    )
    yield _row(
        d,
        9,
        "height-last-held",
        "a client at the last seq gets nothing",
        (
            d.store({"$t": {"$a": {0: B0, 1: B1, LAST: B1}}}),
            d.holds({"$t": {"$a": LAST}}, t=({}, {"$a": list(range(2, CAP + 2))})),
        ),
        Difference(KILLS, None),
    )
    held = d.store({"$t": {"$a": log(*range(1, 11))}})
    listed = [0, *range(11, CAP + 10)]
    yield _row(
        d,
        9,
        "missing-cap-after-held",
        "10,000 numbers are listed that are missing, whatever is held among them",
        (held, d.holds({"$t": {"$a": 50_000}}, t=({}, {"$a": listed}))),
        Difference(
            "theirs caps first and then leaves out what it holds, so a list may be empty while "
            "more is missing, and the apps take silence for 'it holds all'",
            None,
        ),
    )
    yield _row(
        d,
        9,
        "missing-cap-in-all",
        "many authors share the 10,000, and none that misses anything is left out",
        (
            d.get(
                {"$t": {"$a": LAST, "$b": LAST, "$c": 1}, "$u": {"$a": LAST}},
                status(200),
                JsonHas("shares of one cap, lowest numbers first", lambda got, _: _shared(got, d)),
            ),
        ),
        Difference(KILLS, None),
    )


def _shared(got: Any, d: Dialect) -> bool:
    lists = [seqs for topic in got[d.by_topic].values() for seqs in topic["missing"].values()]
    lowest_first = all(seqs == list(range(len(seqs))) for seqs in lists)
    return len(lists) == 4 and lowest_first and sum(map(len, lists)) <= CAP and all(lists)


def _answer(d: Dialect, topic: str, blobs: Any, missing: Any) -> tuple[Check, ...]:
    return (status(200), JsonIs({d.by_topic: {topic: {d.name: blobs, "missing": missing}}}))


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
