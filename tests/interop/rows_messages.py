"""compat 1.1: the oldest API, whose messages have no author and no number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.bodies import Json, Text
from tests.interop.checks import CORS, EMPTY, JSON_TYPE, OK, BodyIs, JsonIs, status
from tests.interop.dialect import B0, B1, B2, BLIPS, BLOBS, post
from tests.interop.row import Advance, Ask, Check, Difference, Part, Restart, Row, Steps

FIRST_FAULTS: dict[str, tuple[int, str]] = {
    "not-json": (400, "{"),
    "empty-body": (400, ""),
    "no-topic": (422, '{"message":"AA=="}'),
    "no-message": (422, '{"topic_id":"$t"}'),
    "topic-number": (422, '{"topic_id":1,"message":"AA=="}'),
    "message-null": (422, '{"topic_id":"$t","message":null}'),
    "bad-base64": (422, '{"topic_id":"$t","message":"AA"}'),
    "bits-after-end": (422, '{"topic_id":"$t","message":"AB=="}'),
}
SECOND_FAULTS: dict[str, tuple[int, str]] = {
    "not-json": (400, "{"),
    "no-list": (422, "{}"),
    "list-null": (422, '{"topic_ids":null}'),
    "list-of-numbers": (422, '{"topic_ids":[1]}'),
    "object": (422, '{"topic_ids":{"$t":{}}}'),
}


def rows() -> Iterator[Row]:
    yield _row(
        "store-answer",
        "a store is answered 201 with an empty body",
        (store("$t", B0, status(201), *EMPTY, *CORS),),
    )
    yield _row(
        "every-requested-topic",
        "every requested topic is there, an unknown one empty, and no other",
        (store("$t", B0), store("$v", B1), holds(["$t", "$u"], {"$t": [B0], "$u": []})),
    )
    yield _row("no-topics", "no topics, no answers", (holds([], {}),))
    yield _row(
        "topic-twice",
        "a topic that is asked for twice is answered once",
        (
            store("$t", B0),
            post(
                "/messages/get",
                Json({"topic_ids": ["$t", "$t"]}),
                BodyIs('{"messages":{"$t":["AA=="]}}'),
            ),
        ),
    )
    yield _row(
        "order",
        "the oldest comes first (as of December 2025; the relay before it had the newest first)",
        (*(store("$t", text) for text in (B2, B0, B1)), holds(["$t"], {"$t": [B2, B0, B1]})),
    )
    yield _row(
        "empty-message", "a message may be empty", (store("$t", ""), holds(["$t"], {"$t": [""]}))
    )
    yield _row(
        "bytes",
        "any bytes come back as they were",
        (store("$t", "AP+Afw0KAA=="), holds(["$t"], {"$t": ["AP+Afw0KAA=="]})),
    )
    yield _row(
        "any-topic",
        "any text is a topic",
        (store("$t Ω", B0), holds(["$t Ω"], {"$t Ω": [B0]})),
    )
    twice = (store("$t", B0), store("$t", B1), store("$t", B0))
    yield _row(
        "same-again",
        "a message that came twice comes back once, where it first was",
        (*twice, holds(["$t"], {"$t": [B0, B1]})),
        Difference(
            "the same message may reach several mailboxes, which then give it to each other; "
            "without numbers its content is its name",
            (*twice, holds(["$t"], {"$t": [B0, B1, B0]})),
        ),
    )
    refused = store("$t:x", B0, status(422))
    yield _row(
        "colon-topic",
        "a topic with a colon is refused, and so belongs to no other topic",
        (refused, holds(["$t"], {"$t": []})),
        Difference(
            "theirs takes it, hands it out under $t as well, and never expires it",
            (store("$t:x", B0), holds(["$t"], {"$t": [B0]})),
        ),
    )
    yield _row(
        "apart",
        "messages and logs of one topic do not meet",
        (store("$t", B0), BLOBS.holds({"$t": {}}, t=({}, {})), BLIPS.holds({"$t": {}}, t=({}, {}))),
        rule="design 4.10",
    )
    yield _row(
        "kept-a-week",
        "a message is handed out for a week, and no longer",
        (
            store("$t", B0),
            Advance(6.5 * 24),
            holds(["$t"], {"$t": [B0]}),
            Advance(13),
            holds(["$t"], {"$t": []}),
        ),
        rule="compat 0 (dbf0166)",
    )
    yield _row(
        "restart-keeps",
        "messages survive a kill, in their order",
        (
            store("$t", B1),
            store("$t", B0),
            Restart(),
            store("$t", B2),
            holds(["$t"], {"$t": [B1, B0, B2]}),
        ),
        rule="compat 1.2 rule 10",
    )
    for path, faults in (("/messages/store", FIRST_FAULTS), ("/messages/get", SECOND_FAULTS)):
        for name, (code, text) in faults.items():
            yield _row(
                f"fault.{name}{path.replace('/', '.')}",
                "what is not JSON is 400, JSON of another shape is 422",
                (post(path, Text(text), status(code), *CORS),),
                rule="compat 1.0",
            )
        yield _row(
            f"fault.type{path.replace('/', '.')}",
            "a body that does not say application/json is 415",
            (post(path, Text("{}"), status(415), *CORS, headers=()),),
            rule="compat 1.0",
        )


def store(topic: str, text: str, *checks: Check) -> Ask:
    """Stores one message; by default it only must succeed."""
    return post("/messages/store", Json({"topic_id": topic, "message": text}), *(checks or (OK,)))


def holds(topics: list[str], messages: dict[str, Any]) -> Ask:
    """A get, and the exact answer to it."""
    wanted = (status(200), JSON_TYPE, JsonIs({"messages": messages}))
    return post("/messages/get", Json({"topic_ids": topics}), *wanted)


def _row(
    name: str,
    says: str,
    steps: Steps,
    differs: Difference | None = None,
    *,
    rule: str = "compat 1.1",
) -> Row:
    return Row(
        id=f"messages.{name}",
        part=Part.MESSAGES,
        rule=rule,
        says=says,
        steps=steps,
        differs=differs,
    )
