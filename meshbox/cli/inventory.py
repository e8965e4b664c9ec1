"""`meshbox inventory`: what a running node holds, with a digest to compare nodes by."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshbox.cli.output import columns, print_json, print_lines, size
from meshbox.cli.running_node import WORK_TIMEOUT_S, Admin, DataDir, Json, ask

_HEADINGS = ("AUTHOR", "HELD", "EXPIRED", "EVICTED", "TOLD MISSING", "WATERMARK", "DIGEST")
_RANGES_SHOWN = 8


def show(
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="One topic, log by log.")
    ] = None,
    data_dir: DataDir = None,
    admin: Admin = None,
    json: Json = False,
) -> None:
    """What a running node holds. Nodes that hold the same have the same digest."""
    document = ask(
        "GET",
        "/api/inventory",
        data_dir=data_dir,
        admin=admin,
        query=None if topic is None else {"topic": topic},
        timeout_s=WORK_TIMEOUT_S,
    )
    if json:
        print_json(document)
    else:
        print_lines(_lines(document) if topic is None else _topic_lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    rows = [
        ("logs", str(document["logs"])),
        ("blobs", str(document["blobs"])),
        ("bytes", size(document["bytes"])),
        ("digest", document["digest"]),
    ]
    return columns(rows)


def _topic_lines(document: dict[str, Any]) -> list[str]:
    rows = [
        (
            log["author"],
            *(_ranges(log[name]) for name in ("held", "expired", "evicted", "told")),
            "-" if log["watermark"] is None else str(log["watermark"]),
            log["digest"][:16],
        )
        for log in document["logs"]
    ]
    return columns([_HEADINGS, *rows]) if rows else ["nothing is known of this topic"]


def _ranges(pairs: list[list[int]]) -> str:
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in pairs]
    more = len(shown) - _RANGES_SHOWN
    if more > 0:
        shown[_RANGES_SHOWN:] = [f"and {more} more"]
    return ",".join(shown) or "-"
