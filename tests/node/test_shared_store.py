"""Real processes of one mailbox over a real Cassandra: one key, one store, and what goes wrong."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from meshbox.identity.key_file import KEY_NAME
from meshbox.node.data_folder import SHARED_NAME, STORE_NAME
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.connection import Connection
from meshbox.storage.cassandra.schema import create_tables
from scripts.clusters.cluster import Cluster
from tests import cassandra
from tests.node.processes import RunningNode, meshbox, start_node
from tests.scenarios.test_bridge import AUTHOR, TOPIC, deposit, holds, theirs
from tests.sync.bridge.bridging import contents
from tests.sync.bridge.quirky_server import QuirkyServer
from tests.waiting import becomes

pytestmark = [pytest.mark.xdist_group("cassandra"), pytest.mark.timeout(240)]

Options = tuple[str, ...]
OTHER = "b" * 64


@pytest.fixture
async def options(cassandra_keyspace: Access) -> Options:
    """Options of every command about an empty keyspace."""
    await cassandra.empty(cassandra_keyspace)
    return (
        *("--store", str(cassandra_keyspace.address)),
        *("--cassandra-user", cassandra.USER),
        *("--cassandra-password-file", str(cassandra_keyspace.password_file)),
        "--cassandra-trust-clock",
    )


@pytest.fixture
def started(tmp_path: Path, options: Options) -> Iterator[Callable[..., RunningNode]]:
    """Starts processes of one mailbox by name; the first one's key is copied to the others."""
    nodes: list[RunningNode] = []

    def start(name: str, *more: str) -> RunningNode:
        if nodes:
            (tmp_path / name / "data").mkdir(mode=0o700, parents=True)
            shutil.copy(nodes[0].data_dir / KEY_NAME, tmp_path / name / "data")
        nodes.append(start_node(tmp_path / name, *options, *more))
        return nodes[-1]

    yield start
    for node in nodes:
        if node.process.poll() is None:
            node.kill()


