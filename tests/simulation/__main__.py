"""The command line of `scripts/simulate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from tests.simulation.drawing import draw
from tests.simulation.findings import look_into
from tests.simulation.playing import play

_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays seeds, tells of each that fails, and then of all; the exit status."""
    chosen = _parser().parse_args(arguments)
    if chosen.only is not None:
        return _play_part(chosen.seed, chosen.only)
    failed: list[int] = []
    frames = blobs = 0
    settled_s = 0.0
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        report = play(draw(seed))
        frames, blobs = frames + report.frames, blobs + report.blobs
        settled_s = max(settled_s, report.settled_s)
        if report.broken:
            failed.append(seed)
            sys.stderr.write(f"{look_into(seed, report)}\n")
    summary = {
        "schema": 1,
        "seed": chosen.seed,
        "seeds": chosen.seeds,
        "failed": failed,
        "frames": frames,
        "blobs_held": blobs,
        "settled_s_max": round(settled_s, 3),
    }
    if chosen.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        sys.stdout.write("".join(f"{name:<14} {value}\n" for name, value in summary.items()))
    return _FAILED if failed else 0


def _play_part(seed: int, places: Sequence[int]) -> int:
    """Plays some of the events of a seed, and tells them."""
    schedule = draw(seed)
    part = replace(schedule, events=tuple(schedule.events[place] for place in places))
    sys.stdout.write(f"{part.nodes} nodes, links {part.links}\n")
    sys.stdout.write("".join(f"{event}\n" for event in part.events))
    report = play(part)
    sys.stdout.write("".join(f"breaks {promise}\n" for promise in report.broken) or "fine\n")
    return _FAILED if report.broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Plays whole meshes under faults, each from one seed (tests/simulation/).",
    )
    add = parser.add_argument
    add("--seed", type=int, default=0, help="the first seed (0)")
    add("--seeds", type=int, default=1, help="how many (1)")
    add("--json", action="store_true", help="the summary as JSON")
    add("--only", type=_places, metavar="PLACES", help="only these events of the seed: 0,3,4")
    return parser


def _places(text: str) -> list[int]:
    return [int(place) for place in text.split(",") if place]


if __name__ == "__main__":
    sys.exit(main())
