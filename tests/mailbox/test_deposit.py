"""What a client may deposit, and the tag that it leaves."""

from __future__ import annotations

import pytest

from meshbox.core.errors import InvalidId, InvalidSeq, TooLarge
from meshbox.core.ids import BlobClass, Namespace, Origin
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    REQUEST_BLOBS_MAX,
    REQUEST_LOGS_MAX,
    REQUEST_TOPICS_MAX,
    SEQ_MAX,
)
from meshbox.mailbox.deposit import ClientBlob, ClientTag, check_counts, check_size, new_blobs

ORIGIN = Origin(b"n" * 32, b"tag!")


def test_a_blob_is_opaque_new_and_of_its_origin() -> None:
    blobs, logs = new_blobs(
        [
            ClientBlob("t", "a", 0, b"x"),
            ClientBlob("t", "a", SEQ_MAX, b""),
            ClientBlob("u", "a", 7, b""),
        ],
        origin=ORIGIN,
        stamp_ms=123,
    )
    assert [(log.namespace, log.topic, log.author) for log in logs] == [
        (Namespace.LOGS, "t", "a"),
        (Namespace.LOGS, "u", "a"),
    ]
    assert [(blob.log.topic, blob.seq, blob.data) for blob in blobs] == [
        ("t", 0, b"x"),
        ("t", SEQ_MAX, b""),
        ("u", 7, b""),
    ]
    assert {(blob.blob_class, blob.stamp_ms, blob.origin) for blob in blobs} == {
        (BlobClass.OPAQUE, 123, ORIGIN)
    }


@pytest.mark.parametrize(
    ("blob", "fault"),
    [
        (ClientBlob("a:b", "a", 0, b""), InvalidId),
        (ClientBlob("t", "a\0b", 0, b""), InvalidId),
        (ClientBlob("t" * 129, "a", 0, b""), InvalidId),
        (ClientBlob("t", "é" * 65, 0, b""), InvalidId),
        (ClientBlob("t", "a", -1, b""), InvalidSeq),
        (ClientBlob("t", "a", 2**64, b""), InvalidSeq),
        (ClientBlob("t", "a", 0, bytes(BLOB_BYTES_MAX + 1)), TooLarge),
    ],
    ids=["topic", "author", "long topic", "long author", "negative", "65 bits", "large"],
)
def test_what_no_log_may_have_is_refused(blob: ClientBlob, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        new_blobs([ClientBlob("t", "a", 0, b""), blob], origin=ORIGIN, stamp_ms=0)


def test_counts_and_sizes_are_bounded() -> None:
    check_counts(topics=REQUEST_TOPICS_MAX, logs=REQUEST_LOGS_MAX, blobs=REQUEST_BLOBS_MAX)
    check_size(BLOB_BYTES_MAX)
    with pytest.raises(TooLarge, match="topics"):
        check_counts(topics=REQUEST_TOPICS_MAX + 1, logs=0)
    with pytest.raises(TooLarge, match="authors"):
        check_counts(topics=1, logs=REQUEST_LOGS_MAX + 1)
    with pytest.raises(TooLarge, match="blobs"):
        check_counts(topics=1, logs=1, blobs=REQUEST_BLOBS_MAX + 1)
    with pytest.raises(TooLarge):
        check_size(BLOB_BYTES_MAX + 1)


def test_a_tag_tells_clients_apart_and_nothing_else() -> None:
    tag = ClientTag(node_key=b"n" * 32, salt=b"one")
    origin = tag.origin("192.168.1.5")
    assert origin.node == b"n" * 32
    assert len(origin.tag) == 4
    assert tag.origin("192.168.1.5") == origin
    assert tag.origin("192.168.1.6") != origin
    assert ClientTag(node_key=b"n" * 32, salt=b"two").origin("192.168.1.5") != origin


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.168.1.5", "::ffff:192.168.1.5"),
        ("fe80::1%eth0", "fe80::1%wlan0"),
        ("2001:db8::1", "2001:0db8:0::1"),
    ],
)
def test_one_address_is_one_client_however_it_is_spelt(one: str, other: str) -> None:
    tag = ClientTag(node_key=b"n" * 32, salt=b"salt")
    assert tag.origin(one) == tag.origin(other)


@pytest.mark.parametrize("client", ["", "control socket", "%"])
def test_a_client_without_an_address_has_a_tag_too(client: str) -> None:
    assert len(ClientTag(node_key=b"n" * 32, salt=b"salt").origin(client).tag) == 4
