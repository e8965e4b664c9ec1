"""What the reference server says: the text of its answers, by compat 1.0 to 1.4 and media-facts."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.interop.checks import is_curve_point
from tests.interop.flaws import Flaw
from tests.interop.reference_store import Missing, Tree

JSON, TEXT = "application/json", "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before its common headers."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Writer:
    """Writes answers, with the planted mistakes."""

    def __init__(self, planted: frozenset[Flaw]) -> None:
        self._planted = planted

    def json(self, status: int, value: Any) -> Reply:
        """A JSON answer, compact, as ordered as `value` is."""
        spaced = Flaw.SPACES_IN_ANSWERS in self._planted
        separators = (", ", ": ") if spaced else (",", ":")
        escaped = Flaw.ASCII_ONLY in self._planted
        text = json.dumps(value, ensure_ascii=escaped, separators=separators)
        kind = f"{JSON}; charset=utf-8" if Flaw.OTHER_JSON_TYPE in self._planted else JSON
        return Reply(status, text.encode(), kind)

    def rejection(self, status: int, reason: str) -> Reply:
        """A fault of the client's."""
        if Flaw.REJECTIONS_ARE_JSON in self._planted:
            return self.json(status, {"error": reason})
        text = _TEXTS.get(status, "{}").format(reason)
        return Reply(status, text.encode(), TEXT)

    def fetched(self, name: str, tree: Tree, missing: Missing, *, more: bool) -> Reply:
        """The answer to a get."""
        by_topic: dict[str, Any] = {}
        for topic in self._ordered(tree):
            blobs = {
                author: self._log(tree[topic][author]) for author in self._ordered(tree[topic])
            }
            lacking = {author: missing[topic][author] for author in self._ordered(missing[topic])}
            if not (blobs or lacking) and Flaw.UNKNOWN_TOPIC_LEFT_OUT in self._planted:
                continue
            by_topic[topic] = {name: blobs}
            if lacking or Flaw.NO_MISSING_MEMBER not in self._planted:
                by_topic[topic]["missing"] = lacking
        value: dict[str, Any] = {f"{name}_by_topic": by_topic}
        if more and not self._planted & {Flaw.NO_MORE_FLAG, Flaw.NO_PAGES}:
            value["more"] = True
        return self.json(200, value)

    def watermarks(self, marks: dict[str, dict[str, int | None]]) -> Reply:
        """The answer to a store of G3."""
        if Flaw.NO_WATERMARKS in self._planted:
            return Reply(201)
        ordered = {topic: dict(sorted(marks[topic].items())) for topic in sorted(marks)}
        return self.json(201, {"watermarks": ordered})

    def health(self, key: bytes) -> Reply:
        """Which mailbox this is."""
        digits = key.hex().upper() if Flaw.ADDRESS_ID_IN_CAPITALS in self._planted else key.hex()
        address: dict[str, Any] = {"id": digits, "addrs": []}
        if Flaw.ADDRS_LEFT_OUT in self._planted:
            del address["addrs"]
        name = base64.urlsafe_b64encode(key).rstrip(b"=").decode()
        value = {"status": "ok", "endpoint_id": name, "endpoint_addr": address}
        if Flaw.HEALTH_WITHOUT_ID in self._planted:
            value = {"status": "ok"}
        return self.json(200, value)

    def _log(self, blobs: dict[int, bytes]) -> Any:
        by_text = Flaw.SEQ_TEXT_ORDER in self._planted
        seqs = sorted(blobs, key=str) if by_text else sorted(blobs)
        if Flaw.SEQ_NUMBERS in self._planted:
            return [[seq, base64.b64encode(blobs[seq]).decode()] for seq in seqs]
        return {str(seq): base64.b64encode(blobs[seq]).decode() for seq in seqs}

    def _ordered(self, names: Any) -> list[str]:
        if Flaw.REQUEST_ORDER in self._planted:
            return list(names)
        coding = "utf-16-be" if Flaw.UTF16_ORDER in self._planted else "utf-8"
        return sorted(names, key=lambda name: name.encode(coding))


_TEXTS = {
    415: "Expected request with `Content-Type: application/json`",
    400: "Failed to parse the request body as JSON: {}",
    422: "Failed to deserialize the JSON body into the target type: {}",
}


def judged_report(report: dict[str, Any], *, now_ms: int, planted: frozenset[Flaw]) -> int:
    """The status of a report whose members have the right types."""
    ids, key, signature = (
        report[name] for name in ("reported_device_ids", "reporter_pubkey", "signature")
    )
    if not (1 <= len(ids) <= 1_000) and Flaw.REPORT_OF_NOBODY not in planted:
        return 400
    if not all(re.fullmatch("[0-9a-fA-F]{64}", each) for each in (*ids, key)):
        return 400
    if not re.fullmatch("[0-9a-fA-F]{128}", signature):
        return 400
    if abs(now_ms - report["timestamp"]) > 3_600_000 and Flaw.REPORT_OF_ANY_TIME not in planted:
        return 400
    if Flaw.KEY_OFF_CURVE_IS_400 in planted and not is_curve_point(bytes.fromhex(key)):
        return 400
    signed = b"dashchat/report/v1" + len(ids).to_bytes(8, "big")
    signed += b"".join(map(bytes.fromhex, ids)) + report["timestamp"].to_bytes(
        8, "big", signed=True
    )
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), signed)
    except InvalidSignature:
        if Flaw.REPORT_UNSIGNED in planted:
            return 201
        return 400 if Flaw.REPORT_BAD_SIGNATURE_IS_400 in planted else 401
    return 201
