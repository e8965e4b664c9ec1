"""What a node without media answers to apps that have some."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshbox.core.errors import BodyMalformed, SignatureWrong
from meshbox.core.limits import BODY_BYTES_MAX, REPORT_SKEW_MS_MAX
from meshbox.http_api.media import check_report
from meshbox.wire.json_media import ReportBody
from tests.http_api.serving import WALL_MS, Service

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REPORTER = KEY.public_key().public_bytes_raw().hex()
IDS = ["ab" * 32, "CD" * 32]


def signed(ids: list[str], timestamp: int = WALL_MS) -> dict[str, Any]:
    """A report as an app makes it."""
    message = b"dashchat/report/v1" + len(ids).to_bytes(8, "big")
    message += b"".join(bytes.fromhex(key) for key in ids)
    message += timestamp.to_bytes(8, "big", signed=True)
    return {
        "reported_device_ids": ids,
        "timestamp": timestamp,
        "reporter_pubkey": REPORTER,
        "signature": KEY.sign(message).hex(),
    }


async def test_no_hash_is_stored_already(service: Service) -> None:
    answer = await service.post("/blobs/register-hashes", {"blob_hashes": ["x", "y"]})
    assert (answer.status, answer.json) == (200, {"already_stored": []})
    assert (await service.post("/blobs/register-hashes", {})).status == 422


async def test_a_phone_may_register(service: Service) -> None:
    addr = {"id": "ab" * 32, "addrs": [{"Ip": "192.168.1.5:4433"}]}
    answer = await service.post("/peers/register", {"addr": addr})
    assert (answer.status, answer.body) == (204, b"")
    assert (await service.post("/peers/register", {"addr": "x"})).status == 422


async def test_an_upload_is_refused_with_its_body_unread(service: Service) -> None:
    async with await service.connect() as client:
        await client.send(
            b"POST /blobs/upload HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\nxxx"
            % (BODY_BYTES_MAX - 1)
        )
        answer = await client.answer()
    assert answer.status == 501
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("ids", [IDS[:1], IDS, IDS * 2, IDS * 500])
async def test_a_report_is_taken(service: Service, ids: list[str]) -> None:
    answer = await service.post("/report", signed(ids))
    assert (answer.status, answer.body) == (201, b"")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"signature": "00" * 64}, 401),
        ({"reporter_pubkey": "00" * 32}, 401),
        ({"reporter_pubkey": "ff" * 32}, 401),
        ({"reported_device_ids": IDS[:1]}, 401),
        ({"timestamp": WALL_MS + 1}, 401),
        ({"timestamp": WALL_MS + REPORT_SKEW_MS_MAX + 1}, 400),
        ({"timestamp": 2**80}, 400),
        ({"timestamp": -(2**63)}, 400),
        ({"signature": "00" * 63}, 400),
        ({"signature": " " + "00" * 64}, 400),
        ({"reporter_pubkey": "0 " * 32}, 400),
        ({"reported_device_ids": ["x"]}, 400),
        ({"reported_device_ids": []}, 400),
        ({"reported_device_ids": IDS * 501}, 400),
        ({"reported_device_ids": None}, 422),
    ],
)
async def test_another_report_is_refused(service: Service, change: Any, status: int) -> None:
    assert (await service.post("/report", signed(IDS) | change)).status == status


@pytest.mark.parametrize("skew_ms", [-REPORT_SKEW_MS_MAX, 0, REPORT_SKEW_MS_MAX])
def test_a_report_is_good_for_an_hour(skew_ms: int) -> None:
    check_report(ReportBody(**signed(IDS, WALL_MS + skew_ms)), wall_ms=WALL_MS)


def test_a_report_of_another_time_or_reporter_is_told_apart() -> None:
    with pytest.raises(BodyMalformed):
        check_report(ReportBody(**signed(IDS)), wall_ms=WALL_MS + REPORT_SKEW_MS_MAX + 1)
    with pytest.raises(SignatureWrong):
        check_report(ReportBody(**signed(IDS) | {"signature": "00" * 64}), wall_ms=WALL_MS)
