"""compat 1.4 and media-facts: media, peers and reports, as a node that keeps text only answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.interop.bodies import Json, Octets, Report, Text
from tests.interop.checks import EMPTY, JSON_TYPE, BodyIs, status
from tests.interop.dialect import BLOBS, JSON_BODY, log, post
from tests.interop.row import Ask, Check, Difference, Part, Request, Row, Steps

KEY = "58" + "66" * 31
HASH = "07" * 32
ANNOUNCED: dict[str, Any] = {"blob_hashes": [HASH], "sender_pubkey": KEY, "signature": []}
NOTHING_STORED = (status(200), JSON_TYPE, BodyIs('{"already_stored":[]}'))
TEXT_ONLY = (
    "this node keeps text only and says so at once; the app tries elsewhere and the sender's phone "
    "stays the source"
)
DEVICES = tuple(f"{number:064x}" for number in range(1_001))


def rows() -> Iterator[Row]:
    yield from _announcements()
    yield from _uploads()
    yield from _peers()
    yield from _reports()


def _announcements() -> Iterator[Row]:
    d = BLOBS
    path = "/blobs/register-hashes"
    says = "no hash is claimed to be stored: the app would drop its picture"
    for name, body in {
        "announce": ANNOUNCED,
        "to-upload": {**ANNOUNCED, "expect_upload": True},
        "op-ref": {**ANNOUNCED, "op_ref": "x"},
        "none": {**ANNOUNCED, "blob_hashes": []},
    }.items():
        yield _row(f"register.{name}", says, (post(path, Json(body), *NOTHING_STORED),))
    yield _row(
        "register.old-name",
        "0.19 announced under /blobs/store; the body's members tell it from a store of 0.18",
        (
            d.store_as(Json(ANNOUNCED), *NOTHING_STORED),
            d.store({"$t": {"$a": log(0)}}, status(201), *EMPTY),
        ),
    )
    both = Json({**ANNOUNCED, **d.tree({"$t": {"$a": log(0)}})})
    yield _row(
        "register.both-shapes",
        "a body of both shapes is an announcement, and nothing of it is stored",
        (d.store_as(both, *NOTHING_STORED), d.holds({"$t": {}}, t=({}, {}))),
    )
    neither = d.store_as(Json({"blob_hashes": 5, **d.tree({"$t": {"$a": log(0)}})}), status(422))
    taken = Ask(neither.request, (status(201),))
    yield _row(
        "register.malformed",
        "a malformed announcement is refused, and is no store of 0.18 for it",
        (neither, d.holds({"$t": {}}, t=({}, {}))),
        Difference(
            "theirs takes for a store what is no announcement; a mistake in one member should not "
            "give another a meaning, and no app sends both",
            (taken, d.holds({"$t": {}}, t=({"$a": log(0)}, {}))),
        ),
    )
    faults: dict[str, tuple[int, str]] = {
        "not-json": (400, "{"),
        "no-hashes": (422, f'{{"sender_pubkey":"{KEY}"}}'),
        "hashes-null": (422, f'{{"blob_hashes":null,"sender_pubkey":"{KEY}"}}'),
        "hashes-numbers": (422, f'{{"blob_hashes":[1],"sender_pubkey":"{KEY}"}}'),
    }
    yield from _faults("register.fault", path, faults)


def _uploads() -> Iterator[Row]:
    octets = (("content-type", "application/octet-stream"),)
    says = "an upload is refused with 501"
    for name, headers in (("octets", octets), ("no-type", ()), ("json", JSON_BODY)):
        yield _row(
            f"upload.{name}",
            says,
            (post("/blobs/upload", Octets(b"a picture"), status(501), headers=headers),),
            _stored_elsewhere(
                post("/blobs/upload", Octets(b"a picture"), status(200), headers=headers)
            ),
        )
    yield _row(
        "upload.not-stored",
        "what was refused is not claimed afterwards",
        (
            post("/blobs/upload", Octets(b"x"), status(501), headers=octets),
            post("/blobs/register-hashes", Json(ANNOUNCED), *NOTHING_STORED),
        ),
        Difference(TEXT_ONLY, None),
    )
    announced = Request(
        method="POST", path="/blobs/upload", headers=(*octets, ("content-length", "16777216"))
    )
    yield _row(
        "upload.unread",
        "an upload is refused before any of it came",
        (Ask(announced, (status(501),)),),
        Difference(TEXT_ONLY, None),
    )


def _peers() -> Iterator[Row]:
    path = "/peers/register"
    for name, addrs in {
        "address": [{"Ip": "192.168.1.5:4433"}],
        "relay": [{"Relay": "https://relay.example./"}],
        "none": [],
    }.items():
        body = Json({"addr": {"id": KEY, "addrs": addrs}})
        yield _row(
            f"peer.{name}", "a phone's address is 204", (post(path, body, status(204), *EMPTY),)
        )
    faults: dict[str, tuple[int, str]] = {
        "not-json": (400, "{"),
        "no-address": (422, "{}"),
        "null": (422, '{"addr":null}'),
        "text": (422, '{"addr":"192.168.1.5:4433"}'),
    }
    yield from _faults("peer.fault", path, faults)


def _reports() -> Iterator[Row]:
    says = "a signed report of 1 to 1,000 devices, at most an hour off, is 201"
    good = {
        "one": Report(),
        "several": Report(devices=DEVICES[:3]),
        "twice": Report(devices=(DEVICES[1], DEVICES[1])),
        "most": Report(devices=DEVICES[:1_000]),
        "late": Report(minutes_off=-59),
        "early": Report(minutes_off=59),
        "capitals": Report(devices=("AB" * 32,), changes=(("reported_device_ids", ["AB" * 32]),)),
    }
    for name, report in good.items():
        yield _report(name, says, report, status(201), *EMPTY)
    says = "a report that the reporter did not sign so is 401"
    forged = {
        "other-devices": Report(changes=(("reported_device_ids", [DEVICES[2]]),)),
        "other-reporter": Report(changes=(("reporter_pubkey", KEY),)),
        "other-signature": Report(changes=(("signature", "07" * 63 + "00"),)),
    }
    for name, report in forged.items():
        yield _report(name, says, report, status(401))
    says = "any other fault of a report is 400"
    bad = {
        "too-late": Report(minutes_off=-61),
        "too-early": Report(minutes_off=61),
        "none": Report(devices=()),
        "too-many": Report(devices=DEVICES),
        "short-device": Report(changes=(("reported_device_ids", ["07" * 31]),)),
        "no-hex": Report(changes=(("reported_device_ids", ["zz" * 32]),)),
        "short-key": Report(changes=(("reporter_pubkey", "07" * 31),)),
        "short-signature": Report(changes=(("signature", "07" * 63),)),
        "signature-no-hex": Report(changes=(("signature", "zz" * 64),)),
    }
    for name, report in bad.items():
        yield _report(name, says, report, status(400))
    no_point = Report(changes=(("reporter_pubkey", "02" + "00" * 31),))
    yield Row(
        id="media.report.no-point",
        part=Part.MEDIA,
        rule="media-facts",
        says="a reporter whose key is no point of the curve did not sign: 401",
        steps=(post("/report", no_point, status(401)),),
        differs=Difference(
            "theirs calls the key malformed (400); both refuse it",
            (post("/report", no_point, status(400)),),
        ),
    )
    faults: dict[str, tuple[int, str]] = {
        "not-json": (400, "{"),
        "empty": (422, "{}"),
        "no-list": (422, f'{{"timestamp":0,"reporter_pubkey":"{KEY}","signature":"{"00" * 64}"}}'),
    }
    yield from _faults("report.fault", "/report", faults)
    for name, timestamp in (("text", "0"), ("fraction", 0.5), ("null", None)):
        report = Report(changes=(("timestamp", timestamp),))
        yield _report(f"time-{name}", "JSON of another shape is 422", report, status(422))


def _faults(name: str, path: str, faults: dict[str, tuple[int, str]]) -> Iterator[Row]:
    for fault, (code, text) in faults.items():
        yield _row(
            f"{name}.{fault}",
            "what is not JSON is 400, JSON of another shape is 422",
            (post(path, Text(text), status(code)),),
        )
    yield _row(
        f"{name}.type",
        "a body that does not say application/json is 415",
        (post(path, Text("{}"), status(415), headers=()),),
    )


def _stored_elsewhere(upstream: Ask) -> Difference:
    return Difference(TEXT_ONLY, (upstream,))


def _report(name: str, says: str, report: Report, *checks: Check) -> Row:
    return _row(f"report.{name}", says, (post("/report", report, *checks),))


def _row(name: str, says: str, steps: Steps, differs: Difference | None = None) -> Row:
    return Row(
        id=f"media.{name}",
        part=Part.MEDIA,
        rule="compat 1.4; media-facts",
        says=says,
        steps=steps,
        differs=differs,
    )
