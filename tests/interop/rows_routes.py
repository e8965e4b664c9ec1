"""compat 1.0, routes: unknown paths, wrong methods, CORS, and the size of a body."""

from __future__ import annotations

from collections.abc import Iterator

from tests.interop.bodies import Chunked, Json, Octets, Padded, Text
from tests.interop.checks import (
    CORS,
    EMPTY,
    OK,
    PREFLIGHT,
    BodyIs,
    HeaderTokens,
    status,
)
from tests.interop.dialect import BLOBS, JSON_BODY, NUMBERED, Dialect, ask, log, post
from tests.interop.row import Ask, Check, Difference, Part, Request, Row

RULE = "compat 1.0"
MIB = 1 << 20

UNKNOWN_PATHS = {
    "root": "/",
    "nothing": "/nothing/here",
    "slash-after": "/health/",
    "capitals": "/HEALTH",
    "slash-twice": "//health",
}
ORIGIN = (
    ("origin", "https://app.example"),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "content-type"),
)
POST_ROUTES = {
    Part.MESSAGES: ("/messages/store", "/messages/get"),
    Part.BLOBS: ("/blobs/store", "/blobs/get"),
    Part.BLIPS: ("/blips/store", "/blips/get"),
    Part.MEDIA: ("/blobs/register-hashes", "/blobs/upload", "/peers/register", "/report"),
}


def rows() -> Iterator[Row]:
    yield from _paths()
    yield from _methods()
    yield from _preflights()
    yield from _cors()
    for dialect in NUMBERED:
        yield from _sizes(dialect)


def _paths() -> Iterator[Row]:
    for name, path in UNKNOWN_PATHS.items():
        yield Row(
            id=f"path.{name}",
            part=Part.HEALTH,
            rule=RULE,
            says="an unknown path is 404 with an empty body",
            steps=(ask("GET", path, status(404), *EMPTY),),
        )
    for part, path in ((d.part, d.store_path) for d in NUMBERED):
        yield Row(
            id=f"path{path.replace('/', '.')}.slash-after",
            part=part,
            rule=RULE,
            says="an unknown path is 404 with an empty body",
            steps=(post(f"{path}/", Json({}), status(404), *EMPTY),),
        )
    dollops = post("/dollops/store", Json({"dollops": {"$t": {"$a": log(0)}}}), status(404), *EMPTY)
    for name in ("blips", "blobs"):
        yield Row(
            id=f"path.{name}.scrub",
            part=Part.HEALTH,
            rule="compat 1.4 (the scrub branch)",
            says="the routes of an API that no app shipped with are unknown",
            steps=(post(f"/{name}/scrub", Json({}), status(404), *EMPTY),),
        )
    yield Row(
        id="path.dollops",
        part=Part.HEALTH,
        rule="compat 1.3",
        says="the routes of an API that no app shipped with are unknown",
        steps=(dollops,),
        differs=Difference(
            "/dollops lived on a branch that was never merged, whose own tests did not fit it",
            None,
        ),
    )


def _methods() -> Iterator[Row]:
    for part, paths in POST_ROUTES.items():
        for path in paths:
            for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
                allowed = HeaderTokens("allow", frozenset({"post"}))
                yield Row(
                    id=f"method.{method}{path.replace('/', '.')}",
                    part=part,
                    rule=RULE,
                    says="another method than the route's is 405, empty, and `allow` names it",
                    steps=(ask(method, path, status(405), BodyIs(""), allowed),),
                )
    for method in ("POST", "PUT", "DELETE"):
        allowed = HeaderTokens("allow", frozenset({"get", "head"}))
        yield Row(
            id=f"method.{method}.health",
            part=Part.HEALTH,
            rule=RULE,
            says="another method than the route's is 405, empty, and `allow` names it",
            steps=(ask(method, "/health", status(405), BodyIs(""), allowed),),
        )


def _preflights() -> Iterator[Row]:
    paths = [(Part.HEALTH, "/health"), (Part.HEALTH, "/nothing/here"), (Part.HEALTH, "/")]
    paths += [(part, path) for part, paths in POST_ROUTES.items() for path in paths]
    for part, path in paths:
        for name, headers in (("origin", ORIGIN), ("bare", ())):
            yield Row(
                id=f"preflight.{name}{path.replace('/', '.')}",
                part=part,
                rule=RULE,
                says="OPTIONS is 200, empty, with the CORS headers, whatever the path and origin",
                steps=(ask("OPTIONS", path, *PREFLIGHT, headers=headers),),
            )


