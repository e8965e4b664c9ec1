"""The null object of `Filling`."""

from __future__ import annotations

import pytest

from meshbox.core.filling import NothingFilling
from meshbox.core.ids import Author, LogId, Namespace, Topic

LOG = LogId(Namespace.LOGS, Topic("t"), Author("a"))


@pytest.mark.parametrize("above", [None, 0, 2**64 - 1])
def test_a_node_that_fills_nothing_holds_nothing_back(above: int | None) -> None:
    assert NothingFilling().stop_below(LOG, above=above) is None
