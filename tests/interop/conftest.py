"""`server`: what the table is played against, one for all rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.our_node import OurNode
from tests.interop.playing import LiveServer, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server at MAILBOX_URL, or a node of ours."""
    url = os.environ.get("MAILBOX_URL")
    if url:
        yield LiveServer(url)
        return
    folder: Path = tmp_path_factory.mktemp("node")
    node = OurNode(folder)
    yield node
    node.close()
