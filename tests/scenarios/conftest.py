"""`start`: nodes as processes, as in the tests of the node."""

from __future__ import annotations

from tests.node.conftest import start

__all__ = ["start"]