def post(node: RunningNode, path: str, body: object) -> tuple[int, Message, Any]:
    request = urllib.request.Request(
        node.url() + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def store(node: RunningNode, seq: int, text: bytes = b"text") -> tuple[int, Message, Any]:
    blob = base64.b64encode(text).decode()
    return post(node, "/blobs/store", {"blobs": {"topic": {"author": {str(seq): blob}}}})


def seqs(node: RunningNode) -> list[int]:
    status, _, document = post(node, "/blobs/get", {"topics": {"topic": {}}})
    assert status == 200, document
    return sorted(map(int, document["blobs_by_topic"]["topic"]["blobs"].get("author", {})))


def test_processes_of_one_mailbox(
    started: Callable[[str], RunningNode], tmp_path: Path, options: Options
) -> None:
    first = started("first")
    refused = meshbox("run", "--data-dir", str(tmp_path / "stranger"), "--no-mdns", *options)
    assert refused.status == 1
    assert "copy identity.key from the data folder of another of its processes" in refused.err
    second = started("second")
    assert second.node_id == first.node_id
    for seq in range(10):
        assert store(first if seq % 2 else second, seq)[0] == 201
    for node in (first, second):
        becomes(lambda node=node: seqs(node) == list(range(10)))  # type: ignore[misc]
    # The oldest API's messages have no numbers of their own: two processes must not give the same.
    for at in range(4):
        node, text = (first, second)[at % 2], base64.b64encode(b"%d" % at).decode()
        assert post(node, "/messages/store", {"topic_id": "t", "message": text})[0] == 201
    messages = [base64.b64encode(b"%d" % at).decode() for at in range(4)]

    def lists_all() -> bool:
        answer = post(second, "/messages/get", {"topic_ids": ["t"]})[2]
        return all(text in json.dumps(answer) for text in messages)

    becomes(lists_all)
    held = [node.document("inventory") for node in (first, second)]
    assert held[0]["digest"] == held[1]["digest"]
    assert held[0]["blobs"] == 14
    # What each counts is written down once a second.
    becomes(lambda: first.status()["storage"]["messages"] == 14)
    assert [node.stop() for node in (first, second)] == [0, 0]


def test_a_folder_whose_messages_are_elsewhere_is_never_taken_for_a_lost_one(
    started: Callable[[str], RunningNode], options: Options
) -> None:
    node = started("first")
    assert store(node, 0)[0] == 201
    node.kill()
    folder = node.data_dir
    assert (folder / SHARED_NAME).exists()
    assert meshbox("id", "--data-dir", str(folder)).out.strip() == node.node_id
    alone = meshbox("run", "--data-dir", str(folder), "--no-mdns")
    assert alone.status == 1
    assert "are in the keyspace" in alone.err
    assert not (folder / STORE_NAME).exists()
    elsewhere = options[1].rpartition("/")[0] + "/another"
    other = meshbox("run", "--data-dir", str(folder), "--no-mdns", *options, "--store", elsewhere)
    assert (other.status, "not another" in other.err) == (1, True)
    again = start_node(folder.parent, *options)
    try:
        assert again.node_id == node.node_id
        assert seqs(again) == [0]
        assert again.stop() == 0
    finally:
        if again.process.poll() is None:
            again.kill()


def test_a_folder_with_a_database_is_refused(tmp_path: Path, options: Options) -> None:
    folder = str(tmp_path / "data")
    assert meshbox("id", "--data-dir", folder).status == 0
    refused = meshbox("run", "--data-dir", folder, "--no-mdns", *options)
    assert refused.status == 1
    assert "has a database of its own" in refused.err


def test_the_whole_cluster_goes_and_comes_back(
    started: Callable[[str], RunningNode], cassandra_cluster: Cluster
) -> None:
    node, other = started("first"), started("second")
    assert store(node, 0)[0] == 201
    cassandra_cluster.kill(1)
    try:
        assert other.stop() == 0
        status, headers, _ = store(node, 1)
        assert status == 503
        assert int(headers["Retry-After"]) > 0
        becomes(lambda: not json.loads(get(node, "/readyz")[1])["ready"])
        ready, text = get(node, "/readyz")
        assert (ready, "does not answer" in text) == (503, True)
        document = node.status()
        assert any("nothing is stored" in warning for warning in document["warnings"])
        assert (document["store"]["state"], document["store"]["reason"]) == (
            "failed",
            "store.failed",
        )
        assert document["clock"]["wall_ms"] >= document["store"]["since_ms"]
        shown = node.command("status").out
        assert shown.count("does not answer") == 1
        assert "nothing is stored since" in shown
    finally:
        cassandra_cluster.start(1)
    becomes(lambda: store(node, 1)[0] == 201, within_s=60)
    assert seqs(node) == [0, 1]
    becomes(lambda: get(node, "/readyz")[0] == 200)
    log = node.log()
    assert "store.failed" in log
    assert "store.reopened" in log
    assert "node.defect" not in log
    assert node.stop() == 0


async def test_a_keyspace_that_is_made_anew(
    started: Callable[[str], RunningNode], cassandra_keyspace: Access, options: Options
) -> None:
    """Until it is right, a clear state; the process that finds another one ends, and starts."""
    node = started("first")
    assert store(node, 0)[0] == 201
    connection = await Connection.open(
        cassandra_keyspace, keyspace=cassandra_keyspace.address.keyspace
    )
    try:
        await connection.define("DROP TABLE ks.note")
        becomes(lambda: get(node, "/readyz")[0] == 503)
        assert "lacks note" in get(node, "/readyz")[1]
        assert any("lacks note" in warning for warning in node.status()["warnings"])
        status, headers, _ = store(node, 1)
        assert (status, int(headers["Retry-After"]) > 0) == (503, True)
        await create_tables(connection)
        becomes(lambda: get(node, "/readyz")[0] == 200)
        assert node.status()["warnings"] == []
        await connection.define("DELETE FROM ks.mailbox WHERE name IN ('node', 'epoch')")
        becomes(lambda: node.process.poll() is not None)
        assert node.wait() == 1
        assert "belongs to nobody" in node.log()
        assert "node.defect" not in node.log()
    finally:
        await create_tables(connection)
        await connection.close()
    again = start_node(node.data_dir.parent, *options)
    try:
        # As for a database that was lost: clients and peers must not rely on what it once had.
        assert again.node_id != node.node_id
        assert store(again, 1)[0] == 201
        assert again.stop() == 0
    finally:
        if again.process.poll() is None:
            again.kill()


async def test_servers_that_answer_and_take_no_writes(
    tmp_path: Path, options: Options, cassandra_keyspace: Access
) -> None:
    """Nobody sends it anything, and it says so all the same; what is stored is read on."""
    keyspace = cassandra_keyspace.address.keyspace
    async with cassandra.role(cassandra_keyspace, tmp_path / "password") as access:
        right = f"MODIFY ON KEYSPACE {keyspace}"
        login = ["--cassandra-user", str(access.user)]
        login += ["--cassandra-password-file", str(access.password_file)]
        node = start_node(tmp_path / "node", *options, *login)
        try:
            assert store(node, 0)[0] == 201
            await cassandra.define(cassandra_keyspace, f"REVOKE {right} FROM {access.user}")
            becomes(lambda: get(node, "/readyz")[0] == 503)
            assert "has no MODIFY permission" in get(node, "/readyz")[1]
            document = node.status()["store"]
            assert (document["state"], document["reason"]) == ("failed", "store.refused")
            assert "grant the role" in document["detail"]
            status, headers, _ = store(node, 1)
            assert (status, int(headers["Retry-After"]) > 0) == (503, True)
            assert seqs(node) == [0]
            await cassandra.define(cassandra_keyspace, f"GRANT {right} TO {access.user}")
            becomes(lambda: get(node, "/readyz")[0] == 200)
            assert store(node, 1)[0] == 201
            assert (seqs(node), node.status()["warnings"]) == ([0, 1], [])
            log = node.log()
            assert (log.count("[error"), log.count("store.reopened")) == (1, 1), log
            assert node.stop() == 0
        finally:
            if node.process.poll() is None:
                node.kill()


def test_peers_and_a_mailbox_server_beyond(tmp_path: Path, options: Options) -> None:
    """The bridge's heights and notes and the peers' cursors are kept in the keyspace."""
    nodes: list[RunningNode] = []
    with QuirkyServer(generations=("blips",)) as server:
        try:
            way_out = ("--internet", server.url)
            nodes.append(start_node(tmp_path / "shared", *options, *way_out))
            nodes.append(start_node(tmp_path / "peer", "--peer", nodes[0].peer_address))
            deposit(nodes[1], *range(20))
            server.put(TOPIC, OTHER, contents(OTHER, *range(5)))
            becomes(lambda: theirs(server) == contents(AUTHOR, *range(20)))
            for node in nodes:
                becomes(lambda node=node: holds(node, OTHER, 5))  # type: ignore[misc]
                becomes(lambda node=node: holds(node, AUTHOR, 20))  # type: ignore[misc]
            nodes[0].kill()
            stores, gets = server.stores, server.gets
            sync = ("--sync", str(nodes[0].ready["sync"]))
            nodes[0] = start_node(tmp_path / "shared", *options, *way_out, *sync)
            deposit(nodes[1], 20)
            becomes(lambda: 20 in theirs(server))
            becomes(lambda: server.gets >= gets + 5)
            assert (server.brought, server.given, server.stores) == (21, 5, stores + 1)
            assert [node.stop() for node in nodes] == [0, 0]
        finally:
            for node in nodes:
                if node.process.poll() is None:
                    node.kill()


def get(node: RunningNode, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(node.url("admin") + path, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_of_two_processes_one_exchanges_with_a_mailbox_server_and_the_other_takes_over(
    started: Callable[..., RunningNode],
) -> None:
    """Each message crosses once, whichever process it came to, and whoever is killed or stopped."""
    with QuirkyServer(generations=("blips",)) as server:
        first, second = (started(name, "--internet", server.url) for name in ("first", "second"))
        becomes(lambda: [state(node) for node in (first, second)] == ["connected", "standby"])
        deposit(first, 0, 1)
        deposit(second, 2, 3)
        server.put(TOPIC, OTHER, contents(OTHER, *range(5)))
        becomes(lambda: theirs(server) == contents(AUTHOR, *range(4)))
        becomes(lambda: holds(second, OTHER, 5))
        first.process.send_signal(signal.SIGSTOP)
        deposit(second, 4)
        becomes(lambda: 4 in theirs(server))
        first.process.send_signal(signal.SIGCONT)
        becomes(lambda: [state(node) for node in (first, second)] == ["standby", "connected"])
        second.kill()
        deposit(first, 5)
        becomes(lambda: 5 in theirs(server))
        gets = server.gets
        becomes(lambda: server.gets >= gets + 2)
        assert theirs(server) == contents(AUTHOR, *range(6))
        assert (server.brought, server.given) == (6, 5)
        assert first.stop() == 0


def test_of_two_processes_one_is_in_session_with_a_node_on_the_internet(
    started: Callable[..., RunningNode], tmp_path: Path
) -> None:
    far = start_node(tmp_path / "far")
    try:
        first, second = (
            started(name, "--internet", far.peer_address) for name in ("first", "second")
        )
        becomes(lambda: [state(node) for node in (first, second)] == ["connected", "standby"])
        deposit(second, *range(3))
        becomes(lambda: holds(far, AUTHOR, 3))
        assert first.stop() == 0
        becomes(lambda: state(second) == "connected")
        deposit(far, 3)
        becomes(lambda: holds(second, AUTHOR, 4))
        assert [node.stop() for node in (second, far)] == [0, 0]
    finally:
        if far.process.poll() is None:
            far.kill()


def state(node: RunningNode) -> str:
    """Of the one internet mailbox."""
    (told,) = node.status()["internet"]
    return str(told["state"])
