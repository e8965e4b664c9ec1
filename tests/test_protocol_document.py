"""docs/protocol.md says what the code does: its limits, its faults and its test vectors."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshbox.core import limits
from meshbox.core.address import Endpoint
from meshbox.core.errors import PeerError, PeerMisbehaved
from meshbox.core.ids import (
    BlobClass,
    LogId,
    Namespace,
    NodeId,
    node_id_of,
    parse_author,
    parse_topic,
)
from meshbox.core.inventory import Run
from meshbox.core.limits import KIB
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import DIGEST_BYTES, Digest, Sketch, element_of, pack_symbols
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.frames import Addresses, Begun, PageRanges, PeerAt, Want
from meshbox.core.topics import OwnTopics
from meshbox.identity.proof import Challenge
from meshbox.wire.encoding import FrameEncoder

DOCUMENT = (Path(__file__).parents[1] / "docs/protocol.md").read_text(encoding="utf-8")
KEY = bytes(range(16))
SERVER_SEED, DIALLER_SEED = b"\1" * 32, b"\2" * 32
SERVER_NONCE, DIALLER_NONCE, FINGERPRINT = b"\xaa" * 32, b"\xbb" * 32, b"\xcc" * 32
LOGS = [
    (Namespace.LOGS, "topic", "author", [(0, 3, "o")]),
    (Namespace.LOGS, "topic", "other", [(0, 1, "v"), (1, 5, "o"), (9, 10, "v")]),
    (Namespace.MESSAGES, "grüße", "a", [(2**64 - 1, 2**64, "o")]),
]


def rows_of(section: str) -> list[list[str]]:
    """The cells of the table rows of a section, without its head."""
    text = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(section)]
    rows = [line.strip("| ").split(" | ") for line in found.splitlines() if line.startswith("|")]
    return rows[2:]


def test_the_limits_are_those_of_the_code() -> None:
    rows = rows_of("10.")
    assert len(rows) > 20
    assert {row[2]: int(row[1]) for row in rows} == {
        row[2]: getattr(limits, row[2]) for row in rows
    }


def test_every_fault_of_a_peer_is_told_with_its_consequence() -> None:
    told = {
        code: row[2] == "yes"
        for row in rows_of("9.")
        for code in re.findall(r"`([a-z_.]+)`", row[1])
    }
    elsewhere = {"peer.ended", "peer.backed_off", "session.replaced"}
    elsewhere |= {"certificate.wrong", "answer.too_large"}  # Of mailbox servers over HTTP.
    elsewhere |= {f"server.{what}" for what in ("unspoken", "refused", "garbled", "slow")}
    faults = [e for e in all_below(PeerError) if e.code != "internal" and e.code not in elsewhere]
    assert told == {error.code: issubclass(error, PeerMisbehaved) for error in faults}


def all_below(error: type[PeerError]) -> list[type[PeerError]]:
    return [each for sub in error.__subclasses__() for each in (sub, *all_below(sub))]


def test_the_vectors_are_what_the_code_makes() -> None:
    told = {(row[0], row[1].strip("`")): row[2].strip("`") for row in rows_of("11.")}
    assert told == {(what, of): value for what, of, value in vectors()}


def vectors() -> list[tuple[str, str, str]]:
    """What, of what, and its value in hexadecimal."""
    rows: list[tuple[str, str, str]] = []
    elements = []
    for namespace, topic, author, held in LOGS:
        log = LogId(namespace, parse_topic(topic), parse_author(author))
        runs = [Run(a, b, 0, class_of(c), 1, 1) for a, b, c in held]
        elements.append(element_of(KEY, log.key, runs))
        told = " ".join(f"{c}:{a}-{b - 1}" for a, b, c in held)
        rows += [
            ("log key", f"({namespace.value}, {topic}, {author})", log.key.hex()),
            ("element", f"{author} {told}", f"{elements[-1]:016x}"),
        ]
    digest = Digest().adding(elements)
    rows.append(("digest", "the three", digest.total.to_bytes(DIGEST_BYTES, "little").hex()))
    sketch = Sketch(elements)
    for _ in sketch.extend(6):
        pass
    rows += [
        ("symbol", str(at), pack_symbols([symbol]).hex())
        for at, symbol in enumerate(sketch.symbols)
    ]
    addresses = Addresses((PeerAt(id_of(SERVER_SEED), Endpoint("10.77.0.1", 3001)),))
    alone = Sketch(elements[:1])
    for _ in alone.extend(4_096):
        pass
    covered = [str(at) for at, symbol in enumerate(alone.symbols) if symbol]
    rows += [
        ("covered below 4096", "author", " ".join(covered)),
        ("want", "page 1, log 0: 7, of which 256 KiB of hello have come", want().hex()),
        ("content hash", "hello", content_hash(b"hello").hex()),
        ("topic carried", "topic", OwnTopics([parse_topic("topic")]).told(DIALLER_NONCE).hex()),
        ("node id", "server", id_of(SERVER_SEED)),
        ("proof", "dialler to server", signature().hex()),
        ("frame", "addresses: server at 10.77.0.1:3001", FrameEncoder().encode(addresses).hex()),
    ]
    return rows


def want() -> bytes:
    begun = Begun(0, 7, content_hash(b"hello"), 256 * KIB)
    return FrameEncoder().encode(Want(1, (PageRanges(0, SeqRanges.single(7)),), (begun,)))


def class_of(letter: str) -> BlobClass:
    return BlobClass.VERIFIED if letter == "v" else BlobClass.OPAQUE


def id_of(seed: bytes) -> NodeId:
    return node_id_of(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def signature() -> bytes:
    """The proof as the document describes it, made without the code that makes proofs."""
    challenge = Challenge(
        server_id=id_of(SERVER_SEED),
        leaf_fingerprint=FINGERPRINT,
        dialler_id=id_of(DIALLER_SEED),
        server_nonce=SERVER_NONCE,
        dialler_nonce=DIALLER_NONCE,
    )
    signed = b"meshbox-dialler:v1\0" + challenge.message
    return Ed25519PrivateKey.from_private_bytes(DIALLER_SEED).sign(signed)
