"""The JSON shapes around the mailbox: health, announced media, peers, reports.

health           {"status": "ok", "endpoint_id": NODE-ID, "endpoint_addr": {"id": HEX, "addrs": []}}
register-hashes  {"blob_hashes": [hash], …} → {"already_stored": []}
peers/register   {"addr": {"id": HEX, "addrs": […]}}
report           {"reported_device_ids": [HEX], "timestamp": ms, "reporter_pubkey": HEX,
                  "signature": HEX}
"""

from __future__ import annotations

import msgspec

from meshbox.core.ids import NodeId, node_key_of
from meshbox.wire.json_body import BodyDecoder


class RegisterHashesBody(msgspec.Struct):
    """Hashes of media that the app would upload; who sent them is not looked at."""

    blob_hashes: list[str]


class RegisterPeerBody(msgspec.Struct):
    """Where a phone can be dialled: taken and forgotten, nothing is fetched from phones."""

    addr: dict[str, msgspec.Raw]


class ReportBody(msgspec.Struct):
    """A user's report of devices, signed by the reporter."""

    reported_device_ids: list[str]
    timestamp: int
    reporter_pubkey: str
    signature: str


REGISTER_HASHES_BODY = BodyDecoder(RegisterHashesBody)
REGISTER_PEER_BODY = BodyDecoder(RegisterPeerBody)
REPORT_BODY = BodyDecoder(ReportBody)

NOTHING_STORED = b'{"already_stored":[]}'
"""The honest answer of a node without media: the app keeps its copy and tries elsewhere."""


def encode_health(node_id: NodeId) -> bytes:
    """What /health says. The apps demand `addrs` and the id in lower-case hex beside base64url."""
    address = {"id": node_key_of(node_id).hex(), "addrs": ()}
    return msgspec.json.encode({"status": "ok", "endpoint_id": node_id, "endpoint_addr": address})
