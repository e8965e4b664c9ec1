"""The node's key: domains of signatures, derived secrets, and what an identity shows of itself."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.core.ids import node_id_of, node_key_of, parse_node_id
from meshbox.identity.key import SIGNATURE_BYTES, Identity, mint, verify

SEED = bytes(range(32))
IDENTITY = Identity.of_private_key(Ed25519PrivateKey.from_private_bytes(SEED))
OTHER = Identity.of_private_key(Ed25519PrivateKey.from_private_bytes(SEED[::-1]))
A = b"meshbox-a:v1"
B = b"meshbox-b:v1"

contexts = st.from_regex(rb"\Ameshbox-[a-z]{0,3}\Z")


def verifies(
    signature: bytes,
    *,
    identity: Identity = IDENTITY,
    context: bytes = A,
    message: bytes = b"message",
) -> bool:
    return verify(node_id=identity.node_id, context=context, message=message, signature=signature)


def test_a_signature_is_of_one_key_domain_and_message() -> None:
    signature = IDENTITY.sign(A, b"message")
    assert len(signature) == SIGNATURE_BYTES
    assert verifies(signature)
    assert not verifies(signature, identity=OTHER)
    assert not verifies(signature, context=B)
    assert not verifies(signature, message=b"other")


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65])
def test_any_bytes_are_at_worst_no_signature(signature: bytes) -> None:
    assert not verifies(signature)


@pytest.mark.parametrize("key", [b"\0" * 32, b"\xff" * 32, b"\x02" + b"\0" * 31])
def test_a_node_id_that_is_no_point_of_the_curve_verifies_nothing(key: bytes) -> None:
    signature = IDENTITY.sign(A, b"message")
    assert not verify(node_id=node_id_of(key), context=A, message=b"message", signature=signature)


@example(b"meshbox-a", b"b", b"meshbox-ab", b"")
@given(contexts, st.binary(max_size=8), contexts, st.binary(max_size=8))
def test_no_two_domains_sign_the_same_bytes(
    context: bytes, message: bytes, other_context: bytes, other_message: bytes
) -> None:
    same = (context, message) == (other_context, other_message)
    signature = IDENTITY.sign(context, message)
    assert verifies(signature, context=other_context, message=other_message) is same


@pytest.mark.parametrize("context", [b"", b"0\x82", b"other:v1", b"meshbox-a\0b"])
def test_a_context_that_could_be_something_else_is_a_bug(context: bytes) -> None:
    with pytest.raises(AssertionError):
        IDENTITY.sign(context, b"")


def test_derived_secrets_follow_rfc_5869_and_stay_the_same_for_ever() -> None:
    extracted = hmac.digest(b"meshbox-derive:v1", SEED, "sha256")
    info = b"\x00\x20" + b"cursor"
    expected = hmac.digest(extracted, info + b"\x01", "sha256")
    assert IDENTITY.derive("cursor") == expected
    assert (
        Identity.of_private_key(Ed25519PrivateKey.from_private_bytes(SEED)).derive("cursor")
        == expected
    )


def test_derived_secrets_are_independent_by_key_purpose_and_length() -> None:
    derived = [
        IDENTITY.derive("cursor"),
        IDENTITY.derive("tag"),
        OTHER.derive("cursor"),
        IDENTITY.derive("cursor", 64),
        IDENTITY.derive("cursor", 16),
    ]
    assert [len(secret) for secret in derived] == [32, 32, 32, 64, 16]
    assert len({secret[:16] for secret in derived}) == len(derived)


def test_minted_ids_are_new_and_start_with_a_letter_or_digit() -> None:
    # One key in 32 starts otherwise: of 300 not one, by chance, once in 13,000 runs.
    ids = [mint().node_id for _ in range(300)]
    assert len(set(ids)) == len(ids)
    assert all(parse_node_id(node_id)[0].isalnum() for node_id in ids)


def test_node_id_is_the_public_key() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    assert node_key_of(IDENTITY.node_id) == private.public_key().public_bytes_raw()


def test_equal_by_node_id_and_silent_about_the_private_key() -> None:
    again = Identity.of_private_key(Ed25519PrivateKey.from_private_bytes(SEED))
    assert again == IDENTITY
    assert hash(again) == hash(IDENTITY)
    assert OTHER != IDENTITY
    assert repr(IDENTITY) == f"Identity(node_id={IDENTITY.node_id!r})"


def test_pem_is_of_the_private_key_itself() -> None:
    private = load_pem_private_key(IDENTITY.to_pem(), password=None)
    assert isinstance(private, Ed25519PrivateKey)
    assert private.private_bytes_raw() == SEED


def test_hash_of_the_seed_alone_is_no_derived_secret() -> None:
    # Ed25519 expands the same seed with SHA-512: none of its halves may come out of `derive`.
    expanded = hashlib.sha512(SEED).digest()
    assert IDENTITY.derive("cursor", 64) != expanded
    assert IDENTITY.derive("cursor") not in (expanded[:32], expanded[32:])
