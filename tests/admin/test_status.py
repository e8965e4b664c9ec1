"""The status document has the fields that design.md 13 names, and says what is true."""

from __future__ import annotations

import msgspec

from meshbox.admin.status import peers, rss_bytes, status, unopened_status
from meshbox.core.errors import StoreUnprepared
from meshbox.storage.embedded.store import EmbeddedStore
from tests.admin.parts import MAILBOX, Report, sources, unopened
from tests.clocks import ManualClock
from tests.contract.material import DAY_MS, blob, put
from tests.mailbox.stores import NODE_ID

PEER_FIELDS = {
    *("node_id", "address", "source", "state", "reason", "lag", "since_ms", "last_progress_ms"),
    *("bytes_in", "bytes_out", "blobs_in", "blobs_out", "duplicates_in", "misbehaved"),
}


async def test_the_fields(store: EmbeddedStore) -> None:
    document = msgspec.to_builtins(await status(sources(store, peers=[Report()])))
    assert set(document) == {
        *(
            "schema",
            "node_id",
            "address",
            "version",
            "pid",
            "epoch",
            "change",
            "durable_change",
            "clock",
        ),
        *("storage", "relayed", "rss_bytes", "loop_held_ms_max", "peers", "internet", "warnings"),
        *("reachability", "store", "uptime_ms"),
    }
    assert document["store"] == {
        "state": "open",
        **dict.fromkeys(("reason", "detail", "since_ms", "next_try_ms")),
    }
    assert document["reachability"] == {
        "ipv4": {"route": True, "dialled": "unknown"},
        "ipv6": {"route": False, "dialled": "unknown"},
    }
    assert set(document["clock"]) == {"node_time_ms", "wall_ms", "synchronised"}
    assert set(document["storage"]) >= {
        *("used_bytes", "limit_bytes", "messages", "conflicts", "evicted", "expired"),
    }
    assert set(document["peers"][0]) == PEER_FIELDS
    assert document["schema"] == "meshbox.status/1"


async def test_it_says_what_is(store: EmbeddedStore, clock: ManualClock) -> None:
    clock.synchronised = False
    await put(store, blob(store, 0, b"one"), blob(store, 1, b"three"))
    await put(store, blob(store, 1, b"other"))
    document = await status(sources(store, clock=clock))
    assert document.node_id == NODE_ID
    assert bytes.fromhex(document.epoch) == store.epoch.id
    assert document.change == document.durable_change == store.change
    assert document.clock.node_time_ms == store.now_ms()
    assert document.clock.wall_ms == clock.wall_ms
    assert document.clock.synchronised is False
    held = document.storage
    assert (held.messages, held.message_bytes, held.logs, held.conflicts) == (2, 8, 1, 1)
    assert (held.limit_bytes, held.expired, held.evicted) == (1_000, 0, 0)
    assert held.used_bytes > 0
    assert (document.loop_held_ms_max, document.warnings) == (1.5, ["mind the gap"])
    assert document.uptime_ms == 61_500
    clock.advance(8 * DAY_MS)
    while (await store.sweep_slice()).more:
        pass
    held = (await status(sources(store))).storage
    assert (held.messages, held.expired) == (0, 2)


async def test_one_that_is_not_open_yet_has_the_same_names(store: EmbeddedStore) -> None:
    """So that a program which looks at one needs not look whether it is there."""
    running = msgspec.to_builtins(await status(sources(store)))
    for node_id in (NODE_ID, None):
        document = msgspec.to_builtins(unopened_status(unopened(node_id=node_id)))
        assert document.keys() == running.keys()
        assert (document["node_id"], document["uptime_ms"]) == (node_id, 1_500)
        for name in ("clock", "storage", "store"):
            assert document[name].keys() == running[name].keys()
        assert set(document["storage"].values()) == {None}
        assert document["store"] == {
            "state": "opening",
            "reason": "store.unprepared",
            "detail": f"no such keyspace ({StoreUnprepared.advice})",
            "since_ms": 5,
            "next_try_ms": 6,
        }


async def test_peers_as_they_are_told(store: EmbeddedStore) -> None:
    document = peers(sources(store, peers=[Report(), Report(address="h:1", reason="peer.lost")]))
    assert document.schema == "meshbox.peers/1"
    first, second = map(msgspec.structs.asdict, document.peers)
    assert first == Report()._asdict() | {"state": "connected"}
    assert (second["address"], second["reason"]) == ("h:1", "peer.lost")


async def test_internet_mailboxes_as_they_are_told(store: EmbeddedStore) -> None:
    document = await status(sources(store, internet=[MAILBOX]))
    told = msgspec.structs.asdict(document.internet[0])
    assert told == MAILBOX._asdict() | {"kind": "dash-chat", "state": "waiting"}


def test_memory_grows_with_what_is_kept() -> None:
    before = rss_bytes()
    kept = bytearray(b"x" * 30_000_000)
    assert before + 20_000_000 < rss_bytes() < before + 100_000_000
    assert kept
