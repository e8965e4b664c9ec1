"""A node is named by its folder or by the URL of its admin listener, not by both."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.cli.admin_connection import connection_to
from meshbox.core.errors import WrongUse
from tests.node.processes import meshbox


def test_a_node_is_named_by_its_folder_or_its_url(tmp_path: Path) -> None:
    _, where = connection_to(data_dir=str(tmp_path), admin=None)
    assert where == str(tmp_path)
    connection, where = connection_to(data_dir=None, admin="http://[::1]:3002/")
    assert (connection.host, connection.port, where) == ("::1", 3002, "http://[::1]:3002/")
    assert connection_to(data_dir=None, admin="http://node")[0].port == 80


@pytest.mark.parametrize(
    ("admin", "data_dir"),
    [
        ("127.0.0.1:3002", None),
        ("https://127.0.0.1:3002", None),
        ("http://127.0.0.1:port", None),
        ("http://127.0.0.1:1/status", None),
        ("http://127.0.0.1:1", "x"),
    ],
)
def test_what_names_no_node_is_wrong_use(admin: str, data_dir: str | None) -> None:
    with pytest.raises(WrongUse, match="--"):
        connection_to(data_dir=data_dir, admin=admin)


def test_a_command_says_so() -> None:
    finished = meshbox("status", "--admin", "127.0.0.1:3002")
    assert finished.status == 2
    assert finished.err.startswith("meshbox: error[usage.wrong]: --admin")
