"""Who is on the other end: hello and proof (design.md 7).

TLS, pinned to the dialled id, has already proven the answering side to the dialler. The dialler
proves itself here. Signatures are made and checked by an `Authenticator`, plain functions over
bytes that the identity layer supplies.

| state     | dialler                               | answerer                              |
|-----------|---------------------------------------|---------------------------------------|
| START     | sends hello                           | sends hello                           |
| GREETING  | hello of the dialled id: proof, PROVEN| hello: GREETED                        |
| GREETED   | -                                     | right proof: PROVEN                   |
| PROVEN    | -                                     | -                                     |

Anything else is `FrameUnexpected`; too late is `HandshakeTimeout`.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

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
    Frame,
    Hello,
    Proof,
)


class Authenticator(Protocol):
    """Signs and checks the dialler's proof (identity/proof.py); pure."""

    def prove(
        self, *, server: NodeId, leaf_fingerprint: bytes, server_nonce: bytes, dialler_nonce: bytes
    ) -> bytes:
        """This node's signature as the dialler of `server`."""

    def check(
        self, proof: bytes, *, dialler: NodeId, server_nonce: bytes, dialler_nonce: bytes
    ) -> bool:
        """Whether `dialler` signed for this node as the server, with this node's leaf."""


class HandshakeState(Enum):
    """See the table above."""

    START = "start"
    GREETING = "greeting"
    GREETED = "greeted"
    PROVEN = "proven"


class Handshake:
    """One side's handshake. `dialled` is the id that this side dialled; None: it answers."""

    __slots__ = ("_authenticator", "_dialled", "_own", "_started_ms", "peer_hello", "state")

    def __init__(
        self, *, own: Hello, dialled: NodeId | None, authenticator: Authenticator, now_ms: int
    ) -> None:
        self._own = own
        self._dialled = dialled
        self._authenticator = authenticator
        self._started_ms = now_ms
        self.state = HandshakeState.START
        self.peer_hello: Hello | None = None

    @property
    def peer(self) -> NodeId | None:
        """The proven peer; None before."""
        if self.state is not HandshakeState.PROVEN or self.peer_hello is None:
            return None
        return node_id_of(self.peer_hello.node_key)

    def start(self) -> list[Frame]:
        """The frames to begin with."""
        self.state = HandshakeState.GREETING
        return [self._own]

    def receive(self, frame: Frame) -> list[Frame]:
        """The frames to answer with; `state` tells whether the peer is proven now."""
        if self.state is HandshakeState.GREETING and isinstance(frame, Hello):
            return self._greeted(frame)
        if self.state is HandshakeState.GREETED and isinstance(frame, Proof):
            return self._check(frame)
        raise FrameUnexpected(f"{type(frame).__name__} in the handshake ({self.state.value})")

    def tick(self, now_ms: int) -> None:
        """`HandshakeTimeout` when the peer is not proven in time."""
        late = now_ms - self._started_ms > HANDSHAKE_MS_MAX
        if late and self.state is not HandshakeState.PROVEN:
            raise HandshakeTimeout(f"no complete handshake in {HANDSHAKE_MS_MAX} ms")

    def _greeted(self, hello: Hello) -> list[Frame]:
        if hello.version_max < PROTOCOL_VERSION_MIN or hello.version_min > PROTOCOL_VERSION_MAX:
            raise VersionUnsupported(
                f"the peer speaks versions {hello.version_min} to {hello.version_max}, "
                f"this node {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION_MAX}"
            )
        if hello.node_key == self._own.node_key:
            raise IdentityMismatch("the peer claims this node's own identity")
        self.peer_hello = hello
        if self._dialled is None:
            self.state = HandshakeState.GREETED
            return []
        if node_id_of(hello.node_key) != self._dialled:
            raise IdentityMismatch("the peer is not the node that was dialled")
        self.state = HandshakeState.PROVEN
        signature = self._authenticator.prove(
            server=self._dialled,
            leaf_fingerprint=hello.leaf_fingerprint,
            server_nonce=hello.nonce,
            dialler_nonce=self._own.nonce,
        )
        return [Proof(signature)]

    def _check(self, proof: Proof) -> list[Frame]:
        assert self.peer_hello is not None
        proven = self._authenticator.check(
            proof.signature,
            dialler=node_id_of(self.peer_hello.node_key),
            server_nonce=self._own.nonce,
            dialler_nonce=self.peer_hello.nonce,
        )
        if not proven:
            raise ProofWrong("the dialler's proof does not hold")
        self.state = HandshakeState.PROVEN
        return []
