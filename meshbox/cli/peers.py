"""`meshbox peers`: whom a running node knows and syncs with, since when, and the last progress."""

from __future__ import annotations

import time
from typing import Any

from meshbox.cli.output import ago, columns, print_json, print_lines, size
from meshbox.cli.running_node import Admin, DataDir, Json, ask

_HEADINGS = ("NODE", "ADDRESS", "STATE", "SINCE", "LAG", "PROGRESS", "IN", "OUT", "REASON")


def show(*, data_dir: DataDir = None, admin: Admin = None, json: Json = False) -> None:
    """Whom a running node syncs with, and the last progress."""
    document = ask("GET", "/api/peers", data_dir=data_dir, admin=admin)
    if json:
        print_json(document)
    elif document["peers"]:
        now_ms = time.time_ns() // 1_000_000
        print_lines(columns([_HEADINGS, *(_row(peer, now_ms) for peer in document["peers"])]))
    else:
        print_lines(["no peers known"])


def _row(peer: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    return (
        peer["node_id"],
        peer["address"] or "-",
        peer["state"],
        ago(peer["since_ms"], now_ms) if peer["since_ms"] else "-",
        str(peer["lag"]),
        ago(peer["last_progress_ms"], now_ms),
        f"{peer['blobs_in']} ({size(peer['bytes_in'])})",
        f"{peer['blobs_out']} ({size(peer['bytes_out'])})",
        peer["reason"] or "-",
    )
