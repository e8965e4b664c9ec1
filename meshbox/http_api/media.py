"""What a node that keeps text only says honestly to apps that hand over media, peers and reports.

- No hash is `already_stored`: the app keeps its picture and tries elsewhere. (A 404 would make it
  count an error after the text was stored, and forget the picture.)
- An upload is refused with the body unread.
- A phone's address is taken and not used: nothing is fetched from phones.
- A report is checked as the apps' own server checks it. There is nobody here to act on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from meshbox.core.errors import BodyMalformed, MediaNotServed, SignatureWrong
from meshbox.core.limits import REPORT_IDS_MAX, REPORT_SKEW_MS_MAX
from meshbox.http_api.exchange import CREATED, NO_CONTENT, Answer, Exchange, Route
from meshbox.wire.json_media import (
    NOTHING_STORED,
    REGISTER_HASHES_BODY,
    REGISTER_PEER_BODY,
    REPORT_BODY,
    ReportBody,
)

REPORT_CONTEXT: Final = b"dashchat/report/v1"

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-fA-F]{128}")


class MediaApi:
    """The routes of G3 that are not about text. `wall_ms` tells the time in ms since 1970."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms

    def routes(self) -> Iterable[Route]:
        """What G3 serves beside text."""
        return (
            Route("POST", "/blobs/register-hashes", _register_hashes),
            Route("POST", "/blobs/upload", _upload),
            Route("POST", "/peers/register", _register_peer),
            Route("POST", "/report", self._report),
        )

    async def _report(self, exchange: Exchange) -> Answer:
        report = REPORT_BODY.decode(await exchange.json_body())
        check_report(report, wall_ms=self._wall_ms())
        return CREATED


def check_report(report: ReportBody, *, wall_ms: int) -> None:
    """`BodyMalformed` for a report out of bounds, `SignatureWrong` for one of somebody else.

    Signed is: context ‖ count (64 bits) ‖ the reported keys ‖ timestamp (64 bits, signed).
    """
    ids = report.reported_device_ids
    if not 1 <= len(ids) <= REPORT_IDS_MAX:
        raise BodyMalformed(f"a report names 1 to {REPORT_IDS_MAX} devices")
    if not all(_KEY.fullmatch(key) for key in (*ids, report.reporter_pubkey)):
        raise BodyMalformed("a device id is not 64 hex digits")
    if not _SIGNATURE.fullmatch(report.signature):
        raise BodyMalformed("the signature is not 128 hex digits")
    if abs(report.timestamp - wall_ms) > REPORT_SKEW_MS_MAX:
        raise BodyMalformed("the report is not from this hour")
    signed = b"".join(
        (
            REPORT_CONTEXT,
            len(ids).to_bytes(8, "big"),
            *map(bytes.fromhex, ids),
            report.timestamp.to_bytes(8, "big", signed=True),
        )
    )
    try:
        reporter = Ed25519PublicKey.from_public_bytes(bytes.fromhex(report.reporter_pubkey))
        reporter.verify(bytes.fromhex(report.signature), signed)
    except (InvalidSignature, ValueError) as error:
        raise SignatureWrong("the report's signature is not the reporter's") from error


async def _register_hashes(exchange: Exchange) -> Answer:
    REGISTER_HASHES_BODY.decode(await exchange.json_body())
    return Answer(200, NOTHING_STORED)


async def _upload(exchange: Exchange) -> Answer:
    del exchange
    raise MediaNotServed("this mailbox keeps text only")


async def _register_peer(exchange: Exchange) -> Answer:
    REGISTER_PEER_BODY.decode(await exchange.json_body())
    return NO_CONTENT
