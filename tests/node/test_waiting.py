"""A process whose Cassandra is not there yet stands, says why, and goes on by itself."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.errors import (
    InvalidSetting,
    MeshboxError,
    NodeStarting,
    StoreBusy,
    StoreFailed,
    StoreForeign,
    StoreRefused,
)
from meshbox.node.opening import Opened
from meshbox.node.waiting import Waiting
from meshbox.storage.cassandra.address import Access
from meshbox.sync import backoff
from scripts.clusters.cluster import Cluster
from tests import cassandra
from tests.node.processes import RunningNode, begin_node, meshbox
from tests.node.test_shared_store import get, seqs, store
from tests.waiting import becomes

on_cassandra = pytest.mark.xdist_group("cassandra")
STOP_S_MAX = 5.0


# How it is tried, with made-up outcomes.


class Tries:
    """Opens at last; `events` is what was told."""

    def __init__(self, outcomes: Sequence[MeshboxError | None]) -> None:
        self.outcomes = iter(outcomes)
        self.events: list[tuple[str, str | None]] = []
        self.pauses = 0
        self.opened: Opened = Opened(None, None, False, None, None)  # type: ignore[arg-type]
        self.waiting = Waiting(self.open, wall_ms=self.wall_ms, rng=random.Random(1), log=self.note)

    async def open(self) -> Opened:
        assert self.waiting.next_try_ms is None
        outcome = next(self.outcomes)
        if outcome is not None:
            raise outcome
        return self.opened

    def wall_ms(self) -> int:
        """Asked when a pause begins."""
        self.pauses += 1
        return 0

    def note(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields.get("reason")))


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_S", 0.001)
    monkeypatch.setattr(backoff, "LONGEST_S", 0.002)


async def test_it_is_tried_until_it_is_open() -> None:
    tries = Tries([StoreFailed("gone")] * 20 + [None])
    assert tries.waiting.trouble.code == NodeStarting.code
    assert await tries.waiting.opened() is tries.opened
    assert tries.pauses == 20


async def test_each_reason_is_told_once() -> None:
    refused, gone = StoreRefused("no"), StoreFailed("gone")
    outcomes = [gone, gone, refused, StoreRefused("no, in other words"), StoreBusy("busy"), gone]
    tries = Tries([*outcomes, None])
    await tries.waiting.opened()
    assert tries.events == [
        ("store.failed", "store.failed"),
        ("store.failed", "store.refused"),
        ("store.failed", "store.busy"),
        ("store.failed", "store.failed"),
        ("store.reopened", None),
    ]


async def test_what_is_there_at_once_is_not_told() -> None:
    tries = Tries([None])
    await tries.waiting.opened()
    assert tries.events == []


@pytest.mark.parametrize("before", [[], [StoreFailed("gone")]])
async def test_what_cannot_pass_ends_it(before: list[MeshboxError]) -> None:
    with pytest.raises(StoreForeign):
        await Tries([*before, StoreForeign("of another node")]).waiting.opened()


async def test_wrong_settings_end_it_and_a_file_that_is_replaced_does_not() -> None:
    with pytest.raises(InvalidSetting):
        await Tries([InvalidSetting("cannot read it")]).waiting.opened()
    tries = Tries([StoreRefused("no"), InvalidSetting("cannot read it"), None])
    assert await tries.waiting.opened() is tries.opened


# Real processes, and a real Cassandra where there is one.


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Callable[..., RunningNode]]:
    """Begins the process of a name; what is left is ended."""
    nodes: list[RunningNode] = []

    def begin(*options: str, name: str = "node") -> RunningNode:
        nodes.append(begin_node(tmp_path / name, "--cassandra-trust-clock", *options))
        return nodes[-1]

    yield begin
    for node in nodes:
        if node.process.poll() is None:
            node.kill()


def options_of(access: Access) -> tuple[str, ...]:
    return (
        *("--store", str(access.address)),
        *("--cassandra-user", str(access.user)),
        *("--cassandra-password-file", str(access.password_file)),
    )


@pytest.fixture
def silent() -> Iterator[str]:
    """Three servers that take connections and say nothing, as `--store`."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        contacts = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
        yield f"cassandra://{contacts}/mailbox"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [one.getsockname()[1] for one in sockets]


