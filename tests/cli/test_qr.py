"""`meshbox qr`: what a scanner reads is the address that `--peer` takes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from meshbox.core.address import parse_address
from tests.node.processes import RunningNode, start_node


@pytest.fixture(scope="module")
def reachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that other machines could dial, or this one alone where there is no network."""
    node = start_node(tmp_path_factory.mktemp("node"), "--sync", "0.0.0.0:0")
    yield node
    node.kill()


def test_the_address_is_where_the_node_listens(reachable: RunningNode) -> None:
    document = reachable.document("qr")
    address = parse_address(document["address"])
    assert document["schema"] == "meshbox.qr/1"
    assert address.node_id == reachable.node_id
    port = int(reachable.ready["sync"].rpartition(":")[2])
    assert {endpoint.port for endpoint in address.endpoints} == {port}
    assert reachable.document("status")["address"] == document["address"]


def test_a_picture_is_read_by_a_scanner(reachable: RunningNode, tmp_path: Path) -> None:
    picture, drawing = tmp_path / "address.png", tmp_path / "address.svg"
    told = reachable.command("qr", "--png", str(picture), "--svg", str(drawing))
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture.read_bytes())))
    assert told.out == f"{read.text}\n"
    assert drawing.read_text().startswith("<?xml")


def test_a_picture_that_cannot_be_written_is_a_clear_fault(
    reachable: RunningNode, tmp_path: Path
) -> None:
    told = reachable.command("qr", "--png", str(tmp_path / "absent" / "address.png"))
    assert told.status == 1
    assert "cannot write" in told.err


def test_a_node_that_nobody_can_dial_says_so(tmp_path: Path) -> None:
    node = start_node(tmp_path, "--sync", "off")
    try:
        told = node.command("qr")
        assert told.status == 1
        assert "no address" in told.err
    finally:
        assert node.stop() == 0
