"""compat 1.1, 1.4 and media-facts: /health, which every generation has."""

from __future__ import annotations

from collections.abc import Iterator

from tests.interop.checks import JSON_TYPE, BodyIs, JsonHas, SameAsBefore, is_mailbox_id, status
from tests.interop.dialect import ask
from tests.interop.row import Part, Restart, Row, Steps


def rows() -> Iterator[Row]:
    is_ok = JsonHas("status is ok", lambda health, _: health["status"] == "ok")
    yield _row(
        "status",
        Part.HEALTH,
        "compat 1.1",
        "a mailbox says that it is one",
        (ask("GET", "/health", status(200), JSON_TYPE, is_ok),),
    )
    yield _row(
        "head",
        Part.HEALTH,
        "compat 1.0",
        "HEAD works where GET does, without a body",
        (ask("HEAD", "/health", status(200), JSON_TYPE, BodyIs("")),),
    )
    one_id = JsonHas(
        "endpoint_id is 43 characters of base64url, endpoint_addr.id the same key in 64 lower-case "
        "hex digits, a point of the curve; addrs is a list",
        lambda health, _: is_mailbox_id(health),
    )
    yield _row(
        "identity",
        Part.IDENTITY,
        "compat 1.4; media-facts",
        "it names one Ed25519 key in both forms that the apps demand",
        (ask("GET", "/health", status(200), one_id),),
    )
    yield _row(
        "identity-kept",
        Part.IDENTITY,
        "compat 2.3 (b)",
        "the id stays over a restart: the apps remember by it what they have sent",
        (
            ask("GET", "/health", status(200), SameAsBefore("endpoint_id")),
            Restart(),
            ask("GET", "/health", status(200), SameAsBefore("endpoint_id")),
        ),
    )


def _row(name: str, part: Part, rule: str, says: str, steps: Steps) -> Row:
    return Row(id=f"health.{name}", part=part, rule=rule, says=says, steps=steps)
