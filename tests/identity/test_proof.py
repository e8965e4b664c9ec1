"""The dialler's proof: what it binds, and the attacks that it must not survive."""

from __future__ import annotations

import secrets
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import FrameMalformed
from meshbox.identity.certificate import leaf
from meshbox.identity.key import Identity, mint
from meshbox.identity.proof import NONCE_BYTES, Challenge, check, prove

A, B, M = mint(), mint(), mint()
LEAF_OF_B = leaf(B).fingerprint
LEAF_OF_M = leaf(M).fingerprint


def nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)


def challenge(*, dialler: Identity = A, server: Identity = B, **changes: Any) -> Challenge:
    made = Challenge(
        server_id=server.node_id,
        leaf_fingerprint=LEAF_OF_B,
        dialler_id=dialler.node_id,
        server_nonce=nonce(),
        dialler_nonce=nonce(),
    )
    return replace(made, **changes)


def test_the_genuine_dialler_is_believed() -> None:
    asked = challenge()
    assert check(asked, prove(A, asked))


def test_a_proof_does_not_hold_twice() -> None:
    asked = challenge()
    proof = prove(A, asked)
    assert not check(replace(asked, server_nonce=nonce()), proof)
    assert not check(replace(asked, dialler_nonce=nonce()), proof)


def test_m_cannot_claim_to_be_a() -> None:
    asked = challenge()
    own = replace(asked, dialler_id=M.node_id)
    assert check(own, prove(M, own))
    assert not check(asked, prove(M, own))


def test_m_cannot_claim_to_be_a_with_its_own_signature_of_the_same_message() -> None:
    asked = challenge()
    pretending = replace(M, node_id=A.node_id)
    assert not check(asked, prove(pretending, asked))


def test_m_cannot_relay_b_s_challenge_to_a() -> None:
    """A dials M; M dials B and hands B's leaf and nonce to A as its own, then A's proof to B."""
    at_b = challenge()
    signed_by_a = replace(at_b, server_id=M.node_id)  # A fills in the id that it dialled
    proof = prove(A, signed_by_a)
    assert check(signed_by_a, proof)
    assert not check(at_b, proof)


def test_a_proof_for_another_leaf_is_none() -> None:
    asked = challenge(leaf_fingerprint=LEAF_OF_M)
    assert not check(challenge(leaf_fingerprint=LEAF_OF_B), prove(A, asked))
    assert not check(replace(asked, leaf_fingerprint=LEAF_OF_B), prove(A, asked))


def test_the_server_cannot_turn_a_proof_round() -> None:
    asked = challenge()
    turned = challenge(dialler=B, server=A)
    assert not check(turned, prove(A, asked))


@given(st.binary(max_size=80))
def test_any_bytes_are_at_worst_no_proof(proof: bytes) -> None:
    assert not check(challenge(), proof)


@given(st.data())
def test_every_bit_of_the_challenge_is_bound(data: st.DataObject) -> None:
    asked = challenge()
    proof = prove(A, asked)
    name = data.draw(st.sampled_from(["leaf_fingerprint", "server_nonce", "dialler_nonce"]))
    bit = data.draw(st.integers(0, 255))
    value = int.from_bytes(getattr(asked, name), "big") ^ (1 << bit)
    changes: dict[str, Any] = {name: value.to_bytes(32, "big")}
    assert not check(replace(asked, **changes), proof)


def test_every_part_of_the_challenge_is_in_the_message() -> None:
    asked = challenge()
    other = challenge(dialler=M, server=A, leaf_fingerprint=LEAF_OF_M)
    messages = {replace(asked, **{f.name: getattr(other, f.name)}).message for f in fields(asked)}
    assert len(messages | {asked.message}) == len(fields(asked)) + 1
    assert {len(message) for message in messages} == {160}


@pytest.mark.parametrize("name", ["leaf_fingerprint", "server_nonce", "dialler_nonce"])
@pytest.mark.parametrize("size", [0, 31, 33])
def test_parts_of_another_length_are_the_peers_fault(name: str, size: int) -> None:
    changes: dict[str, Any] = {name: bytes(size)}
    with pytest.raises(FrameMalformed, match=f"{size} bytes"):
        challenge(**changes)


def test_proving_for_somebody_else_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        prove(M, challenge(dialler=A))
