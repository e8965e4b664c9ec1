"""A bad disk under a real node among its peers: found, given up, filled again; nobody restarts it.

Three nodes hold the same. One is stopped, a bit of its largest table file flips, and it is started
again. Where a read meets the damage the database is mended in the running process, and what the
block took comes back from the peers.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from meshbox.cli.running_node import WORK_TIMEOUT_S, ask
from meshbox.core.errors import MeshboxError
from meshbox.node.data_folder import STORE_NAME
from meshbox.node.database import LOST_NAME, MEND_NAME
from scripts.demo_steps.waiting import until
from tests.node.processes import RunningNode, start_node
from tests.storage.damage import biggest, flip, tables

TOPIC = "a" * 64
AUTHORS = [f"{at:064x}" for at in range(8)]
MESSAGES = 150
MESSAGE_BYTES = 900
EQUAL_S_MAX = 60.0

pytestmark = pytest.mark.timeout(240)


async def store(node: RunningNode, chance: random.Random) -> None:
    """Messages of all authors."""
    async with aiohttp.ClientSession() as session:
        for author in AUTHORS:
            log = {
                str(seq): base64.b64encode(chance.randbytes(MESSAGE_BYTES)).decode()
                for seq in range(MESSAGES)
            }
            body = {"blips": {TOPIC: {author: log}}}
            async with session.post(node.url() + "/blips/store", json=body) as answer:
                assert answer.status == 201


async def read(node: RunningNode) -> tuple[int, Any]:
    """A page of the topic."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(node.url() + "/blips/get", json={"topics": {TOPIC: {}}}) as answer,
    ):
        return answer.status, await answer.text()


def digest(node: RunningNode) -> tuple[int, str] | None:
    """How many blobs it holds, and the digest of them; None while it cannot tell."""
    try:
        data_dir = str(node.data_dir)
        held = ask("GET", "/api/inventory", data_dir=data_dir, admin=None, timeout_s=WORK_TIMEOUT_S)
    except MeshboxError:
        return None
    return held["blobs"], held["digest"]


def all_equal(nodes: Sequence[RunningNode]) -> bool:
    digests = {digest(node) for node in nodes}
    return len(digests) == 1 and None not in digests


class Mesh:
    """Three nodes that hold the same, all on disk in table files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes: list[RunningNode] = []

    def start(self, at: int) -> RunningNode:
        peers = [option for node in self.nodes for option in ("--peer", node.peer_address)]
        node = start_node(self._folder / str(at), *peers)
        self.nodes.insert(at, node)
        return node

    def stop(self, at: int) -> Path:
        """The folder of its database."""
        node = self.nodes.pop(at)
        assert node.stop() == 0
        return node.data_dir / STORE_NAME


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    made = Mesh(tmp_path)
    for at in range(3):
        made.start(at)
    await store(made.nodes[0], random.Random(1))
    assert until(lambda: all_equal(made.nodes), seconds=EQUAL_S_MAX, pause_s=0.1)
    yield made
    for node in made.nodes:
        assert node.stop() == 0
        assert "Traceback" not in node.log()


async def test_a_flipped_bit_where_a_read_meets_it(mesh: Mesh) -> None:
    whole = digest(mesh.nodes[0])
    assert whole is not None
    assert whole[0] == MESSAGES * len(AUTHORS)
    folder = mesh.stop(0)
    flip(biggest(folder), at=0.5)
    node = mesh.start(0)
    epoch = node.status()["epoch"]
    async with asyncio.timeout(EQUAL_S_MAX):
        while "store.mended" not in node.log():
            status, _ = await read(node)
            assert status in (200, 503)
    assert until(lambda: all_equal(mesh.nodes), seconds=EQUAL_S_MAX, pause_s=0.1), node.log()
    assert digest(node) == whole
    document = node.status()
    assert document["epoch"] != epoch
    assert document["warnings"] == []
    assert not (node.data_dir / MEND_NAME).exists()


async def test_a_flipped_bit_in_every_table_file_but_one(mesh: Mesh) -> None:
    """Blobs, records, names, indices: the spare copy alone tells who it is, and peers the rest."""
    whole, node_id = digest(mesh.nodes[0]), mesh.nodes[0].node_id
    folder = mesh.stop(0)
    for table in tables(folder):
        if b"namespare" not in table.read_bytes():
            flip(table, at=0.02)
    node = mesh.start(0)
    assert node.node_id == node_id
    assert until(lambda: all_equal(mesh.nodes), seconds=EQUAL_S_MAX, pause_s=0.1), node.log()
    assert digest(node) == whole
    assert "store.mended" in node.log()
    assert "store.lost" not in node.log()


async def test_a_list_of_files_that_is_lost(mesh: Mesh) -> None:
    whole, node_id = digest(mesh.nodes[0]), mesh.nodes[0].node_id
    folder = mesh.stop(0)
    for path in folder.glob("MANIFEST-*"):
        path.unlink()
    node = mesh.start(0)
    assert node.node_id == node_id
    assert digest(node) == whole, "nothing but the list was lost"
    assert "store.mended" in node.log()


async def test_a_database_of_which_nothing_can_be_made(mesh: Mesh) -> None:
    whole, node_id = digest(mesh.nodes[0]), mesh.nodes[0].node_id
    folder = mesh.stop(0)
    for path in folder.iterdir():
        path.write_bytes(b"garbage")
    node = mesh.start(0)
    assert node.node_id != node_id, "it acknowledged what it does not have"
    assert "store.lost" in node.log()
    assert (node.data_dir / LOST_NAME).exists()
    assert until(lambda: all_equal(mesh.nodes), seconds=EQUAL_S_MAX, pause_s=0.1), node.log()
    assert digest(node) == whole
