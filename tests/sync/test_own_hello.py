"""What a node says of itself when a session begins."""

from __future__ import annotations

import random

import pytest

from meshbox.core.errors import StoreFailed
from meshbox.core.ids import node_id_of, node_key_of
from meshbox.core.session.frames import Totals
from meshbox.core.topics import ALL_TOPICS
from meshbox.storage.embedded.store import EmbeddedStore
from meshbox.storage.interface import Statistics
from meshbox.sync import own_hello as own_hello_module
from meshbox.sync.own_hello import OwnHello
from meshbox.sync.sharing import WaysOut
from tests.sync.nodes import MemoryDisk, running

NODE = node_id_of(b"n" * 32)
LEAF = b"l" * 32


def hello_of(store: EmbeddedStore) -> OwnHello:
    return OwnHello(
        store,
        node_id=NODE,
        leaf_fingerprint=LEAF,
        software="meshbox/test",
        carried=ALL_TOPICS,
        ways_out=WaysOut(NODE, ()),
        hears_addresses=True,
        rng=random.Random(1),
    )


class Failing(EmbeddedStore):
    """A store that fails when it is asked for its counts."""

    async def statistics(self) -> Statistics:
        raise StoreFailed("the disk is gone")


async def test_each_has_a_nonce_of_its_own_and_only_who_answers_shows_its_leaf() -> None:
    async with running(MemoryDisk()) as node:
        hellos = hello_of(node.store)
        hellos.sync_port = 3001
        dialling, answering = [await hellos.anew(answering=answers) for answers in (False, True)]
        assert dialling.nonce != answering.nonce
        assert (dialling.leaf_fingerprint, answering.leaf_fingerprint) == (b"", LEAF)
        assert (answering.node_key, answering.sync_port) == (node_key_of(NODE), 3001)
        assert answering.epoch_id == node.store.epoch.id


async def test_what_is_held_is_told_as_it_was_within_the_last_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(MemoryDisk()) as node:
        hellos = hello_of(node.store)
        assert (await hellos.anew(answering=True)).totals == Totals()
        await node.put(range(3), size_bytes=40)
        assert (await hellos.anew(answering=True)).totals == Totals()
        monkeypatch.setattr(own_hello_module, "TOTALS_S", 0.0)
        later = hello_of(node.store)
        assert (await later.anew(answering=True)).totals == Totals(logs=1, blobs=3, bytes=120)


async def test_a_store_that_cannot_count_keeps_nobody_from_greeting() -> None:
    async with running(MemoryDisk(), store_class=Failing) as node:
        assert (await hello_of(node.store).anew(answering=True)).totals == Totals()