def state(node: RunningNode) -> dict[str, Any]:
    """What `meshbox status` says of the store; nothing before the node answers."""
    finished = node.command("status", "--json")
    found: dict[str, Any] = finished.document["store"] if finished.status == 0 else {"reason": None}
    return found


def end(node: RunningNode) -> None:
    """SIGTERM; clean, and soon."""
    began_s = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    assert node.wait() == 0
    assert time.monotonic() - began_s < STOP_S_MAX
    assert "node.stopped" in node.log()
    assert "node.defect" not in node.log()
    assert not (node.data_dir / "control.sock").exists()


@pytest.mark.timeout(120)
def test_a_process_without_any_answer_answers_itself_and_can_be_ended(
    begun: Callable[..., RunningNode], silent: str
) -> None:
    http, https, admin = free_ports(3)
    node = begun(
        *("--store", silent, "--http", f"127.0.0.1:{http}", "--https", f"127.0.0.1:{https}"),
        *("--admin", f"127.0.0.1:{admin}"),
    )
    node.ready.update(http=f"127.0.0.1:{http}", admin=f"127.0.0.1:{admin}")
    becomes(lambda: state(node)["reason"] is not None)
    # No try has ended yet.
    assert state(node)["state"] == "opening"
    assert get(node, "/livez") == (200, "ok\n")
    code, text = get(node, "/readyz")
    assert (code, json.loads(text)["ready"]) == (503, False)
    status, headers, _ = store(node, 0)
    assert (status, headers["Retry-After"]) == (503, "1")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://127.0.0.1:{https}/health", timeout=10)
    end(node)


@pytest.mark.timeout(120)
def test_people_are_told_what_it_waits_for(begun: Callable[..., RunningNode]) -> None:
    (port,) = free_ports(1)
    node = begun("--store", f"cassandra://127.0.0.1:{port}/mailbox")
    becomes(lambda: state(node)["reason"] == "store.failed")
    found = state(node)
    assert found["since_ms"] <= time.time() * 1_000
    becomes(lambda: state(node)["next_try_ms"] is not None)
    shown = node.command("status")
    rows = {line.split()[0]: line for line in shown.out.splitlines()}
    assert shown.status == 0
    assert "no key yet" in rows["node"]
    assert "not open since" in rows["store"]
    assert "does not answer" in rows["store"]
    assert "is a quorum of its servers up?" in rows["store"]
    assert "warning" not in rows
    peers = node.command("peers")
    assert (peers.status, "error[store.failed]" in peers.err) == (1, True)
    assert node.command("status", "--opened").status == 1
    end(node)
    assert node.log().count("store.failed") == 2, "once as the event, once as its reason"


@on_cassandra
@pytest.mark.timeout(240)
async def test_a_process_may_start_before_its_servers(
    begun: Callable[..., RunningNode], cassandra_keyspace: Access, cassandra_cluster: Cluster
) -> None:
    await cassandra.empty(cassandra_keyspace)
    cassandra_cluster.kill(1)
    try:
        node = begun(*options_of(cassandra_keyspace))
        becomes(lambda: state(node)["reason"] == "store.failed")
    finally:
        cassandra_cluster.start(1)
    node.await_ready()
    assert store(node, 0)[0] == 201
    assert seqs(node) == [0]
    assert state(node) == {
        "state": "open",
        **dict.fromkeys(("reason", "detail", "since_ms", "next_try_ms")),
    }
    assert node.command("status", "--opened").status == 0
    assert node.status()["warnings"] == []
    assert get(node, "/readyz")[0] == 200
    assert "store.reopened" in node.log()
    assert node.stop() == 0
    assert "node.defect" not in node.log()


