"""Leaf and anchor in real gRPC: who may answer for a node id, and who may not."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshbox.core.ids import NodeId, node_key_of
from meshbox.identity.certificate import LEAF_NAME, Leaf, leaf, trust_anchor
from meshbox.identity.key import Identity, mint

METHOD = "/test.Echo/Echo"
CALL_SECONDS_MAX = 10.0

UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
FORGED = "INVALID_SIGNATURE"
NOT_ITS_KEY = "BAD_SIGNATURE"

A = mint()
M = mint()


def claiming(node_id: NodeId, *, signing: Identity) -> Identity:
    """An identity that names `node_id` as its own and signs with another key."""
    return replace(signing, node_id=node_id)


async def echo(request: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return request


@asynccontextmanager
async def serving(shown: Leaf) -> AsyncIterator[int]:
    """A gRPC server on loopback that shows `shown`; yields its port."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    credentials = grpc.ssl_server_credentials([(shown.key_pem, shown.chain_pem)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def refusal(node_id: NodeId, port: int) -> str | None:
    """Why TLS does not take what answers on `port` for `node_id`; None when it does."""
    credentials = grpc.ssl_channel_credentials(trust_anchor(node_id))
    options = [("grpc.ssl_target_name_override", LEAF_NAME)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        try:
            assert await call(b"x", timeout=CALL_SECONDS_MAX) == b"x"
        except grpc.aio.AioRpcError as error:
            for reason in (UNTRUSTED, FORGED, NOT_ITS_KEY):
                if reason in str(error.details()):
                    return reason
            raise
        return None


async def test_the_genuine_node_is_believed_and_no_other() -> None:
    async with serving(leaf(A)) as port:
        assert await refusal(A.node_id, port) is None
        assert await refusal(M.node_id, port) == UNTRUSTED
        assert await refusal(A.node_id, port) is None


async def test_a_fresh_leaf_of_the_same_identity_is_believed() -> None:
    first, second = leaf(A), leaf(A)
    assert first.fingerprint != second.fingerprint
    assert first.key_pem != second.key_pem
    for shown in (first, second):
        async with serving(shown) as port:
            assert await refusal(A.node_id, port) is None


async def test_a_leaf_that_only_names_its_issuer_is_refused() -> None:
    forged = leaf(claiming(A.node_id, signing=M))
    issuer = x509.load_pem_x509_certificate(forged.chain_pem).issuer
    assert issuer == x509.load_pem_x509_certificate(leaf(A).chain_pem).issuer
    async with serving(forged) as port:
        assert await refusal(A.node_id, port) == FORGED


async def test_the_genuine_chain_appended_helps_nobody() -> None:
    genuine = leaf(A).chain_pem + trust_anchor(A.node_id)
    forged = leaf(claiming(A.node_id, signing=M))
    for mine, reason in ((leaf(M), UNTRUSTED), (forged, FORGED)):
        async with serving(replace(mine, chain_pem=mine.chain_pem + genuine)) as port:
            assert await refusal(A.node_id, port) == reason


async def test_an_authority_named_as_the_node_is_refused() -> None:
    forged = leaf(claiming(A.node_id, signing=M))
    ours = x509.load_pem_x509_certificate(trust_anchor(A.node_id))
    authority = M.sign_certificate(
        x509.CertificateBuilder(
            issuer_name=ours.subject,
            subject_name=ours.subject,
            public_key=x509.load_pem_x509_certificate(trust_anchor(M.node_id)).public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=ours.not_valid_before_utc,
            not_valid_after=ours.not_valid_after_utc,
            extensions=list(ours.extensions),
        )
    )
    chain = forged.chain_pem + authority.public_bytes(serialization.Encoding.PEM)
    async with serving(replace(forged, chain_pem=chain)) as port:
        assert await refusal(A.node_id, port) == FORGED


async def test_a_leaf_cannot_issue_another_leaf() -> None:
    genuine = leaf(A)
    above = x509.load_pem_x509_certificate(genuine.chain_pem)
    signer = serialization.load_pem_private_key(genuine.key_pem, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    mine = leaf(M)
    below = x509.load_pem_x509_certificate(mine.chain_pem)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = x509.CertificateBuilder(
        issuer_name=above.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "below")]),
        public_key=below.public_key(),
        serial_number=below.serial_number,
        not_valid_before=below.not_valid_before_utc,
        not_valid_after=below.not_valid_after_utc,
        extensions=[e for e in below.extensions if e.oid != authority.oid],
    ).add_extension(authority, critical=False)
    issued = builder.sign(signer, hashes.SHA256())
    chain = issued.public_bytes(serialization.Encoding.PEM) + genuine.chain_pem
    async with serving(replace(mine, chain_pem=chain)) as port:
        assert await refusal(A.node_id, port) == UNTRUSTED


async def test_the_genuine_leaf_without_its_key_is_refused(tmp_path: Path) -> None:
    async with stealing(leaf(A), tmp_path / "stolen.pem") as port:
        assert await refusal(A.node_id, port) == NOT_ITS_KEY


@asynccontextmanager
async def stealing(genuine: Leaf, file: Path) -> AsyncIterator[int]:
    """A server with another's leaf and a key of its own, its public half swapped for the leaf's.

    OpenSSL compares only the public halves; BoringSSL would not load such a key.
    """
    mine = ec.generate_private_key(ec.SECP256R1())
    theirs = x509.load_pem_x509_certificate(genuine.chain_pem).public_key()
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    der = mine.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    mixed = der.replace(mine.public_key().public_bytes(*point), theirs.public_bytes(*point))
    assert mixed != der
    label = "EC PRIVATE KEY"
    body = base64.encodebytes(mixed).decode()
    key_pem = f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()
    file.write_bytes(key_pem + genuine.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(file)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_fingerprint_is_of_the_der() -> None:
    made = leaf(A)
    der = x509.load_pem_x509_certificate(made.chain_pem).public_bytes(serialization.Encoding.DER)
    assert made.fingerprint == hashlib.sha256(der).digest()


@pytest.mark.parametrize(
    "made", [leaf(A).chain_pem, trust_anchor(A.node_id)], ids=["leaf", "anchor"]
)
def test_valid_for_every_clock_that_a_node_may_have(made: bytes) -> None:
    certificate = x509.load_pem_x509_certificate(made)
    utc = datetime.UTC
    assert certificate.not_valid_before_utc <= datetime.datetime.fromtimestamp(0, utc)
    assert certificate.not_valid_after_utc >= datetime.datetime(2099, 1, 1, tzinfo=utc)


def test_the_anchor_is_of_the_node_id_alone() -> None:
    anchor = x509.load_pem_x509_certificate(trust_anchor(A.node_id))
    assert anchor.public_key().public_bytes_raw() == node_key_of(A.node_id)  # type: ignore[union-attr]
    assert anchor.subject.rfc4514_string() == f"CN={A.node_id}"


def test_only_the_anchor_issues_and_only_leaves() -> None:
    assert basics(trust_anchor(A.node_id)) == x509.BasicConstraints(ca=True, path_length=0)
    assert basics(leaf(A).chain_pem) == x509.BasicConstraints(ca=False, path_length=None)


def basics(made: bytes) -> x509.BasicConstraints:
    certificate = x509.load_pem_x509_certificate(made)
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value


def test_a_leafs_key_does_not_show() -> None:
    assert "PRIVATE" not in repr(leaf(A))
