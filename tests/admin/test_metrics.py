"""Every metric is documented and every documented one is there, with the values of the status."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from meshbox.admin.metrics import metrics
from meshbox.storage.embedded.store import EmbeddedStore
from tests.admin.parts import MAILBOX, Report, sources, unopened
from tests.clocks import ManualClock
from tests.contract.material import blob, put
from tests.mailbox.stores import NODE_ID

METRICS = Path(__file__).parents[2] / "docs/admin.md"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(store: EmbeddedStore, **more: object) -> Samples:
    return parsed(await metrics(sources(store, peers=[Report()], internet=[MAILBOX], **more)))  # type: ignore[arg-type]


def parsed(text: bytes) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_documented_is_what_there_is(store: EmbeddedStore) -> None:
    rows = re.findall(r"^\| `(meshbox_\w+)` \|([^|]*)\|", METRICS.read_text("utf-8"), re.M)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(documented) == len(rows)
    there: dict[str, set[str]] = {}
    for name, labels in await scraped(store, is_stopping=True):
        there[name] = {label for label, _ in labels}
    assert there == documented


async def test_a_process_whose_store_is_not_open_tells_of_itself(store: EmbeddedStore) -> None:
    samples = parsed(await metrics(unopened()))
    assert value(samples, "meshbox_ready") == 0
    assert value(samples, "meshbox_unready", reason="store.unprepared") == 1
    assert value(samples, "meshbox_info", node_id=NODE_ID, version="1.2.3") == 1
    named = {name for name, _ in samples}
    assert value(samples, "meshbox_uptime_seconds") == 1.5
    assert "meshbox_blobs" not in named
    assert named < {name for name, _ in await scraped(store, is_stopping=True)}
    assert value(parsed(await metrics(unopened(node_id=None))), "meshbox_warnings") == 1


async def test_the_values_are_those_of_the_status(store: EmbeddedStore, clock: ManualClock) -> None:
    clock.synchronised = False
    await put(store, blob(store, 0, b"one"), blob(store, 1, b"three"))
    await put(store, blob(store, 1, b"other"))
    samples = await scraped(store, clock=clock)
    assert value(samples, "meshbox_info", node_id=NODE_ID, version="1.2.3") == 1
    assert value(samples, "meshbox_ready") == 1
    assert value(samples, "meshbox_uptime_seconds") == 61.5
    assert value(samples, "meshbox_clock_synchronised") == 0
    assert value(samples, "meshbox_blobs") == 2
    assert value(samples, "meshbox_blob_bytes") == 8
    assert value(samples, "meshbox_conflicts_total") == 1
    assert value(samples, "meshbox_limit_bytes") == 1_000
    assert value(samples, "meshbox_loop_held_seconds_max") == 0.0015
    assert value(samples, "meshbox_http_answers_total", path="/blips/get", status="200") == 9
    assert value(samples, "meshbox_http_lent_bytes", **{"for": "body"}) == 70_000
    assert value(samples, "meshbox_peer_bytes_total", peer=NODE_ID, direction="in") == 4
    assert value(samples, "meshbox_peer_blobs_total", peer=NODE_ID, direction="out") == 7
    assert value(samples, "meshbox_peer_progress_seconds", peer=NODE_ID) == 0.003
    assert value(samples, "meshbox_internet_state", url=MAILBOX.url, state="waiting") == 1
    assert value(samples, "meshbox_internet_blobs_total", url=MAILBOX.url, direction="in") == 5
    assert value(samples, "meshbox_internet_bytes_total", url=MAILBOX.url, direction="out") == 4
    assert value(samples, "meshbox_internet_progress_seconds", url=MAILBOX.url) == 2


async def test_what_makes_it_unready_is_named(store: EmbeddedStore) -> None:
    samples = await scraped(store, is_stopping=True)
    assert value(samples, "meshbox_ready") == 0
    assert value(samples, "meshbox_unready", reason="node.stopping") == 1
