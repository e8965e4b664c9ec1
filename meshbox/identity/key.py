"""The node's Ed25519 key: what it signs, what it derives, and how others check it.

Knows the key and nothing of files, certificates or the protocol. The private key never leaves an
`Identity` but as PEM for the key file, and never shows in a `repr`.

Invariants:

- Every signature is over a domain: `context`, a NUL, the message. A context begins with
  `meshbox-` and has no NUL, so two domains never sign the same bytes, and none of them is the
  to-be-signed part of an X.509 certificate, which begins with 0x30.
- Keys derived for different purposes, or of different lengths, tell nothing of one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from meshbox.core.ids import NodeId, node_id_of, node_key_of

SIGNATURE_BYTES = 64
DERIVED_BYTES = 32

_CONTEXT_PREFIX = b"meshbox-"
_DERIVE_SALT = b"meshbox-derive:v1"


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's key pair, known to others by `node_id`; equal when the node id is."""

    node_id: NodeId
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of_private_key(cls, private: Ed25519PrivateKey) -> Self:
        """The identity that `private` makes."""
        return cls(node_id_of(private.public_key().public_bytes_raw()), private)

    def to_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM: for the key file alone."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, context: bytes, message: bytes) -> bytes:
        """The 64-byte signature of `message` in the domain `context` (b"meshbox-NAME:vN")."""
        return self._private.sign(_domain(context, message))

    def sign_certificate(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """The certificate that `builder` describes, issued by this identity."""
        return builder.sign(self._private, algorithm=None)

    def derive(self, purpose: str, length: int = DERIVED_BYTES) -> bytes:
        """A secret of `length` bytes for one purpose: HKDF-SHA256 (RFC 5869) of the private key.

        The same key, purpose and length always give the same bytes: nothing need be stored.
        """
        info = length.to_bytes(2, "big") + purpose.encode()
        hkdf = HKDF(algorithm=hashes.SHA256(), length=length, salt=_DERIVE_SALT, info=info)
        return hkdf.derive(self._private.private_bytes_raw())


def mint() -> Identity:
    """A new identity, whose node id starts with a letter or digit.

    An id that starts with `-` would read as an option on a command line, and one that starts
    with `-` or `_` is no good host or service name. One key in 32 is thrown away for it.
    """
    while True:
        identity = Identity.of_private_key(Ed25519PrivateKey.generate())
        if identity.node_id[0].isalnum():
            return identity


def verify(*, node_id: NodeId, context: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is what the holder of `node_id` made by `sign(context, message)`.

    `signature` may be any bytes from a stranger; `node_id` must have been checked
    (`parse_node_id`). About 0.1 ms.
    """
    public = Ed25519PublicKey.from_public_bytes(node_key_of(node_id))
    try:
        public.verify(signature, _domain(context, message))
    except InvalidSignature:
        return False
    return True


def _domain(context: bytes, message: bytes) -> bytes:
    assert context.startswith(_CONTEXT_PREFIX)
    assert b"\0" not in context
    return context + b"\0" + message
