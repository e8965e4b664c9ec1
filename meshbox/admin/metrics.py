"""`/metrics` for Prometheus: the status document as numbers, and what HTTP clients were answered.

Everything is read when it is asked for. Names are those of docs/words.md with the unit last;
docs/admin.md lists them all. prometheus_client is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from meshbox.admin.readiness import readiness
from meshbox.admin.sources import Sources, Unopened
from meshbox.admin.status import StatusDocument, rss_bytes, status

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]


class _Family(NamedTuple):
    """One metric: a counter ends in _total. A value for each combination of labels."""

    name: str
    help: str
    values: Iterable[tuple[Labels, float]]
    labels: Labels = ()


async def metrics(sources: Sources | Unopened) -> bytes:
    """All metrics as of now, as text; those of the process alone while its store is not open.

    `StoreFailed` when nothing can be counted.
    """
    from prometheus_client import CollectorRegistry, generate_latest

    families = [*_of_process(sources)]
    if isinstance(sources, Sources):
        document = await status(sources)
        families += [
            *_of_node(document),
            *_of_store(document),
            *_of_http(sources),
            *_of_peers(document),
            *_of_internet(document),
        ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(families))
    return generate_latest(registry)


class _Collector:
    """What the registry asks."""

    def __init__(self, families: Iterable[_Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for family in self._families:
            kind = CounterMetricFamily if family.name.endswith("_total") else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for labels, value in family.values:
                metric.add_metric(labels, value)
            yield metric


def _of_process(sources: Sources | Unopened) -> Iterator[_Family]:
    yield _Family(
        "meshbox_info",
        "This node; always 1.",
        [((sources.node_id or "", sources.version), 1)],
        ("node_id", "version"),
    )
    ready = readiness(sources)
    yield _one("meshbox_ready", "1 while it serves its purpose, as /readyz says.", ready.ready)
    reasons = [((finding.code,), 1.0) for finding in ready.reasons]
    yield _Family("meshbox_unready", "1 for each reason why not.", reasons, ("reason",))
    warnings = len(sources.warnings())
    yield _one("meshbox_warnings", "Things that the operator should know.", warnings)
    clock = sources.system_clock.read()
    yield _one("meshbox_wall_time_seconds", "The wall clock.", clock.wall_ms / 1000)
    yield _one(
        "meshbox_clock_synchronised",
        "1 while the operating system calls the wall clock synchronised.",
        clock.synchronised,
    )
    yield _one("meshbox_uptime_seconds", "Since the process began.", sources.uptime_ms() / 1000)
    yield _one("meshbox_resident_bytes", "Resident memory.", rss_bytes())


def _of_node(document: StatusDocument) -> Iterator[_Family]:
    reach = document.reachability
    yield _Family(
        "meshbox_internet_route",
        "1 where there is a way out to the internet.",
        [((family,), float(reached.route)) for family, reached in reach.items()],
        ("family",),
    )
    yield _Family(
        "meshbox_internet_dialled",
        "1 once a peer from beyond our own networks dialled this node; 0 is unknown.",
        [((family,), float(reached.dialled == "yes")) for family, reached in reach.items()],
        ("family",),
    )
    yield _one("meshbox_node_time_seconds", "Node time.", document.clock.node_time_ms / 1000)
    if document.loop_held_ms_max is not None:
        yield _one(
            "meshbox_loop_held_seconds_max",
            "CPU time of the longest turn of the event loop since the start.",
            document.loop_held_ms_max / 1000,
        )


def _of_store(document: StatusDocument) -> Iterator[_Family]:
    held = document.storage
    yield _one("meshbox_blobs", "Blobs held.", held.messages)
    yield _one("meshbox_blob_bytes", "Bytes of the blobs held.", held.message_bytes)
    yield _one("meshbox_logs", "Logs that hold something.", held.logs)
    yield _one("meshbox_used_bytes", "Bytes of disk that the database takes.", held.used_bytes)
    if held.limit_bytes is not None:
        yield _one("meshbox_limit_bytes", "Bytes of disk allocated to it.", held.limit_bytes)
    yield _one("meshbox_expired_total", "Blobs dropped by age.", held.expired)
    yield _one("meshbox_evicted_total", "Blobs dropped for room.", held.evicted)
    yield _one("meshbox_conflicts_total", "Blobs refused since another is held.", held.conflicts)
    yield _one("meshbox_relayed_total", "Blobs sent to peers.", document.relayed)
    yield _one("meshbox_change", "The feed's counter.", document.change)
    yield _one(
        "meshbox_durable_change", "The same as the disk confirmed it.", document.durable_change
    )


def _of_http(sources: Sources) -> Iterator[_Family]:
    http = sources.http
    yield _one("meshbox_http_connections", "Open connections of apps.", http.connections)
    yield _one("meshbox_http_waiters", "Fetches that wait for something new.", http.waiters)
    lent = [(("body",), http.body_bytes_lent), (("answer",), http.answer_bytes_lent)]
    yield _Family("meshbox_http_lent_bytes", "Memory that large ones have now.", lent, ("for",))
    answered = [((path, str(code)), n) for (path, code), n in sorted(http.answered.items())]
    yield _Family(
        "meshbox_http_answers_total",
        "Answers to apps; the path is `other` where no route is.",
        answered,
        ("path", "status"),
    )


def _of_peers(document: StatusDocument) -> Iterator[_Family]:
    peers = document.peers
    states = [((peer.node_id, peer.state), 1.0) for peer in peers]
    yield _Family("meshbox_peer_state", "1 for the state it is in.", states, ("peer", "state"))
    lags = [((peer.node_id,), peer.lag) for peer in peers]
    yield _Family("meshbox_peer_lag_blobs", "Blobs that it offered and we lack.", lags, ("peer",))
    progress = [
        ((peer.node_id,), peer.last_progress_ms / 1000)
        for peer in peers
        if peer.last_progress_ms is not None
    ]
    yield _Family(
        "meshbox_peer_progress_seconds", "Wall time of the last progress.", progress, ("peer",)
    )
    moved = [((p.node_id, way), n) for p in peers for way, n in _ways(p.bytes_in, p.bytes_out)]
    yield _Family("meshbox_peer_bytes_total", "Bytes of sync frames.", moved, ("peer", "direction"))
    moved = [((p.node_id, way), n) for p in peers for way, n in _ways(p.blobs_in, p.blobs_out)]
    yield _Family("meshbox_peer_blobs_total", "Blobs.", moved, ("peer", "direction"))
    twice = [((peer.node_id,), peer.duplicates_in) for peer in peers]
    yield _Family(
        "meshbox_peer_duplicates_total", "Blobs that came and were held.", twice, ("peer",)
    )
    broken = [((peer.node_id,), peer.misbehaved) for peer in peers]
    yield _Family(
        "meshbox_peer_misbehaved_total", "Sessions that it broke the rules of.", broken, ("peer",)
    )


def _of_internet(document: StatusDocument) -> Iterator[_Family]:
    boxes = document.internet
    states = [((box.url, box.state), 1.0) for box in boxes]
    yield _Family(
        "meshbox_internet_state",
        "1 for the state that an internet mailbox is in.",
        states,
        ("url", "state"),
    )
    progress = [
        ((box.url,), box.last_progress_ms / 1000)
        for box in boxes
        if box.last_progress_ms is not None
    ]
    yield _Family(
        "meshbox_internet_progress_seconds", "Wall time of the last progress.", progress, ("url",)
    )
    moved = [((b.url, way), n) for b in boxes for way, n in _ways(b.bytes_in, b.bytes_out)]
    yield _Family("meshbox_internet_bytes_total", "Bytes moved.", moved, ("url", "direction"))
    moved = [((b.url, way), n) for b in boxes for way, n in _ways(b.blobs_in, b.blobs_out)]
    yield _Family("meshbox_internet_blobs_total", "Blobs.", moved, ("url", "direction"))


def _ways(came: int, went: int) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("in", came), ("out", went)


def _one(name: str, text: str, value: float) -> _Family:
    return _Family(name, text, [((), float(value))])
