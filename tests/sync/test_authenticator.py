"""A proof holds for one dialler, one server, its leaf and both nonces: nothing else."""

from __future__ import annotations

import pytest

from meshbox.core.ids import NodeId
from meshbox.identity.key import mint
from meshbox.sync.authenticator import NodeAuthenticator

SERVER, DIALLER, OTHER = mint(), mint(), mint()
LEAF = b"l" * 32
RIGHT = {"dialler": DIALLER.node_id, "server_nonce": b"s" * 32, "dialler_nonce": b"d" * 32}


def proof(*, server: NodeId = SERVER.node_id, leaf_fingerprint: bytes = LEAF) -> bytes:
    return NodeAuthenticator(DIALLER, b"").prove(
        server=server,
        leaf_fingerprint=leaf_fingerprint,
        server_nonce=b"s" * 32,
        dialler_nonce=b"d" * 32,
    )


def holds(signature: bytes, **changes: object) -> bool:
    server = NodeAuthenticator(SERVER, LEAF)
    return server.check(signature, **{**RIGHT, **changes})  # type: ignore[arg-type]


def test_the_right_proof_holds() -> None:
    assert holds(proof())


@pytest.mark.parametrize(
    "changes",
    [
        {"dialler": OTHER.node_id},
        {"server_nonce": b"x" * 32},
        {"dialler_nonce": b"x" * 32},
        {"dialler_nonce": b"s" * 32, "server_nonce": b"d" * 32},
    ],
)
def test_in_another_place_it_does_not(changes: dict[str, object]) -> None:
    assert not holds(proof(), **changes)


def test_a_proof_for_another_server_or_leaf_does_not_hold() -> None:
    assert not holds(proof(server=OTHER.node_id))
    assert not holds(proof(leaf_fingerprint=b"x" * 32))


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63])
def test_anything_else_does_not_hold(signature: bytes) -> None:
    assert not holds(signature)


def test_one_bit_changed_does_not_hold() -> None:
    signature = proof()
    assert not holds(signature[:-1] + bytes([signature[-1] ^ 1]))


@pytest.mark.parametrize("nonce", [b"", b"d" * 31, b"d" * 33])
def test_a_nonce_of_another_length_does_not_hold(nonce: bytes) -> None:
    assert not holds(proof(), dialler_nonce=nonce)
