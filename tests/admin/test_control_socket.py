"""The control socket: private, at any depth, and never taken from one who answers."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from meshbox.admin.control_socket import ADDRESS_BYTES_MAX, connect, listen
from meshbox.core.errors import ListenFailed

DESCRIPTORS = Path("/proc/self/fd")


def deep(folder: Path) -> Path:
    """A folder whose name is longer than a socket's address may be."""
    below = folder.joinpath(*["a-rather-long-name-of-a-folder"] * 5)
    below.mkdir(parents=True)
    assert len(str(below)) > ADDRESS_BYTES_MAX
    return below


@pytest.mark.parametrize("place", [lambda folder: folder, deep], ids=["short", "long"])
def test_one_listens_and_another_connects(tmp_path: Path, place: object) -> None:
    path = place(tmp_path) / "control.sock"  # type: ignore[operator]
    mask = os.umask(0)
    try:
        with listen(path) as listening:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with connect(path, 5) as client:
                client.sendall(b"hello")
                server, _ = listening.accept()
                with server:
                    assert server.recv(5) == b"hello"
    finally:
        os.umask(mask)


def test_what_a_killed_node_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        connect(path, 5)
    with listen(path), connect(path, 5):
        pass


def test_one_that_answers_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with listen(path):
        with pytest.raises(ListenFailed, match="another process answers"):
            listen(path)
        with connect(path, 5):
            pass


def test_something_else_of_that_name_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ListenFailed, match="something else"):
        listen(path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="cannot make the control socket"):
        listen(tmp_path / "none" / "control.sock")
    with pytest.raises(FileNotFoundError):
        connect(tmp_path / "none" / "control.sock", 5)


def test_a_long_path_without_a_way_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshbox.admin.control_socket._DESCRIPTORS", tmp_path / "none")
    with pytest.raises(ListenFailed, match="longer than"):
        listen(deep(tmp_path) / "control.sock")


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="no way around long paths there")
def test_no_descriptor_is_left(tmp_path: Path) -> None:
    path = deep(tmp_path) / "control.sock"
    before = len(list(DESCRIPTORS.iterdir()))
    for _ in range(3):
        with listen(path), connect(path, 5):
            pass
    assert len(list(DESCRIPTORS.iterdir())) == before
