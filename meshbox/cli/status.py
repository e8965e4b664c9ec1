"""`meshbox status`: what a running node holds and how it is."""

from __future__ import annotations

from typing import Any

from meshbox.cli.output import ago, columns, print_json, print_lines, size
from meshbox.cli.running_node import Admin, DataDir, Json, ask


def show(*, data_dir: DataDir = None, admin: Admin = None, json: Json = False) -> None:
    """What a running node holds, and how it is."""
    document = ask("GET", "/api/status", data_dir=data_dir, admin=admin)
    if json:
        print_json(document)
    else:
        print_lines(_lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    storage, clock = document["storage"], document["clock"]
    limit = storage["limit_bytes"]
    peers = document["peers"]
    connected = sum(peer["state"] == "connected" for peer in peers)
    rows = [
        ("node", document["node_id"]),
        ("version", f"{document['version']}, process {document['pid']}"),
        ("messages", f"{storage['messages']} in {storage['logs']} logs"),
        ("storage", f"{size(storage['used_bytes'])} of {size(limit) if limit else 'no limit'}"),
        ("dropped", f"{storage['expired']} by age, {storage['evicted']} for room"),
        ("conflicts", str(storage["conflicts"])),
        ("relayed", str(document["relayed"])),
        ("peers", f"{connected} connected, {len(peers)} known"),
        ("internet", _reach(document["reachability"])),
        ("clock", "synchronised" if clock["synchronised"] else "not synchronised"),
        ("memory", size(document["rss_bytes"])),
    ]
    rows += [("", _peer(peer, clock["wall_ms"])) for peer in peers]
    rows += [("internet mailbox", _mailbox(box, clock["wall_ms"])) for box in document["internet"]]
    rows += [("warning", warning) for warning in document["warnings"]]
    return columns(rows)


def _reach(reachability: dict[str, dict[str, Any]]) -> str:
    """Such as `ipv4: a way out, dialled from there; ipv6: no way out`."""
    shown = []
    for family, reach in reachability.items():
        dialled = ", dialled from there" if reach["dialled"] == "yes" else ""
        shown.append(f"{family}: {'a' if reach['route'] else 'no'} way out{dialled}")
    return "; ".join(shown)


def _peer(peer: dict[str, Any], now_ms: int) -> str:
    progress = ago(peer["last_progress_ms"], now_ms)
    return f"{peer['node_id']}  {peer['state']}, last progress {progress}"


def _mailbox(box: dict[str, Any], now_ms: int) -> str:
    why = "".join(f", {box[key]}" for key in ("reason", "detail") if box[key])
    progress = ago(box["last_progress_ms"], now_ms)
    return f"{box['url']}  {box['state']}{why}, last progress {progress}"
