"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from scripts.benchmarks.baseline import WRITES
from scripts.benchmarks.cassandra_deposits import cassandra_deposits
from scripts.benchmarks.catchup import catchup
from scripts.benchmarks.crowd import crowd
from scripts.benchmarks.deposits import deposits, deposits_batch
from scripts.benchmarks.evict import evict
from scripts.benchmarks.expire import expire
from scripts.benchmarks.faults import BenchFailed
from scripts.benchmarks.idle import idle
from scripts.benchmarks.internet_return import internet_return
from scripts.benchmarks.loop import run
from scripts.benchmarks.machine import describe, is_in_memory
from scripts.benchmarks.mesh import mesh
from scripts.benchmarks.mixed import mixed
from scripts.benchmarks.open_store import open_store
from scripts.benchmarks.options import Options
from scripts.benchmarks.poll_idle import poll_idle
from scripts.benchmarks.propagation import propagation
from scripts.benchmarks.requests import DIALECTS
from scripts.benchmarks.rows import Figures, Row, show
from scripts.benchmarks.strangers import strangers

BENCHMARKS: Final[dict[str, Callable[[Options], Awaitable[Figures]]]] = {
    "deposits": deposits,
    "deposits-batch": deposits_batch,
    "cassandra-deposits": cassandra_deposits,
    "poll-idle": poll_idle,
    "mixed": mixed,
    "propagation": propagation,
    "catchup": catchup,
    "mesh": mesh,
    "internet-return": internet_return,
    "strangers": strangers,
    "open": open_store,
    "expire": expire,
    "evict": evict,
    "idle": idle,
    "crowd": crowd,
}

_ON_DISK: Final = Path("/var/tmp")  # noqa: S108 - kept on disk where /tmp is in memory
_FAILED: Final = 1
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks that are named, the others when one fails; the exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    folder = chosen.dir or _folder_on_disk()
    if chosen.dir is None and is_in_memory(folder):
        parser.error(f"{folder} is in memory, where durable costs nothing: name a --dir on a disk")
    options = Options(
        folder=folder,
        runs=chosen.runs,
        seconds=chosen.seconds,
        blobs=chosen.blobs,
        nodes=chosen.nodes,
        backlog=chosen.backlog,
        dialect=chosen.dialect,
        baseline=chosen.baseline,
        seed=chosen.seed,
    )
    # So that what ends children and removes folders runs for SIGTERM as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    rows: list[Row] = []
    status = 0
    for name in chosen.names:
        try:
            rows += _measure(name, options)
        except BenchFailed as error:
            sys.stderr.write(f"scripts/bench: {name}: {error}\n")
            status = _FAILED
        except KeyboardInterrupt:
            return _INTERRUPTED
    _tell(rows, as_json=chosen.json)
    return status


def _tell(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(rows)).decode() + "\n")
    elif rows:
        console = Console(width=None if sys.stdout.isatty() else 140)
        show(rows, console)
        console.print(msgspec.json.encode(rows[-1].machine).decode(), soft_wrap=True)


def _measure(name: str, options: Options) -> list[Row]:
    machine = describe(options.folder)

    async def measure() -> Figures:
        return await BENCHMARKS[name](options)

    return run(measure()).rows(machine)


def _folder_on_disk() -> Path:
    return _ON_DISK if _ON_DISK.is_dir() else Path(tempfile.gettempdir())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures real nodes on loopback; docs/measuring.md says what and how.",
    )
    add = parser.add_argument
    add("names", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    add("--json", action="store_true", help="rows as JSON")
    add("--runs", type=_positive, default=3, help="how often each is measured (3)")
    add("--dir", type=Path, help="a folder on a disk, for the nodes (/var/tmp)")
    add("--seconds", type=float, help="of each measured stretch")
    add(
        "--blobs",
        type=_positive,
        help="how many are stored: poll-idle, mixed, catchup, mesh, internet-return, open",
    )
    add("--nodes", type=_positive, help="of propagation (2), mesh (10), crowd (1000)")
    add("--backlog", type=int, default=0, help="blobs to catch up on meanwhile: propagation (0)")
    add("--dialect", choices=list(DIALECTS), default="blips", help="the API generation (blips)")
    add("--baseline", choices=list(WRITES), default="rocksdb", help="of deposits (rocksdb)")
    add("--seed", type=int, default=1, help="of contents and choices (1)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
