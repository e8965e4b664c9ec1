"""`strangers`: two nodes that hold much and never met find what differs.

Both hold the same 10^6 blobs, 1,000 a log (and then 10 a log); A holds one more in none, 10 or
1,000 of the logs. They are copied anew for each meeting, so that they are strangers. Counted are
the frames of both directions at A, serialised, but for hello and proof, and apart from them what
transfers the blobs that were lacked (wants and blobs). `rounds` are the asks for symbols. `sockets`
is what the kernel counted on their connection; `tls` is what it counted more than all frames
together have.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from typing import Any, Final

from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Stage, Talker, socket_traffic
from scripts.benchmarks.rows import Figures

BLOBS: Final = 1_000_000
SHAPES: Final = ((1_000, (0, 10, 1_000)), (10, (10,)))
"""Blobs of a log, and in how many logs one more is held on one side."""
BYTES_GOAL: Final = {0: 600.0, 10: 1_600.0, 1_000: 100_000.0}
ROUNDS_GOAL: Final = {10: 2.0}
SECONDS_GOAL: Final = 2.0
LOOP_MS_GOAL: Final = 50.0

_MET_S_MAX: Final = 60.0
_LOOK_S: Final = 0.02
_QUIET_S: Final = 0.5
_TRANSFER: Final = ("want", "blobs")
_GREETING: Final = ("hello", "proof")


async def strangers(options: Options) -> Figures:
    """What differs between `--blobs` blobs at two nodes."""
    figures = Figures()
    blobs = options.blobs or BLOBS
    with Stage(options.folder) as stage:
        for log_blobs, cases in SHAPES:
            logs = max(blobs // log_blobs, 1)
            shape = f"strangers.{logs}x{log_blobs}"
            _fill(stage, shape, logs, log_blobs)
            for differing in sorted({min(case, logs) for case in cases}):
                for run in range(options.runs):
                    await _meet(stage, figures, shape, differing, run)
    return figures


def _fill(stage: Stage, shape: str, logs: int, blobs: int) -> None:
    for name in "ab":
        node = _start(stage, f"{shape}-{name}")
        node.ask(f"fill {logs} {blobs}")
        stage.end(node)


def _start(stage: Stage, name: str, *peer: str) -> Talker:
    program = "scripts.benchmarks.counting_node"
    folder = str(stage.folder / name / "data")
    return stage.talker(name, sys.executable, "-m", program, folder, *peer)


async def _meet(stage: Stage, figures: Figures, shape: str, differing: int, run: int) -> None:
    names = [f"{shape}-{differing}-{run}-{name}" for name in "ab"]
    for name, original in zip(names, "ab", strict=True):
        shutil.copytree(stage.folder / f"{shape}-{original}", stage.folder / name)
    a = _start(stage, names[0])
    blobs = int(shape.rpartition("x")[2])
    held = a.ask(f"add {differing} {blobs}" if differing else "counts")["blobs"]
    b = _start(stage, names[1], f"meshbox://{a.ready['node_id']}@{a.ready['sync']}")
    counts, took_s = await _met(a, b, held, b.ready_at)
    if a.ask("digest") != b.ask("digest"):
        raise BenchFailed("they met, and are not equal")
    _add(figures, f"{shape}.{differing}", counts, differing, took_s)
    sockets = socket_traffic(a.ready["sync"])
    if sockets is not None:
        frames = sum(_bytes(counts["a"], kind) for kind in _kinds(counts["a"]))
        figures.add(f"{shape}.{differing}.sockets", "B", sockets.bytes)
        figures.add(f"{shape}.{differing}.tls", "B", sockets.bytes - frames)
    for node in (b, a):
        stage.end(node)
    for name in names:
        shutil.rmtree(stage.folder / name)


async def _met(a: Talker, b: Talker, held: int, begun: float) -> tuple[dict[str, Any], float]:
    """Waits until each side settled what the other offered, and both are silent."""
    last, since, took_s = None, begun, 0.0
    while True:
        counts = {"a": a.ask("counts"), "b": b.ask("counts")}
        now = time.perf_counter()
        frames = [counts[name]["frames"] for name in "ab"]
        if frames != last:
            last, since, took_s = frames, now, now - begun
        settled = all("in.settled" in each for each in frames)
        equal = {counts[name]["blobs"] for name in "ab"} == {held}
        if settled and equal and now - since > _QUIET_S:
            return counts, took_s
        if now - begun > _MET_S_MAX:
            raise BenchFailed(f"not equal in {_MET_S_MAX:.0f} s: {counts} {b.log_end()}")
        await asyncio.sleep(_LOOK_S)


def _add(
    figures: Figures, name: str, counts: dict[str, Any], differing: int, took_s: float
) -> None:
    a = counts["a"]
    found = sum(_bytes(a, kind) for kind in _kinds(a) if kind not in (*_TRANSFER, *_GREETING))
    goal = BYTES_GOAL.get(differing)
    figures.add(f"{name}.bytes", "B", found, goal=goal)
    figures.add(f"{name}.transfer", "B", sum(_bytes(a, kind) for kind in _TRANSFER))
    rounds = max(a["frames"].get(f"{way}.ask_sketch.frames", 0) for way in ("in", "out"))
    figures.add(f"{name}.rounds", "asks", rounds, goal=ROUNDS_GOAL.get(differing))
    figures.add(f"{name}.time", "s", took_s, goal=SECONDS_GOAL)
    held_ms = [counts[side]["loop_held_ms"] for side in "ab"]
    if None not in held_ms:
        figures.add(f"{name}.loop_held", "ms", max(held_ms), goal=LOOP_MS_GOAL)


def _kinds(counts: dict[str, Any]) -> set[str]:
    return {key.split(".")[1] for key in counts["frames"]}


def _bytes(counts: dict[str, Any], kind: str) -> int:
    """Of all frames of a kind, both ways."""
    return sum(counts["frames"].get(f"{way}.{kind}", 0) for way in ("in", "out"))
