"""How commands find a node: by its folder or its admin listener; and what they say of none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from meshbox.cli.running_node import ask
from meshbox.core.errors import MeshboxError
from tests.node.processes import RunningNode, meshbox


def test_by_folder_or_by_admin_listener(node: RunningNode) -> None:
    by_folder = meshbox("status", "--json", "--data-dir", str(node.data_dir)).document
    by_url = meshbox("status", "--json", "--admin", node.url("admin")).document
    assert by_folder["node_id"] == by_url["node_id"] == node.node_id


def test_by_the_variable(node: RunningNode) -> None:
    environment = {"MESHBOX_DATA_DIR": str(node.data_dir)}
    assert meshbox("status", "--json", environment=environment).document["pid"] == node.process.pid


@pytest.mark.parametrize("command", ["status", "peers", "inventory", "sweep"])
def test_nobody_there(tmp_path: Path, command: str) -> None:
    finished = meshbox(command, "--data-dir", str(tmp_path))
    assert finished.status == 1
    assert finished.err.startswith(
        f"meshbox: error[node.not_running]: no node answers at {tmp_path}"
    )
    assert len(finished.err.splitlines()) == 1


def test_nobody_at_the_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    finished = meshbox("status", "--admin", f"http://127.0.0.1:{port}")
    assert finished.status == 1
    assert "error[node.not_running]" in finished.err


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello", b""])
def test_somebody_else_at_the_url(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(MeshboxError) as caught:
            ask(
                "GET",
                "/api/status",
                data_dir=None,
                admin=f"http://127.0.0.1:{listening.getsockname()[1]}",
            )
        thread.join()
    assert caught.value.code == "node.not_running"


def test_the_node_s_own_fault_is_handed_on(node: RunningNode) -> None:
    bad = node.command("inventory", "--topic", "a:b")
    assert (bad.status, bad.err.split(" ")[1]) == (2, "error[id.invalid]:")
    no_sweep = meshbox("sweep", "--admin", node.url("admin"))
    assert (no_sweep.status, no_sweep.err.split(" ")[1]) == (2, "error[admin.request]:")
