"""Pages and limits: where meshbox answers less at once than the apps' own server (design 6).

An app sends its new heights with the next poll, so a page costs it one poll; an answer too big for
its link would cost it the mailbox (compat 2.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.bodies import Json, Text
from tests.interop.checks import OK, JsonHas, status
from tests.interop.dialect import NUMBERED, Dialect, log, post
from tests.interop.row import Difference, Row, Steps

MIB = 1 << 20
PAGE_BLOBS = 1_000
TOPICS_MAX, BLOBS_MAX, NESTING_MAX = 4_096, 16_384, 128

NO_PAGES = (
    "theirs has no pages: a backlog too big for a link never arrives, as every poll times out"
)
BOUNDED = "limits before work: a phone follows far fewer, and each entry costs memory"


def rows() -> Iterator[Row]:
    for dialect in NUMBERED:
        yield from _pages(dialect)
        yield from _limits(dialect)


def _pages(d: Dialect) -> Iterator[Row]:
    seqs = range(PAGE_BLOBS + 5)
    many = d.store({"$t": {"$a": log(*seqs)}})
    first = d.get(
        {"$t": {}},
        status(200),
        JsonHas(
            "a page of the lowest seqs, and `more`",
            lambda got, name: (
                got["more"] is True
                and 0 < len(_seqs(got, d, name)) < len(seqs)
                and _seqs(got, d, name) == list(range(len(_seqs(got, d, name))))
            ),
        ),
    )
    rest = d.holds({"$t": {"$a": PAGE_BLOBS - 1}}, t=({"$a": log(*seqs[PAGE_BLOBS:])}, {}))
    yield _row(
        d,
        "blobs",
        "an answer has a bounded number of blobs: the lowest of each log, and `more`, which the "
        "last page has not",
        (many, first, rest),
        Difference(NO_PAGES, (many, d.holds({"$t": {}}, t=({"$a": log(*seqs)}, {})))),
    )
    large = dict.fromkeys(range(5), "QUJD" * (MIB // 2))
    stored = d.store({"$t": {"$a": large}}, OK)
    yield _row(
        d,
        "bytes",
        "an answer has a bounded number of bytes, and at least one blob",
        (
            stored,
            d.get(
                {"$t": {}},
                status(200),
                JsonHas(
                    "a page of the lowest seqs, and `more`",
                    lambda got, name: (
                        got["more"] is True
                        and _seqs(got, d, name) in ([0], [0, 1], [0, 1, 2], [0, 1, 2, 3])
                    ),
                ),
            ),
            d.holds({"$t": {"$a": 3}}, t=({"$a": {"4": large[4]}}, {})),
        ),
        Difference(NO_PAGES, None),
    )
    yield _row(
        d,
        "one-large-blob",
        "a blob larger than a page is a page",
        (
            d.store({"$t": {"$a": {0: "QUJD" * 2 * MIB}}}, OK),
            d.holds({"$t": {}}, t=({"$a": {"0": "QUJD" * 2 * MIB}}, {})),
        ),
        Difference("theirs up to 0.18 takes no body of 8 MiB", None),
    )
    both = {"$t": {"$a": log(*range(1, 701)), "$b": log(*range(701))}, "$u": {"$a": log(0)}}
    yield _row(
        d,
        "fair",
        "all authors and topics have a share of a page, and missing is told in full on it",
        (
            d.store(both),
            d.get(
                {"$t": {"$c": 1}, "$u": {}},
                status(200),
                JsonHas(
                    "blobs of all three logs, and what is missing of the fourth",
                    lambda got, name: (
                        got["more"] is True
                        and set(got[d.by_topic][name("$t")][d.name]) == {name("$a"), name("$b")}
                        and set(got[d.by_topic][name("$u")][d.name]) == {name("$a")}
                        and got[d.by_topic][name("$t")]["missing"] == {name("$c"): [0, 1]}
                    ),
                ),
            ),
            d.get(
                {"$t": {"$a": 1}, "$u": {"$a": 0}},
                status(200),
                JsonHas(
                    "what is missing of a log that fills the page",
                    lambda got, name: got[d.by_topic][name("$t")]["missing"] == {name("$a"): [0]},
                ),
            ),
        ),
        Difference(NO_PAGES, None),
    )


def _limits(d: Dialect) -> Iterator[Row]:
    topics: dict[str, Any] = {f"$t {number}": {} for number in range(TOPICS_MAX + 1)}
    blobs = {"$t": {"$a": dict.fromkeys(range(BLOBS_MAX + 1), "")}}
    cases = (
        (
            "topics",
            413,
            post(d.get_path, Json({"topics": topics}), status(413)),
            (d.get(topics, OK),),
        ),
        ("blobs", 413, d.store(blobs, status(413)), (d.store(blobs, OK),)),
    )
    for name, code, refused, upstream in cases:
        yield _row(
            d,
            f"limit.{name}",
            f"a request that names too many {name} is {code}",
            (refused,),
            Difference(BOUNDED, upstream),
        )
    for name, levels, ours in (
        ("deep", NESTING_MAX, OK),
        ("too-deep", NESTING_MAX + 1, status(400)),
    ):
        inner = "[" * (levels - 1) + "]" * (levels - 1)
        body = Text(f'{{"{d.name}":{{}},"x":{inner}}}')
        yield _row(
            d,
            f"limit.{name}",
            "a body may be nested 128 levels deep, also in members that are ignored",
            (d.store_as(body, ours),),
            Difference(
                "serde_json counts levels only in what it reads; a bound should not depend on that",
                (d.store_as(body, OK),),
            )
            if ours is not OK
            else None,
        )


def _seqs(got: Any, d: Dialect, name: Any) -> list[int]:
    return [int(seq) for seq in got[d.by_topic][name("$t")][d.name][name("$a")]]


def _row(d: Dialect, name: str, says: str, steps: Steps, differs: Difference | None = None) -> Row:
    return Row(
        id=f"{d.name}.page.{name}" if not name.startswith("limit") else f"{d.name}.{name}",
        part=d.part,
        rule="design 6; compat 2.1",
        says=says,
        steps=steps,
        differs=differs,
    )
