"""`nodes`: starts nodes as processes on folders of the test, and ends those that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node.processes import RunningNode, start_node

StartNode = Callable[..., RunningNode]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartNode]:
    """`start(NAME, *options, environment=…)`: a node on the folder NAME of this test."""
    started: list[RunningNode] = []

    def start_named(name: str = "node", *options: str, **named: object) -> RunningNode:
        node = start_node(tmp_path / name, *options, **named)  # type: ignore[arg-type]
        started.append(node)
        return node

    yield start_named
    for node in started:
        if node.process.poll() is None:
            node.kill()
        elif node.process.stdout is not None:
            node.process.stdout.close()
