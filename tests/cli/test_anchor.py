"""`meshbox anchor`: what it prints is trusted, for the node that was named and for no other."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from meshbox.core.ids import node_key_of
from meshbox.identity.key import mint
from tests.node.processes import RunningNode, meshbox

HOST: Final = "meshbox.invalid"


def test_it_is_a_certificate_with_the_node_s_key() -> None:
    node_id = mint().node_id
    document = meshbox("anchor", node_id, "--json").document
    assert document["schema"] == "meshbox.anchor/1"
    assert (document["node_id"], document["host"]) == (node_id, HOST)
    key = x509.load_pem_x509_certificate(document["pem"].encode()).public_key()
    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw() == node_key_of(node_id)


def test_a_client_trusts_that_node_by_it_and_no_other(node: RunningNode) -> None:
    handshake(node, meshbox("anchor", node.node_id).out)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(node, meshbox("anchor", mint().node_id).out)


@pytest.mark.parametrize("text", ["", "short", "A" * 44, "_" * 42 + "!"])
def test_what_is_no_node_id(text: str) -> None:
    finished = meshbox("anchor", text)
    assert finished.status == 2
    assert finished.err.startswith("meshbox: error[id.invalid]: ")


def handshake(node: RunningNode, pem: str) -> None:
    host, _, port = str(node.ready["https"]).rpartition(":")
    context = ssl.create_default_context(cadata=pem)
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=HOST),
    ):
        return
