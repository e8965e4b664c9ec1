"""How the dialler proves its identity inside the stream (design.md 7).

TLS has already proven the answering side to the dialler; this proves the dialler to it, without
client certificates, so that an unknown peer gets a clean answer and every stream the same code.

What is signed binds all that a man in the middle would have to change: the server that was
dialled (a proof given to M is no proof to B), that server's leaf, who claims to dial, and a nonce
of each side (no proof holds twice). All parts have a fixed length, so no two challenges encode to
the same bytes.

The rule that the caller must keep: each side fills in its *own* knowledge. The dialler takes
`server_id` from the id that it dialled, never from the hello; the server takes `server_id`,
`leaf_fingerprint` and `server_nonce` from itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from meshbox.core.errors import FrameMalformed
from meshbox.core.ids import NodeId, node_key_of
from meshbox.identity.certificate import FINGERPRINT_BYTES
from meshbox.identity.key import Identity, verify

NONCE_BYTES: Final = 32
"""Bytes of each side's nonce; the caller draws it with `secrets.token_bytes` for one stream."""

_CONTEXT: Final = b"meshbox-dialler:v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a dialler signs. Raises `FrameMalformed` for a fingerprint or nonce of another size."""

    server_id: NodeId
    leaf_fingerprint: bytes
    dialler_id: NodeId
    server_nonce: bytes
    dialler_nonce: bytes

    def __post_init__(self) -> None:
        if len(self.leaf_fingerprint) != FINGERPRINT_BYTES:
            raise FrameMalformed(f"a leaf fingerprint of {len(self.leaf_fingerprint)} bytes")
        for nonce in (self.server_nonce, self.dialler_nonce):
            if len(nonce) != NONCE_BYTES:
                raise FrameMalformed(f"a nonce of {len(nonce)} bytes")

    @property
    def message(self) -> bytes:
        """The 160 bytes that are signed."""
        return (
            node_key_of(self.server_id)
            + self.leaf_fingerprint
            + node_key_of(self.dialler_id)
            + self.server_nonce
            + self.dialler_nonce
        )


def prove(identity: Identity, challenge: Challenge) -> bytes:
    """The dialler's proof, 64 bytes; `challenge.dialler_id` is the identity's own."""
    assert challenge.dialler_id == identity.node_id
    return identity.sign(_CONTEXT, challenge.message)


def check(challenge: Challenge, proof: bytes) -> bool:
    """Whether `proof` (any bytes from a stranger) shows that `dialler_id` answers `challenge`."""
    return verify(
        node_id=challenge.dialler_id,
        context=_CONTEXT,
        message=challenge.message,
        signature=proof,
    )
