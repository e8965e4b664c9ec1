"""The command line of `scripts/torture`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from scripts.tortures import cassandra, crash, mutate
from scripts.tortures.faults import TortureFailed

_ON_DISK: Final = Path("/var/tmp")  # noqa: S108 - room for some hundred megabytes
_FAILED: Final = 1
_Figures = cassandra.Figures | crash.Figures | mutate.Figures
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one campaign; exit status 0 when everything was as promised."""
    chosen = _parser().parse_args(arguments)
    # So that what ends children and removes folders runs for SIGTERM as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        figures = asyncio.run(_CAMPAIGNS[chosen.campaign](chosen))
    except TortureFailed as error:
        sys.stderr.write(f"scripts/torture: {chosen.campaign}: {error}\n")
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    _tell(figures, as_json=chosen.json)
    return 0 if figures.is_clean else _FAILED


async def _crash(chosen: argparse.Namespace) -> crash.Figures:
    options = crash.Options(
        seed=chosen.seed,
        seconds=chosen.seconds,
        folder=chosen.dir,
        unsynced=chosen.break_sync,
        keep=chosen.keep,
    )
    return await crash.crash(options)


async def _mutate(chosen: argparse.Namespace) -> mutate.Figures:
    options = mutate.Options(seed=chosen.seed, requests=chosen.requests, folder=chosen.dir)
    return await mutate.mutate(options)


async def _cassandra(chosen: argparse.Namespace) -> cassandra.Figures:
    options = cassandra.Options(
        seed=chosen.seed,
        seconds=chosen.seconds,
        freeze=not chosen.no_freeze,
        folder=chosen.dir,
    )
    return await cassandra.cassandra(options)


_CAMPAIGNS: Final[dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, _Figures]]]] = {
    "cassandra": _cassandra,
    "crash": _crash,
    "mutate": _mutate,
}


def _tell(figures: _Figures, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
        return
    for name, value in msgspec.to_builtins(figures).items():
        sys.stdout.write(f"{name:>14}  {value}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/torture", description="Campaigns against real nodes; docs/torture.md"
    )
    campaigns = parser.add_subparsers(dest="campaign", required=True, metavar="CAMPAIGN")
    crashes = campaigns.add_parser("crash", help="kills and power cuts under load")
    add = crashes.add_argument
    add("--seconds", type=float, default=60.0, help="after which no round begins (60)")
    add(
        "--break-sync",
        metavar="END",
        nargs="?",
        const="",
        help="syncs do nothing (of files whose path ends so): losses must be found",
    )
    add("--keep", action="store_true", help="leave the folder, to look into it")
    mutants = campaigns.add_parser("mutate", help="requests that no app would send")
    mutants.add_argument("--requests", type=int, default=100_000, help="how many (100,000)")
    clusters = campaigns.add_parser("cassandra", help="killed servers, a stopped process")
    clusters.add_argument("--seconds", type=float, default=30.0, help="of load (30)")
    clusters.add_argument("--no-freeze", action="store_true", help="no process is stopped")
    for campaign in (clusters, crashes, mutants):
        campaign.add_argument("--seed", type=int, default=1, help="of all choices (1)")
        campaign.add_argument("--json", action="store_true", help="one document")
        campaign.add_argument("--dir", type=Path, default=_ON_DISK, help="where its folder is made")
    return parser


if __name__ == "__main__":
    sys.exit(main())
