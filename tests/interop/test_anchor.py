"""The https listener and TLS clients that are not ours: which believe whom (docs/https.md)."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.ids import NodeId
from meshbox.identity.certificate import Leaf, leaf, trust_anchor
from meshbox.identity.key import mint
from meshbox.identity.tls import server_context
from tests.interop import tls_clients
from tests.interop.tls_clients import Refused, TlsClient
from tests.node.processes import RunningNode, meshbox, start_node

VICTIM, ROGUE = mint(), mint()

pytestmark = pytest.mark.xdist_group("anchor")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    node = start_node(tmp_path_factory.mktemp("node"))
    yield node
    node.kill()


@pytest.fixture(scope="module", params=["curl", "openssl", "go", "rustls"])
def client(request: pytest.FixtureRequest) -> TlsClient:
    made: TlsClient = getattr(tls_clients, request.param)()
    return made


def anchor_file(folder: Path, node_id: NodeId) -> str:
    path = folder / "anchor.pem"
    path.write_bytes(trust_anchor(node_id))
    return str(path)


def test_a_node_is_believed_by_its_anchor(
    client: TlsClient, node: RunningNode, tmp_path: Path
) -> None:
    path = tmp_path / "anchor.pem"
    path.write_text(meshbox("anchor", node.node_id).out, encoding="utf-8")
    told = client.health(node.ready["https"], str(path))
    assert json.loads(told.rpartition("\n")[2])["endpoint_id"] == node.node_id


def test_a_node_is_believed_by_its_id_alone(client: TlsClient, node: RunningNode) -> None:
    if client.makes_anchors:
        told = client.health(node.ready["https"], node.node_id)
        assert json.loads(told)["endpoint_id"] == node.node_id


def test_another_node_is_not_believed(client: TlsClient, node: RunningNode, tmp_path: Path) -> None:
    trusted = [anchor_file(tmp_path, ROGUE.node_id)]
    trusted += [ROGUE.node_id] if client.makes_anchors else []
    for other in trusted:
        with pytest.raises(Refused):
            client.health(node.ready["https"], other)


@pytest.mark.parametrize("chain", ["its own", "the genuine leaf behind", "under its own name"])
def test_who_pretends_to_be_a_node_is_not_believed(
    client: TlsClient, chain: str, tmp_path: Path
) -> None:
    """The anchor's own signature is checked by nobody; that of the leaf must be by everybody."""
    named, mine = leaf(replace(ROGUE, node_id=VICTIM.node_id)), leaf(ROGUE)
    genuine = leaf(VICTIM).chain_pem + trust_anchor(VICTIM.node_id)
    shown = {
        "its own": named,
        "the genuine leaf behind": replace(named, chain_pem=named.chain_pem + genuine),
        "under its own name": replace(mine, chain_pem=mine.chain_pem + genuine),
    }[chain]
    with impostor(shown) as address, pytest.raises(Refused):
        client.health(address, anchor_file(tmp_path, VICTIM.node_id))


def test_the_impostor_would_be_believed_with_the_node_s_key(
    client: TlsClient, tmp_path: Path
) -> None:
    """So that it is the key that the refusals above are about."""
    with impostor(leaf(VICTIM)) as address:
        assert "impostor" in client.health(address, anchor_file(tmp_path, VICTIM.node_id))


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"impostor")

    def log_message(self, *_: object) -> None:
        return


class _Quiet(ThreadingHTTPServer):
    def shutdown_request(self, request: Any) -> None:
        """Says goodbye, without which rustls calls an answer cut off."""
        with contextlib.suppress(OSError):
            request.unwrap()
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is hoped for."""


@contextmanager
def impostor(shown: Leaf) -> Iterator[str]:
    """The address of a server that shows a leaf."""
    with _Quiet(("127.0.0.1", 0), _Answering) as server:
        server.socket = server_context(shown).wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()