def _cors() -> Iterator[Row]:
    d = BLOBS
    answers = {
        "200.health": (Part.HEALTH, ask("GET", "/health", status(200), *CORS)),
        "404": (Part.HEALTH, ask("GET", "/nothing/here", status(404), *CORS)),
        "405": (Part.HEALTH, ask("PUT", "/health", status(405), *CORS)),
        "200.get": (d.part, d.get({"$t": {}}, status(200), *CORS)),
        "201": (d.part, d.store({"$t": {"$a": log(0)}}, status(201), *CORS)),
        "400": (d.part, d.store_as(Text("{"), status(400), *CORS)),
        "415": (d.part, d.store_as(Text("{}"), status(415), *CORS, headers=())),
        "422": (d.part, d.store_as(Text("{}"), status(422), *CORS)),
        "204": (
            Part.MEDIA,
            post("/peers/register", Json({"addr": _ADDRESS}), status(204), *CORS),
        ),
        "501": (
            Part.MEDIA,
            post("/blobs/upload", Octets(b"x"), status(501, 200), *CORS, headers=()),
        ),
        "origin": (
            d.part,
            post(
                d.get_path,
                Json({"topics": {}}),
                status(200),
                *CORS,
                headers=(*JSON_BODY, ("origin", "https://app.example")),
            ),
        ),
    }
    for name, (part, step) in answers.items():
        yield Row(
            id=f"cors.{name}",
            part=part,
            rule=RULE,
            says="every answer has the CORS headers, whatever its status and the request's origin",
            steps=(step,),
        )


_ADDRESS = {"id": "58" + "66" * 31, "addrs": [{"Ip": "192.168.1.5:4433"}]}
"""The base point of edwards25519: a key that every library takes."""


def _sizes(d: Dialect) -> Iterator[Row]:
    whole = Padded(d.tree({"$t": {"$a": log(0)}}), 64 * MIB)
    over = Padded(d.tree({"$t": {"$a": log(0)}}), 64 * MIB + 1)
    chunked = [*JSON_BODY, ("transfer-encoding", "chunked")]
    stored = d.holds({"$t": {}}, t=({"$a": log(0)}, {}))
    nothing = d.holds({"$t": {}}, t=({}, {}))
    too_small = (
        "0.18 had no limit of its own and so axum's 2 MiB; its clients send attachments inline, "
        "0.19 takes 64 MiB"
    )
    large = {"$t": {"$a": {0: "QUJD" * MIB}}}

    def row(name: str, says: str, *steps: Ask, g1: tuple[Ask, ...] | None = None) -> Row:
        differs = Difference(too_small, g1) if g1 and d is BLOBS else None
        return Row(
            id=f"{d.name}.size.{name}",
            part=d.part,
            rule=RULE,
            says=says,
            steps=steps,
            differs=differs,
        )

    refused = (status(413), *CORS)
    yield row(
        "large-blob",
        "a blob of 3 MiB, whose base64 is larger than axum's own limit, is stored and handed out",
        d.store(large, OK),
        d.holds({"$t": {}}, t=({"$a": {"0": "QUJD" * MIB}}, {})),
        g1=(d.store(large, status(413)), nothing),
    )
    yield row(
        "limit",
        "a body of 64 MiB is taken: the body counts, not what it decodes to",
        d.store_as(whole, OK),
        stored,
        g1=(d.store_as(whole, status(413)), nothing),
    )
    yield row(
        "over",
        "a body of more than 64 MiB is 413",
        d.store_as(over, *refused),
        nothing,
    )
    yield row(
        "over-in-chunks",
        "so it is when nobody said before how long it is",
        d.store_as(Chunked(over), *refused, headers=chunked),
        nothing,
    )
    announced = Request(
        method="POST",
        path=d.store_path,
        headers=(*JSON_BODY, ("content-length", str(64 * MIB + 1))),
    )
    early: tuple[Check, ...] = (status(413),)
    yield Row(
        id=f"{d.name}.size.over-announced",
        part=d.part,
        rule="compat 4 (#157/#92/#302)",
        says="a body that is announced as too large is 413 before any of it came",
        steps=(Ask(announced, early),),
        differs=Difference("their server reads it first", None),
    )
