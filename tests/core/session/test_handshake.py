"""Who proves what to whom, input by input; that signatures hold is in tests/identity."""

from __future__ import annotations

from typing import Any

import pytest

from meshbox.core.errors import (
    FrameUnexpected,
    HandshakeTimeout,
    IdentityMismatch,
    ProofWrong,
    VersionUnsupported,
)
from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import HANDSHAKE_MS_MAX
from meshbox.core.session.frames import (
    PROTOCOL_VERSION_MAX,
    PROTOCOL_VERSION_MIN,
    End,
    Hello,
    Proof,
)
from meshbox.core.session.handshake import Handshake, HandshakeState

OWN = Hello(b"a" * 32, b"n" * 32, b"e" * 16, b"f" * 32)
PEER = Hello(b"b" * 32, b"m" * 32, b"g" * 16, b"h" * 32)
BEGUN_MS = 40_000


class Notary:
    """Signs whatever it is asked to, and remembers what that was."""

    def __init__(self, *, holds: bool = True) -> None:
        self.asked: list[dict[str, Any]] = []
        self._holds = holds

    def prove(self, **what: Any) -> bytes:
        self.asked.append(what)
        return b"signed"

    def check(self, proof: bytes, **what: Any) -> bool:
        self.asked.append({"proof": proof, **what})
        return self._holds


def handshake(notary: Notary, *, dialled: NodeId | None = None) -> Handshake:
    begun = Handshake(own=OWN, dialled=dialled, authenticator=notary, now_ms=BEGUN_MS)
    assert begun.state is HandshakeState.START
    assert (begun.peer, begun.peer_hello) == (None, None)
    assert begun.start() == [OWN]
    return begun


def test_who_dialled_signs_for_the_server_its_leaf_and_both_nonces() -> None:
    notary = Notary()
    peer = node_id_of(PEER.node_key)
    dialler = handshake(notary, dialled=peer)
    assert dialler.receive(PEER) == [Proof(b"signed")]
    assert notary.asked == [
        {
            "server": peer,
            "leaf_fingerprint": PEER.leaf_fingerprint,
            "server_nonce": PEER.nonce,
            "dialler_nonce": OWN.nonce,
        }
    ]
    assert (dialler.peer, dialler.peer_hello) == (peer, PEER)


def test_who_was_dialled_checks_it_for_the_same() -> None:
    notary = Notary()
    server = handshake(notary)
    assert server.receive(PEER) == []
    assert server.peer is None, "it only said so"
    assert server.receive(Proof(b"signed")) == []
    assert notary.asked == [
        {
            "proof": b"signed",
            "dialler": node_id_of(PEER.node_key),
            "server_nonce": OWN.nonce,
            "dialler_nonce": PEER.nonce,
        }
    ]
    assert server.peer == node_id_of(PEER.node_key)


def test_a_proof_that_does_not_hold_proves_nobody() -> None:
    server = handshake(Notary(holds=False))
    server.receive(PEER)
    with pytest.raises(ProofWrong):
        server.receive(Proof(b"forged"))
    assert server.peer is None


def test_nobody_is_believed_to_be_another_or_us() -> None:
    dialler = handshake(Notary(), dialled=node_id_of(b"c" * 32))
    with pytest.raises(IdentityMismatch):
        dialler.receive(PEER)
    assert dialler.peer is None
    with pytest.raises(IdentityMismatch):
        handshake(Notary()).receive(OWN)


@pytest.mark.parametrize(
    ("version_min", "version_max", "is_spoken"),
    [
        (PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, True),
        (PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MAX + 7, True),
        (0, PROTOCOL_VERSION_MIN, True),
        (0, PROTOCOL_VERSION_MIN - 1, False),
        (PROTOCOL_VERSION_MAX + 1, PROTOCOL_VERSION_MAX + 7, False),
    ],
)
def test_one_version_that_both_speak_suffices(
    version_min: int, version_max: int, is_spoken: bool
) -> None:
    hello = PEER._replace(version_min=version_min, version_max=version_max)
    server = handshake(Notary())
    if is_spoken:
        assert server.receive(hello) == []
    else:
        with pytest.raises(VersionUnsupported):
            server.receive(hello)


@pytest.mark.parametrize("frame", [Proof(b"signed"), End("bye")])
def test_nothing_comes_before_the_hello(frame: Proof | End) -> None:
    with pytest.raises(FrameUnexpected):
        handshake(Notary()).receive(frame)


def test_a_hello_is_said_once() -> None:
    server = handshake(Notary())
    server.receive(PEER)
    with pytest.raises(FrameUnexpected):
        server.receive(PEER)


def test_it_ends_in_time_unless_it_succeeded() -> None:
    late_ms = BEGUN_MS + HANDSHAKE_MS_MAX + 1
    server = handshake(Notary())
    server.tick(late_ms - 1)
    with pytest.raises(HandshakeTimeout):
        server.tick(late_ms)
    server.receive(PEER)
    with pytest.raises(HandshakeTimeout):
        server.tick(late_ms)
    server.receive(Proof(b"signed"))
    server.tick(late_ms)
