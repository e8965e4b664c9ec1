"""`open`: from the start of a node's process to its ready line, empty and with blobs stored."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Node, Stage
from scripts.benchmarks.requests import BLOB_BYTES, DIALECTS, Texts, filling, logs
from scripts.benchmarks.rows import Figures

BLOBS: Final = 1_000_000
LOG_BLOBS: Final = 10
TOPIC_LOGS: Final = 20
READY_S_GOAL: Final = 1.5
RSS_MB_GOAL: Final = {0: 100.0, 1_000_000: 150.0}
DISK_GOAL: Final = 1.15
"""Times the bytes of the blobs, and `DISK_MB_GOAL` beside."""
DISK_MB_GOAL: Final = 128.0


async def open_store(options: Options) -> Figures:
    """Ready, memory and disk then; with nothing and with `--blobs` of 1 KB, 10 a log."""
    figures = Figures()
    with Stage(options.folder) as stage:
        for blobs in (0, options.blobs or BLOBS):
            node = stage.node(f"with{blobs}")
            await _fill(node, options, blobs=blobs)
            stage.end(node)
            for _ in range(options.runs):
                node = stage.node(f"with{blobs}")
                _add(figures, node, blobs)
                stage.end(node)
    return figures


async def _fill(node: Node, options: Options, *, blobs: int) -> None:
    count = -(-blobs // LOG_BLOBS)
    some = logs(count, label="open", topics=-(-count // TOPIC_LOGS))
    texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
    if blobs:
        await send_all(node.http, filling(some, blobs=blobs, texts=texts, dialect=dialect))


def _add(figures: Figures, node: Node, blobs: int) -> None:
    name, payload_mb = f"open.{blobs}", blobs * BLOB_BYTES / 1e6
    figures.add(f"{name}.ready", "s", node.ready_ms / 1000, goal=READY_S_GOAL)
    figures.add(f"{name}.rss", "MB", node.rss_mb(), goal=RSS_MB_GOAL.get(blobs))
    disk_goal_mb = payload_mb * DISK_GOAL + DISK_MB_GOAL
    figures.add(f"{name}.disk", "MB", _disk_mb(node.data_dir), goal=disk_goal_mb)


def _disk_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
