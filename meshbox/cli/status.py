"""`meshbox status`: what a running node holds and how it is."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from meshbox.cli.output import ago, columns, print_json, print_lines, size
from meshbox.cli.running_node import Admin, DataDir, Json, RemoteError, ask

_OPENING: Final = "opening"
_STANDBY: Final = "standby"
_STORE_WARNING: Final = "nothing is stored: "
"""What node/journal.py warns with of a store."""


def show(
    *,
    data_dir: DataDir = None,
    admin: Admin = None,
    opened: Annotated[
        bool,
        typer.Option("--opened", help="Fails while the store was not opened since the start."),
    ] = False,
    json: Json = False,
) -> None:
    """What a running node holds, and how it is."""
    document = ask("GET", "/api/status", data_dir=data_dir, admin=admin)
    if json:
        print_json(document)
    else:
        print_lines(_lines(document))
    store = document["store"]
    if opened and store["state"] == _OPENING:
        raise RemoteError(store["reason"], store["detail"], None)


def _lines(document: dict[str, Any]) -> list[str]:
    store, clock = document["store"], document["clock"]
    is_open = store["state"] != _OPENING
    begun = ago(0, document["uptime_ms"])
    rows = [
        ("node", document["node_id"] or "no key yet"),
        ("version", f"{document['version']}, process {document['pid']}, begun {begun}"),
        *((("store", _store(store, clock["wall_ms"])),) if store["reason"] else ()),
        *(_held(document) if is_open else ()),
        ("clock", "synchronised" if clock["synchronised"] else "not synchronised"),
        ("memory", size(document["rss_bytes"])),
    ]
    rows += [("", _peer(peer, clock["wall_ms"])) for peer in document["peers"]]
    rows += [("internet mailbox", _mailbox(box, clock["wall_ms"])) for box in document["internet"]]
    # The store's own row tells more than its warning.
    rows += [
        ("warning", warning)
        for warning in document["warnings"]
        if not (store["reason"] and warning.startswith(_STORE_WARNING))
    ]
    return columns(rows)


def _store(store: dict[str, Any], now_ms: int) -> str:
    """Such as `not open since 5 s ago, tried again in 2 s: nobody answers (look at it)`."""
    shown = "not open" if store["state"] == _OPENING else "nothing is stored"
    if store["since_ms"] is not None:
        shown += f" since {ago(store['since_ms'], now_ms)}"
    if store["next_try_ms"] is not None:
        shown += f", tried again in {max(0, store['next_try_ms'] - now_ms) / 1_000:.0f} s"
    return f"{shown}: {store['detail']}"


def _held(document: dict[str, Any]) -> list[tuple[str, str]]:
    storage, peers = document["storage"], document["peers"]
    limit = storage["limit_bytes"]
    connected = sum(peer["state"] == "connected" for peer in peers)
    return [
        ("messages", f"{storage['messages']} in {storage['logs']} logs"),
        ("storage", f"{size(storage['used_bytes'])} of {size(limit) if limit else 'no limit'}"),
        ("dropped", f"{storage['expired']} by age, {storage['evicted']} for room"),
        ("conflicts", str(storage["conflicts"])),
        ("relayed", str(document["relayed"])),
        ("peers", f"{connected} connected, {len(peers)} known"),
        ("internet", _reach(document["reachability"])),
    ]


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
    if box["state"] == _STANDBY:
        return f"{box['url']}  standby: another process of this mailbox has it"
    why = "".join(f", {box[key]}" for key in ("reason", "detail") if box[key])
    progress = ago(box["last_progress_ms"], now_ms)
    return f"{box['url']}  {box['state']}{why}, last progress {progress}"
