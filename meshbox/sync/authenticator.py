"""The handshake's proofs: identity/proof.py bound to this node's identity and leaf."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.core.errors import FrameMalformed
from meshbox.core.ids import NodeId
from meshbox.identity.key import Identity
from meshbox.identity.proof import Challenge, check, prove


@dataclass(frozen=True, slots=True)
class NodeAuthenticator:
    """Implements `core.session.handshake.Authenticator`."""

    identity: Identity
    leaf_fingerprint: bytes

    def prove(
        self, *, server: NodeId, leaf_fingerprint: bytes, server_nonce: bytes, dialler_nonce: bytes
    ) -> bytes:
        """This node's signature as the dialler of `server`, the id that it dialled."""
        challenge = Challenge(
            server_id=server,
            leaf_fingerprint=leaf_fingerprint,
            dialler_id=self.identity.node_id,
            server_nonce=server_nonce,
            dialler_nonce=dialler_nonce,
        )
        return prove(self.identity, challenge)

    def check(
        self, proof: bytes, *, dialler: NodeId, server_nonce: bytes, dialler_nonce: bytes
    ) -> bool:
        """Whether `dialler` signed for this node, its leaf and its nonce of this stream."""
        try:
            challenge = Challenge(
                server_id=self.identity.node_id,
                leaf_fingerprint=self.leaf_fingerprint,
                dialler_id=dialler,
                server_nonce=server_nonce,
                dialler_nonce=dialler_nonce,
            )
        except FrameMalformed:
            return False
        return check(challenge, proof)
