"""One node that all tests of a file may ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.processes import RunningNode, start_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    node = start_node(tmp_path_factory.mktemp("node"))
    yield node
    node.kill()
