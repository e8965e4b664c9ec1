"""A node as a process: what checks from outside rely on (design.md 13)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.ids import parse_node_id
from meshbox.identity.certificate import LEAF_NAME
from meshbox.identity.tls import client_context
from tests.identity.authority import Authority
from tests.node.processes import FREE_PORTS, MESHBOX, RunningNode, clean_environment, meshbox
from tests.waiting import becomes

pytestmark = pytest.mark.slow

DAY_MS = 86_400_000
ADDRESSES = ("http", "https", "sync", "admin")

StartNode = Callable[..., RunningNode]


def post(node: RunningNode, path: str, body: Any) -> tuple[int, bytes]:
    request = urllib.request.Request(
        node.url() + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read()


def deposit(node: RunningNode, *blobs: bytes, topic: str = "topic", first: int = 0) -> None:
    numbered = {str(n): base64.b64encode(b).decode() for n, b in enumerate(blobs, first)}
    assert post(node, "/blobs/store", {"blobs": {topic: {"author": numbered}}})[0] == 201


def test_the_ready_line(start: StartNode) -> None:
    node = start()
    ready = node.ready
    assert list(ready) == ["ready", "version", "pid", "node_id", "data_dir", *ADDRESSES]
    assert ready["ready"] is True
    assert ready["pid"] == node.process.pid
    assert ready["data_dir"] == str(node.data_dir)
    assert parse_node_id(ready["node_id"]) == ready["node_id"]
    for name in ADDRESSES:
        host, _, port = ready[name].rpartition(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(port)), timeout=5):
            pass
    assert node.stop() == 0
    assert "node.stopped" in node.log()


def test_the_ready_line_is_the_only_output(tmp_path: Path) -> None:
    command = [*MESHBOX, "run", "--data-dir", str(tmp_path), *FREE_PORTS, "--no-mdns"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(5) == 0


def test_what_is_off_is_null(start: StartNode) -> None:
    options = [word for name in ADDRESSES for word in (f"--{name}", "off")]
    node = start("node", *options)
    assert [node.ready[name] for name in ADDRESSES] == [None] * 4
    assert node.status()["node_id"] == node.node_id


def test_everything_on_disk_is_private(start: StartNode) -> None:
    mask = os.umask(0)
    try:
        node = start()
    finally:
        os.umask(mask)
    paths = [node.data_dir, *node.data_dir.rglob("*")]
    assert len(paths) > 5
    assert [p for p in paths if stat.S_IMODE(p.lstat().st_mode) & 0o077] == []


def test_https_proves_the_node_id(start: StartNode) -> None:
    node = start()
    host, _, port = node.ready["https"].rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        client_context(parse_node_id(node.node_id)).wrap_socket(
            plain, server_hostname=LEAF_NAME
        ) as tls,
    ):
        tls.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: tls.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert node.node_id.encode() in answer
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        pytest.raises(ssl.SSLError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname=LEAF_NAME)


def test_a_second_node_on_the_folder_is_refused(start: StartNode) -> None:
    node = start()
    second = meshbox("run", "--data-dir", str(node.data_dir), *FREE_PORTS, "--no-mdns")
    assert second.status == 1
    assert second.err.startswith("meshbox: error[store.locked]: ")
    assert str(node.process.pid) in second.err
    assert len(second.err.splitlines()) == 1
    assert second.out == ""
    assert node.status()["node_id"] == node.node_id


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_taken_port_is_one_clear_line(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        options = [*FREE_PORTS, "--no-mdns", f"--{name}", address]
        finished = meshbox("run", "--data-dir", str(tmp_path / "data"), *options)
    last = finished.err.splitlines()[-1]
    assert finished.status == 1
    assert last.startswith("meshbox: error[listen.failed]: ")
    assert address in last
    assert "Traceback" not in finished.err


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = meshbox("run", "--data-dir", str(tmp_path / "file"), *FREE_PORTS, "--no-mdns")
    assert finished.status == 1
    assert finished.err.startswith("meshbox: error[data_dir.failed]: ")
    assert len(finished.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--retention", "9d"], "error[setting.invalid]: --retention: "),
        (["--store", "mysql"], "error[setting.invalid]: --store: 'mysql' is no store"),
        (["--internet", "http://x"], "error[setting.invalid]: --internet: 'http://x': only"),
        (["--peer", "10.0.0.1:1"], "error[setting.invalid]: --peer: "),
        (["--config", "/none.toml"], "error[setting.invalid]: --config: cannot read"),
        (["--no-such-option"], "error[usage.wrong]: "),
        (["--https-key", "/k.pem"], "error[setting.invalid]: --https-key: https_certificate and"),
    ],
)
def test_a_bad_option_is_one_clear_line(tmp_path: Path, options: list[str], line: str) -> None:
    finished = meshbox("run", "--data-dir", str(tmp_path / "data"), *options)
    assert finished.status == 2
    assert finished.err.startswith(f"meshbox: {line}")
    assert len(finished.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_with_clients_and_peers(
    start: StartNode, number: signal.Signals
) -> None:
    node = start()
    peer = start("peer", "--peer", node.peer_address)
    becomes(lambda: peer.status()["peers"][0]["state"] == "connected")
    host, _, port = node.ready["http"].rpartition(":")
    with socket.create_connection((host, int(port))) as idle:
        idle.sendall(b"POST /blobs/store HTTP/1.1\r\ncontent-length: 100\r\n\r\nhalf")
        began = time.monotonic()
        node.process.send_signal(number)
        assert node.wait() == 0
    assert time.monotonic() - began < 5
    assert not (node.data_dir / "control.sock").exists()
    assert '"node.stop_overrun"' not in node.log()


def test_a_node_that_stops_is_alive_and_not_ready(start: StartNode) -> None:
    node = start()
    host, _, port = node.ready["http"].rpartition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /blobs/store HTTP/1.1\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\nhalf"
        )
        assert asked(node, "/readyz")[0] == 200
        node.process.send_signal(signal.SIGTERM)
        becomes(lambda: asked(node, "/readyz")[0] == 503)
        assert [reason["code"] for reason in asked(node, "/readyz")[1]["reasons"]] == [
            "node.stopping"
        ]
        assert node.wait() == 0


def test_a_drained_node_serves_on_not_ready_until_it_is_told_again(start: StartNode) -> None:
    node = start("node", "--drain", "5m")
    node.process.send_signal(signal.SIGTERM)
    becomes(lambda: asked(node, "/readyz")[0] == 503)
    deposit(node, b"still taken")
    assert node.document("inventory")["blobs"] == 1
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(node.url() + "/health", timeout=10)
    assert node.process.poll() is None
    node.process.send_signal(signal.SIGTERM)
    assert node.wait() == 0


def test_a_drained_node_goes_by_itself_when_the_time_is_over(start: StartNode) -> None:
    node = start("node", "--drain", "300ms")
    began = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    assert node.wait() == 0
    assert time.monotonic() - began > 0.3


def test_a_public_name_and_the_node_id_are_both_proven(start: StartNode, tmp_path: Path) -> None:
    authority = Authority()
    chain, key = authority.issue(tmp_path, "mailbox.example.org")
    node = start("node", "--https-certificate", str(chain), "--https-key", str(key))
    host, _, port = node.ready["https"].rpartition(":")
    browser = ssl.create_default_context(cadata=authority.pem)
    pinned = client_context(parse_node_id(node.node_id))
    for context, name in ((browser, "mailbox.example.org"), (pinned, LEAF_NAME)):
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert secure.recv(12) == b"HTTP/1.1 200"


def asked(node: RunningNode, path: str) -> tuple[int, Any]:
    """What the admin listener answers."""
    try:
        with urllib.request.urlopen(node.url("admin") + path, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_kill_9_keeps_the_identity_and_what_was_acknowledged(start: StartNode) -> None:
    node = start()
    deposit(node, b"one", b"two")
    before = node.document("inventory")
    node.kill()
    again = start()
    assert again.node_id == node.node_id
    after = again.document("inventory")
    assert (after["digest"], after["blobs"]) == (before["digest"], 2)
    assert again.status()["epoch"] != ""


def test_two_nodes_become_equal(start: StartNode) -> None:
    a = start("a")
    deposit(a, b"before")
    b = start("b", "--peer", a.peer_address)
    becomes(lambda: b.status()["storage"]["messages"] == 1)
    deposit(a, b"after", first=1)
    becomes(lambda: b.status()["storage"]["messages"] == 2)
    assert a.document("inventory")["digest"] == b.document("inventory")["digest"]
    (peer,) = b.status()["peers"]
    assert (peer["node_id"], peer["state"]) == (a.node_id, "connected")
    assert peer["blobs_in"] == 2
    assert peer["lag"] == 0


def test_eight_days_pass_in_a_moment(start: StartNode, tmp_path: Path) -> None:
    clock = tmp_path / "clock.json"
    clock.write_text("{}")
    node = start("node", environment={"MESHBOX_TEST_CLOCK": str(clock)})
    deposit(node, b"one", b"two")
    status = node.status()
    assert status["storage"]["messages"] == 2
    assert any("MESHBOX_TEST_CLOCK" in warning for warning in status["warnings"])
    draft = tmp_path / "draft"
    draft.write_text(json.dumps({"boot_offset_ms": 8 * DAY_MS, "wall_offset_ms": 8 * DAY_MS}))
    draft.rename(clock)
    assert node.document("inventory")["blobs"] == 0
    swept = node.document("sweep")
    assert (swept["schema"], swept["blobs"], swept["bytes"]) == ("meshbox.sweep/1", 2, 6)
    storage = node.status()["storage"]
    assert (storage["messages"], storage["expired"]) == (0, 2)
    (log,) = node.document("inventory", "--topic", "topic")["logs"]
    assert (log["held"], log["expired"], log["watermark"]) == ([], [[0, 1]], 1)


def test_settings_reach_the_parts(start: StartNode) -> None:
    options = ["--ids", "hex64", "--generations", "blips", "--storage-limit", "10GB"]
    node = start("node", *options, environment={"MESHBOX_HTPP": "x"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(node, "/blips/store", {"blips": {"topic": {"author": {"0": "aGk="}}}})
    assert refused.value.code == 422
    refused.value.close()
    with pytest.raises(urllib.error.HTTPError) as unknown:
        post(node, "/blobs/store", {"blobs": {}})
    assert unknown.value.code == 404
    unknown.value.close()
    status = node.status()
    assert status["storage"]["limit_bytes"] == 10**10
    assert any("MESHBOX_HTPP" in warning for warning in status["warnings"])


def test_the_log_can_be_json(start: StartNode) -> None:
    node = start("node", "--log-format", "json")
    assert node.stop() == 0
    events = [json.loads(line)["event"] for line in node.log().splitlines()]
    assert events == ["identity.minted", "node.ready", "node.stopping", "node.stopped"]


def test_a_restored_backup_becomes_another_node(start: StartNode, tmp_path: Path) -> None:
    node = start("node")
    peer = start("peer", "--peer", node.peer_address)
    deposit(node, b"kept")
    becomes(lambda: peer.status()["storage"]["messages"] == 1)
    former = node.node_id
    assert node.stop() == 0
    shutil.copytree(node.data_dir, tmp_path / "backup")
    port = node.ready["sync"]
    node = start("node", "--sync", port)
    deposit(node, b"lost", first=1)
    becomes(lambda: peer.status()["storage"]["messages"] == 2)
    becomes(lambda: peer.status()["peers"][0]["lag"] == 0)
    assert node.stop() == 0
    shutil.rmtree(node.data_dir)
    shutil.copytree(tmp_path / "backup", node.data_dir)
    node = start("node", "--sync", port)
    assert node.node_id == former
    assert node.wait() == 1
    last = node.log().splitlines()[-1]
    assert last.startswith("meshbox: error[identity.lost]: ")
    node = start("node", "--sync", port, "--peer", peer.peer_address)
    assert node.node_id != former
    assert node.document("inventory")["blobs"] >= 1
    becomes(lambda: node.document("inventory")["blobs"] == 2)
    (kept,) = node.data_dir.glob("identity.key.lost-1")
    assert kept.exists()
