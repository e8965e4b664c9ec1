"""What a node shows in TLS: a leaf that its identity issued, and the anchor that checks it.

gRPC (BoringSSL) takes no Ed25519 certificate for a server, but checks an Ed25519 *issuer*. So the
identity issues a P-256 leaf, and whoever dials builds the trust anchor from the node id alone.
TLS libraries do not check a trust anchor's own signature: a throw-away key signs it. Nothing is
fetched or remembered beforehand, and only the holder of the identity can answer.

Knows X.509, not TLS contexts or gRPC.

Invariants:

- A leaf's subject differs from its issuer, or BoringSSL takes it for self-signed.
- Validity is fixed and spans every clock that a node may have: a Raspberry Pi without a battery
  starts in 1970, and TLS enforces validity by its clock.
- A leaf's private key is held in memory only. It cannot be revoked: make a leaf at every start.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshbox.core.ids import NodeId, node_key_of
from meshbox.identity.key import Identity

LEAF_NAME = "meshbox.invalid"
"""The host name in every leaf; the dialler asks for it whatever address it dialled (RFC 6761)."""

FINGERPRINT_BYTES = 32

_NOT_BEFORE = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(2099, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A server's TLS key and certificate chain, PEM, and the SHA-256 of the leaf's DER."""

    key_pem: bytes = field(repr=False)
    chain_pem: bytes
    fingerprint: bytes


def leaf(identity: Identity) -> Leaf:
    """A new P-256 leaf for `LEAF_NAME`, issued by `identity`: other leaves of it stay good."""
    key = ec.generate_private_key(ec.SECP256R1())
    identity_key = _public_key(identity.node_id)
    builder = _builder(subject=LEAF_NAME, issuer=identity.node_id)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([x509.DNSName(LEAF_NAME)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(identity_key), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    certificate = identity.sign_certificate(builder.public_key(key.public_key()))
    return Leaf(
        key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        chain_pem=certificate.public_bytes(serialization.Encoding.PEM),
        fingerprint=hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest(),
    )


def trust_anchor(node_id: NodeId) -> bytes:
    """The PEM of a CA certificate under which only leaves issued by `node_id` verify.

    To be the *only* root of a client that dials `node_id` and asks for `LEAF_NAME`.
    """
    public = _public_key(node_id)
    builder = _builder(subject=node_id, issuer=node_id).public_key(public)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_key_usage(key_cert_sign=True), True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    throw_away = Ed25519PrivateKey.generate()
    return builder.sign(throw_away, algorithm=None).public_bytes(serialization.Encoding.PEM)


def _builder(*, subject: str, issuer: str) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public_key(node_id: NodeId) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(node_key_of(node_id))
