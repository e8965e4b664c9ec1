"""Which of two sessions stays, and who is forgotten first."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, cast

import pytest

from meshbox.core.ids import NodeId, node_id_of
from meshbox.core.limits import PEERS_MAX
from meshbox.sync.peers import SIMULTANEOUS_MS, Peers, stays

SMALL, LARGE = sorted((node_id_of(b"\1" * 32), node_id_of(b"\2" * 32)))


@dataclass
class Proven:
    """What `stays` looks at of a session."""

    dialled: bool
    proven_ms: int


@pytest.mark.parametrize("own", [SMALL, LARGE])
@pytest.mark.parametrize("ours_first", [True, False])
def test_of_two_that_crossed_the_smaller_nodes_dial_stays(own: NodeId, *, ours_first: bool) -> None:
    peer = LARGE if own == SMALL else SMALL
    old, new = Proven(ours_first, 0), Proven(not ours_first, SIMULTANEOUS_MS - 1)
    kept = stays(own, peer, cast("Any", old), cast("Any", new))
    assert kept.dialled == (own == SMALL)


@pytest.mark.parametrize("dialled", [True, False])
def test_a_later_session_replaces_an_older_one(*, dialled: bool) -> None:
    old, new = Proven(not dialled, 0), Proven(dialled, SIMULTANEOUS_MS)
    assert stays(SMALL, LARGE, cast("Any", old), cast("Any", new)) is cast("Any", new)
    again = Proven(dialled, SIMULTANEOUS_MS + 1)
    assert stays(SMALL, LARGE, cast("Any", new), cast("Any", again)) is cast("Any", again)


def test_the_oldest_without_a_session_or_address_is_forgotten() -> None:
    peers = Peers(random.Random(1))
    ids = [node_id_of(number.to_bytes(32, "big")) for number in range(PEERS_MAX + 1)]
    for node_id in ids:
        peers.known(node_id, now_ms=0)
    assert peers.get(ids[0]) is None
    assert peers.get(ids[1]) is not None
    assert len(list(peers)) == PEERS_MAX
