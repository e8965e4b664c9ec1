"""compat 1.0, requests: content types, what is JSON (400) and what has the wrong shape (422).

Written for both numbered dialects; the other routes take the same bodies apart and have one row of
each fault where they are told.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.interop.bodies import Chunked, Json, Octets, Text
from tests.interop.checks import OK, TEXT_TYPE, BodyIs, BodyStarts, status
from tests.interop.dialect import B0, B1, JSON_BODY, NUMBERED, Dialect, log, post
from tests.interop.row import Ask, Check, Difference, Row

RULE = "compat 1.0"

UNACCEPTED_TYPES = {
    "none": (),
    "text-json": (("content-type", "text/json"),),
    "form": (("content-type", "application/x-www-form-urlencoded"),),
    "text": (("content-type", "text/plain"),),
    "octets": (("content-type", "application/octet-stream"),),
    "unparsable": (("content-type", "json"),),
}
ACCEPTED_TYPES = {
    "charset": "application/json; charset=utf-8",
    "parameter": "application/json;version=1",
    "suffix": "application/vnd.dash+json",
    "suffix-charset": "application/vnd.dash+json; charset=utf-8",
    "capitals": "Application/JSON",
}
NOT_JSON = {
    "empty": b"",
    "cut": b'{"%s":{',
    "no-value": b'{"%s":}',
    "single-quotes": b"{'%s':{}}",
    "trailing-comma": b'{"%s":{},}',
    "not-a-number": b'{"%s":NaN}',
    "bad-utf8": b'{"%s":{"\xff":{}}}',
    "lone-surrogate-topic": b'{"%s":{"\\ud800":{}}}',
    "control-character": b'{"%s":{"a\nb":{}}}',
}
WRONG_SHAPES = {
    "member-missing": "{}",
    "other-member": '{"messages":{}}',
    "null": "null",
    "number": "1",
    "string": '"%s"',
    "empty-list": "[]",
    "list-in-it": '{"%s":[]}',
    "null-in-it": '{"%s":null}',
    "string-in-it": '{"%s":"x"}',
    "topic-null": '{"%s":{"$t":null}}',
    "topic-list": '{"%s":{"$t":[]}}',
    "topic-string": '{"%s":{"$t":"x"}}',
}
WRONG_STORE_SHAPES = {
    "author-null": '{"%s":{"$t":{"$a":null}}}',
    "author-list": '{"%s":{"$t":{"$a":["AA=="]}}}',
    "author-string": '{"%s":{"$t":{"$a":"AA=="}}}',
    "blob-null": '{"%s":{"$t":{"$a":{"0":null}}}}',
    "blob-number": '{"%s":{"$t":{"$a":{"0":0}}}}',
    "blob-list": '{"%s":{"$t":{"$a":{"0":[0]}}}}',
}
NOT_BASE64 = {
    "no-padding": "AA",
    "half-padding": "AA=",
    "too-much-padding": "AAAA====",
    "padding-first": "==AA",
    "padding-within": "AA==AAAA",
    "one-digit": "A",
    "url-alphabet": "-_-_",
    "space": "AA ==",
    "line-end": "AAAA\\n",
    "bits-after-end": "AB==",
    "bits-after-end-2": "AAB=",
    "other-letters": "äAAA",
}
KEYS_NOT_NUMBERS = {
    "word": "abc",
    "empty": "",
    "space-before": " 5",
    "plus": "+5",
    "space-after": "5 ",
    "leading-zero": "01",
}
KEYS_OTHER_NUMBERS = {
    "negative": "-1",
    "fraction": "1.0",
    "exponent": "1e3",
    "minus-zero": "-0",
    "two-to-64": "18446744073709551616",
}
HEIGHTS_422 = {
    "negative": "-1",
    "fraction": "5.0",
    "string": '"5"',
    "null": "null",
    "boolean": "true",
    "two-to-64": "18446744073709551616",
    "object": '{"0":0}',
}
MALFORMED, INVALID = status(400), status(422)


def rows() -> Iterator[Row]:
    for dialect in NUMBERED:
        yield from _content_types(dialect)
        yield from _malformed(dialect)
        yield from _invalid(dialect)
        yield from _numbers(dialect)
        yield from _tolerated(dialect)
        yield from _rejections(dialect)


def _content_types(d: Dialect) -> Iterator[Row]:
    for name, headers in UNACCEPTED_TYPES.items():
        for route, body in ((d.store_path, Json(d.tree({}))), (d.get_path, Json({"topics": {}}))):
            yield _row(
                d,
                f"type.{name}{route.replace('/', '.')}",
                "a body that does not say application/json is 415",
                post(route, body, status(415), headers=headers),
            )
    for name, kind in ACCEPTED_TYPES.items():
        yield _row(
            d,
            f"type-accepted.{name}",
            "application/json with parameters, and any application/*+json, is JSON",
            d.store_as(Json(d.tree({"$t": {"$a": log(0)}})), OK, headers=[("content-type", kind)]),
            d.holds({"$t": {}}, t=({"$a": {"0": B0}}, {})),
        )
    yield _row(
        d,
        "type-before-body",
        "the content type is looked at before the body",
        d.store_as(Text("{"), status(415), headers=()),
        d.store_as(Text("{"), status(415), headers=[("content-length", "99999999999")]),
    )
    yield Row(
        id=f"{d.name}.content-encoding",
        part=d.part,
        rule="design 6",
        says="any Content-Encoding is 415",
        steps=(_encoded(d, status(415)),),
        differs=Difference(
            "nothing is unpacked, so that a small request cannot become a large one; the apps "
            "send none",
            (_encoded(d, OK),),
        ),
    )


def _malformed(d: Dialect) -> Iterator[Row]:
    for name, template in NOT_JSON.items():
        for route, member in ((d.store_path, d.name), (d.get_path, "topics")):
            body = template.replace(b"%s", member.encode())
            yield _row(
                d,
                f"malformed.{name}{route.replace('/', '.')}",
                "what is not JSON is 400",
                post(route, Octets(body), MALFORMED),
            )
    broken = Chunked(Json(d.tree({})), end=b"no size\r\n\r\n")
    yield _row(
        d,
        "malformed.broken-stream",
        "a body stream that breaks is 400",
        d.store_as(broken, MALFORMED, headers=[*JSON_BODY, ("transfer-encoding", "chunked")]),
    )
    trailing = Octets(b'{"%s":{}} x' % d.name.encode())
    yield Row(
        id=f"{d.name}.trailing-bytes",
        part=d.part,
        rule="compat 1.0; compat 6, seen on the real server",
        says="bytes after the JSON document are refused",
        steps=(d.store_as(trailing, MALFORMED),),
        differs=Difference(
            "axum took them up to 0.8.4 and refuses them since; two readings of one body are a "
            "trap, and no app sends them",
            (d.store_as(trailing, status(201, 200, 400)),),
        ),
    )


def _invalid(d: Dialect) -> Iterator[Row]:
    for name, text in WRONG_SHAPES.items():
        for route, member in ((d.store_path, d.name), (d.get_path, "topics")):
            yield _row(
                d,
                f"shape.{name}{route.replace('/', '.')}",
                "JSON of another shape is 422",
                post(route, Text(text.replace("%s", member)), INVALID),
            )
    for name, text in WRONG_STORE_SHAPES.items():
        yield _row(
            d,
            f"shape.{name}",
            "JSON of another shape is 422",
            d.store_as(Text(text.replace("%s", d.name)), INVALID),
        )
    for name, text in NOT_BASE64.items():
        yield _row(
            d,
            f"base64.{name}",
            "a blob is canonical base64 of the standard alphabet with padding; else 422, and "
            "nothing of the request is stored",
            d.store_as(
                Text(f'{{"{d.name}":{{"$t":{{"$a":{{"0":"AA==","1":"{text}"}}}}}}}}'), INVALID
            ),
            d.holds({"$t": {}}, t=({}, {})),
        )
    yield _row(
        d,
        "base64.escaped",
        "JSON escapes in base64 are JSON's business",
        d.store_as(Text(f'{{"{d.name}":{{"$t":{{"$a":{{"0":"\\u0041A\\u003d="}}}}}}}}'), OK),
        d.holds({"$t": {}}, t=({"$a": {"0": B0}}, {})),
    )
    for route, member in ((d.store_path, d.name), (d.get_path, "topics")):
        twice = Text(f'{{"{member}":{{"$u":{{}}}},"{member}":{{}}}}')
        yield Row(
            id=f"{d.name}.shape.member-twice{route.replace('/', '.')}",
            part=d.part,
            rule=RULE,
            says="of a member of the request that comes twice the last counts",
            steps=(post(route, twice, OK),),
            differs=Difference(
                "serde refuses it and takes map keys that come twice; here both are one rule, and "
                "no app sends either",
                (post(route, twice, INVALID),),
            ),
        )
        positional = Text("[{}]")
        yield Row(
            id=f"{d.name}.shape.positional{route.replace('/', '.')}",
            part=d.part,
            rule="compat 1.0; compat 6, seen on the real server",
            says="a list in place of the request's object is refused",
            steps=(post(route, positional, INVALID),),
            differs=Difference(
                "an accident of serde; no app sends it", (post(route, positional, OK),)
            ),
        )


def _numbers(d: Dialect) -> Iterator[Row]:
    for fault, keys in ((MALFORMED, KEYS_NOT_NUMBERS), (INVALID, KEYS_OTHER_NUMBERS)):
        for name, key in keys.items():
            yield _row(
                d,
                f"seq.{name}",
                "a key that is no JSON number is 400, another number than 0 … 2^64-1 is 422; "
                "nothing of the request is stored",
                d.store({"$t": {"$a": {"0": B0, key: B1}}}, fault),
                d.holds({"$t": {}}, t=({}, {})),
            )
    for name, height in HEIGHTS_422.items():
        yield _row(
            d,
            f"height.{name}",
            "a height that is not an integer in 0 … 2^64-1 is 422",
            _height(d, height, INVALID),
        )
    yield Row(
        id=f"{d.name}.height.infinite",
        part=d.part,
        rule=f"{RULE}; design 6",
        says="a height out of all range is refused like any other number that is no height",
        steps=(_height(d, "1e400", INVALID),),
        differs=Difference(
            "serde_json calls it malformed (400): the same class, and the apps look at 2xx only",
            (_height(d, "1e400", MALFORMED),),
        ),
    )
    yield Row(
        id=f"{d.name}.height.minus-zero",
        part=d.part,
        rule=RULE,
        says="the height -0 is 0",
        steps=(_height(d, "-0", *d.got(t=({}, {"$a": [0]}))),),
        differs=Difference(
            "serde_json reads -0 as a float; it is 0 to whoever writes it, and no app does",
            (_height(d, "-0", INVALID),),
        ),
    )


def _tolerated(d: Dialect) -> Iterator[Row]:
    yield _row(
        d,
        "unknown-members",
        "unknown members are ignored",
        d.store_as(Json({"x": [1], **d.tree({"$t": {"$a": log(0)}}), "y": None}), OK),
        post(d.get_path, Json({"x": {}, "topics": {"$t": {}}}), *d.got(t=({"$a": log(0)}, {}))),
    )
    yield _row(
        d,
        "seq-twice",
        "of a map key that comes twice the last counts",
        d.store_as(Text(f'{{"{d.name}":{{"$t":{{"$a":{{"0":"AA==","0":"AQ=="}}}}}}}}'), OK),
        d.holds({"$t": {}}, t=({"$a": {"0": B1}}, {})),
    )
    yield _row(
        d,
        "topic-twice",
        "of a topic that comes twice the last counts",
        d.store_as(
            Text(f'{{"{d.name}":{{"$t":{{"$a":{{"0":"AA=="}}}},"$t":{{"$b":{{"1":"AQ=="}}}}}}}}'),
            OK,
        ),
        d.holds({"$t": {}}, t=({"$b": {"1": B1}}, {})),
    )
    yield _row(
        d,
        "chunked",
        "a body may come in chunks",
        d.store_as(
            Chunked(Json(d.tree({"$t": {"$a": log(0)}})), chunk_bytes=7),
            OK,
            headers=[*JSON_BODY, ("transfer-encoding", "chunked")],
        ),
        d.holds({"$t": {}}, t=({"$a": log(0)}, {})),
    )
    yield _row(
        d,
        "white-space",
        "white space around and inside the document is nothing",
        d.store_as(
            Text(f' \r\n\t{{ "{d.name}" : {{ "$t":{{"$a":{{ "0" : "AA==" }} }} }} }}\n'), OK
        ),
        d.holds({"$t": {}}, t=({"$a": log(0)}, {})),
    )


def _rejections(d: Dialect) -> Iterator[Row]:
    """The texts of rejections."""
    faults = (
        (415, (), Json({}), "Expected request with `Content-Type: application/json`"),
        (400, JSON_BODY, Text("{"), "Failed to parse the request body as JSON: "),
        (
            422,
            JSON_BODY,
            Text("{}"),
            "Failed to deserialize the JSON body into the target type: ",
        ),
    )
    for code, headers, body, prefix in faults:

        def rejected(text: Check, *, code=code, headers=headers, body=body) -> Ask:
            return d.store_as(body, status(code), TEXT_TYPE, text, headers=headers)

        upstream = BodyIs(prefix) if code == 415 else BodyStarts(prefix)
        yield Row(
            id=f"{d.name}.text.{code}",
            part=d.part,
            rule=RULE,
            says="a rejection is text/plain; charset=utf-8 and says why",
            steps=(rejected(BodyStarts("")),),
            differs=Difference(
                "the same status and type, in our own words: the apps look at 2xx only",
                (rejected(upstream),),
            ),
        )


def _height(d: Dialect, height: str, *checks: Check) -> Ask:
    return post(d.get_path, Text(f'{{"topics":{{"$t":{{"$a":{height}}}}}}}'), *checks)


def _encoded(d: Dialect, check: Check) -> Ask:
    headers = [*JSON_BODY, ("content-encoding", "gzip")]
    return d.store_as(Json(d.tree({})), check, headers=headers)


def _row(d: Dialect, name: str, says: str, *steps: Ask) -> Row:
    return Row(id=f"{d.name}.{name}", part=d.part, rule=RULE, says=says, steps=steps)
