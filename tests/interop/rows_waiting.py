"""What stands behind a path's `?`: ignored, but for `wait` on the fetch routes of our own clients.

That a request waits, and until when, is shown where two requests can run side by side
(tests/http_api/test_waiting.py); here is what any client sees of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.interop.bodies import Json
from tests.interop.checks import OK, TEXT_TYPE, status
from tests.interop.dialect import NUMBERED, Dialect, log, post
from tests.interop.row import Ask, Check, Difference, Row, Steps

BAD_WAITS = {
    "empty": "wait=",
    "word": "wait=soon",
    "negative": "wait=-1",
    "exponent": "wait=1e3",
    "not-a-number": "wait=nan",
    "infinite": "wait=inf",
    "twice": "wait=1&wait=1",
}
IGNORED = (
    "their server, as the apps, knows nothing of wait; a client of ours should learn of a slip"
)


def rows() -> Iterator[Row]:
    for d in NUMBERED:
        yield from _waits(d)
        yield _row(
            d,
            "query-ignored",
            "a query changes nothing",
            (
                post(f"{d.store_path}?x=1", Json(d.tree({"$t": {"$a": log(0)}})), OK),
                _get(d, "later&x=%zz", {"$t": {}}, *d.got(t=({"$a": log(0)}, {}))),
            ),
        )


def _waits(d: Dialect) -> Iterator[Row]:
    store = d.store({"$t": {"$a": log(0, 1)}})
    yield _row(
        d,
        "wait.new",
        "with wait=SECONDS, what is new is answered at once",
        (store, _get(d, "wait=50", {"$t": {"$a": 0}}, *d.got(t=({"$a": log(1)}, {})))),
    )
    yield _row(
        d,
        "wait.nothing",
        "when nothing new came in that time, the answer is as without it, also what is missing",
        (
            store,
            _get(
                d, "wait=0.1", {"$t": {"$a": 2}, "$u": {}}, *d.got(t=({}, {"$a": [2]}), u=({}, {}))
            ),
        ),
    )
    for name, query in BAD_WAITS.items():
        yield _row(
            d,
            f"wait.bad.{name}",
            "a wait that is no number of seconds is 422",
            (_get(d, query, {"$t": {}}, status(422), TEXT_TYPE),),
            Difference(IGNORED, (_get(d, query, {"$t": {}}, *d.got(t=({}, {}))),)),
        )


def _get(d: Dialect, query: str, heights: object, *checks: Check) -> Ask:
    return post(f"{d.get_path}?{query}", Json({"topics": heights}), *checks)


def _row(d: Dialect, name: str, says: str, steps: Steps, differs: Difference | None = None) -> Row:
    return Row(
        id=f"{d.name}.{name}",
        part=d.part,
        rule="design 6",
        says=says,
        steps=steps,
        differs=differs,
    )
