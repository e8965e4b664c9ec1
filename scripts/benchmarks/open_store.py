"""`open`: from the start of a node's process to its ready line, empty and with blobs stored."""

from __future__ import annotations

from typing import Final

from scripts.benchmarks.connection import send_all
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Stage
from scripts.benchmarks.requests import DIALECTS, Texts, filling, logs
from scripts.benchmarks.rows import Figures

BLOBS: Final = 100_000
LOGS: Final = 1_000
READY_S_GOAL: Final = 1.5
RSS_MB_GOAL: Final = {0: 100.0, 1_000_000: 150.0}


async def open_store(options: Options) -> Figures:
    """Ready, and resident memory then; with nothing and with `--blobs` of 1 KB in 1,000 logs."""
    figures = Figures()
    with Stage(options.folder) as stage:
        for blobs in (0, options.blobs or BLOBS):
            folder = f"with{blobs}"
            node = stage.node(folder)
            if blobs:
                some = logs(min(LOGS, blobs), label="open", topics=50)
                texts, dialect = Texts(seed=options.seed), DIALECTS[options.dialect]
                requests = filling(some, blobs=blobs, texts=texts, dialect=dialect)
                await send_all(node.http, requests)
            stage.end(node)
            for _ in range(options.runs):
                node = stage.node(folder)
                goal_mb = RSS_MB_GOAL.get(blobs)
                figures.add(f"open.{blobs}.ready", "s", node.ready_ms / 1000, goal=READY_S_GOAL)
                figures.add(f"open.{blobs}.rss", "MB", node.rss_mb(), goal=goal_mb)
                stage.end(node)
    return figures