@on_cassandra
@pytest.mark.timeout(240)
async def test_a_process_waits_for_the_right_password(
    begun: Callable[..., RunningNode], cassandra_keyspace: Access, tmp_path: Path
) -> None:
    await cassandra.empty(cassandra_keyspace)
    async with cassandra.role(cassandra_keyspace, tmp_path / "password") as access:
        (tmp_path / "password").write_text("wrong")
        node = begun(*options_of(access))
        becomes(lambda: state(node)["reason"] == "store.refused")
        assert "refuses the user or password" in state(node)["detail"]
        (tmp_path / "password").unlink()
        becomes(lambda: "cannot read" in state(node)["detail"])
        (tmp_path / "password").write_text("first")
        node.await_ready()
        assert store(node, 0)[0] == 201
        assert node.stop() == 0


@on_cassandra
@pytest.mark.timeout(240)
def test_a_process_waits_for_its_keyspace(
    begun: Callable[..., RunningNode], cassandra_cluster: Cluster
) -> None:
    access = cassandra.access(cassandra_cluster, f"waited_for_{os.getpid()}")
    options = options_of(access)
    node = begun(*options)
    becomes(lambda: state(node)["reason"] == "store.unprepared")
    assert "`meshbox store init` makes and migrates it" in state(node)["detail"]
    assert "`meshbox store init` makes and migrates it" in node.log()
    try:
        assert meshbox("store", "init", *options, "--cassandra-replication", "1").status == 0
        node.await_ready()
        assert store(node, 0)[0] == 201
        assert node.stop() == 0
        # With a key, it is known by its name also while it waits; and a newer schema cannot pass.
        write = f"INSERT INTO {access.address.keyspace}.mailbox (name, value) VALUES "
        asyncio.run(cassandra.define(access, f"{write} ('schema', textAsBlob('0'))"))
        again = begun(*options)
        becomes(lambda: state(again)["reason"] == "store.unprepared")
        assert again.status()["node_id"] == node.node_id
        asyncio.run(cassandra.define(access, f"{write} ('schema', textAsBlob('99'))"))
        becomes(lambda: again.process.poll() is not None)
        assert again.wait() == 1
        assert "error[store.foreign]: the keyspace has schema 99" in again.log()
    finally:
        asyncio.run(cassandra.drop(access))


@on_cassandra
@pytest.mark.timeout(240)
async def test_a_key_is_not_put_aside_in_silence(
    begun: Callable[..., RunningNode], cassandra_keyspace: Access, tmp_path: Path
) -> None:
    """The keyspace is nobody's any more, and the first try gets no further than that."""
    await cassandra.empty(cassandra_keyspace)
    node = begun(*options_of(cassandra_keyspace))
    node.await_ready()
    assert node.stop() == 0
    await cassandra.empty(cassandra_keyspace)
    async with cassandra.role(cassandra_keyspace, tmp_path / "password") as access:
        right = f"MODIFY ON KEYSPACE {access.address.keyspace}"
        await cassandra.define(cassandra_keyspace, f"REVOKE {right} FROM {access.user}")
        again = begun(*options_of(access))
        becomes(lambda: state(again)["reason"] == "store.refused")
        assert "has no MODIFY permission" in state(again)["detail"]
        await cassandra.define(cassandra_keyspace, f"GRANT {right} TO {access.user}")
        again.await_ready()
        assert again.node_id != node.node_id
        assert again.log().count("identity.archived") == 1
        assert store(again, 0)[0] == 201
        assert again.stop() == 0


@on_cassandra
@pytest.mark.timeout(240)
async def test_a_process_waits_for_a_quorum(
    begun: Callable[..., RunningNode], cassandra_keyspace: Access
) -> None:
    await cassandra.empty(cassandra_keyspace)
    await cassandra.replicate(cassandra_keyspace, 3)
    try:
        node = begun(*options_of(cassandra_keyspace))
        becomes(lambda: state(node)["reason"] == "store.failed")
        assert "quorum" in state(node)["detail"].lower()
        end(node)
        node = begun(*options_of(cassandra_keyspace))
        becomes(lambda: state(node)["reason"] == "store.failed")
    finally:
        await cassandra.replicate(cassandra_keyspace, 1)
    node.await_ready()
    assert store(node, 0)[0] == 201
    assert node.stop() == 0
