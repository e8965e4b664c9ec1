"""Options, the order of making and ending things, and the exit status."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from scripts.demo_steps import interrupts
from scripts.demo_steps.compose import ComposeMesh
from scripts.demo_steps.faults import DemoFailed, Interrupted
from scripts.demo_steps.island_cassandra import IslandCassandra
from scripts.demo_steps.island_compose import IslandCompose
from scripts.demo_steps.island_namespaces import IslandNamespaces
from scripts.demo_steps.island_processes import IslandProcesses
from scripts.demo_steps.island_story import IslandStory
from scripts.demo_steps.islands import IslandMesh
from scripts.demo_steps.mesh import NAMES, Mesh
from scripts.demo_steps.processes import ProcessMesh
from scripts.demo_steps.story import Story
from scripts.demo_steps.tale import PATIENCE_S, Tale
from scripts.demo_steps.telling import Report
from scripts.lines.lab import unavailable

ROOT: Final = Path(__file__).parents[2]

_PATIENCE_S_MAX: Final = 3_600.0

_DESCRIPTION: Final = """\
Shows what meshbox does: three mailboxes find each other, messages stored at one are read at the
others, one is killed and catches up. Exit status 0 if all of it was seen, 1 if something was not,
2 for wrong use, 130 after Ctrl-C.
"""


def main() -> int:
    """Runs the demo; its exit status."""
    options = _options()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # A terminal need not know every sign.
    report = Report(by=_by(options), as_json=options.json)
    interrupts.listen()
    folder: Path | None = None
    mesh: Mesh | None = None
    status = 1
    try:
        try:
            with interrupts.held_off():
                folder = Path(tempfile.mkdtemp(prefix="meshbox-demo-"))
                mesh, tale = _stage(options, folder, report)
            tale.tell()
            status = 0
        finally:
            interrupts.ignore()
    except DemoFailed as failed:
        report.failed(failed)
    except Interrupted as interrupted:
        report.failed(interrupted)
        status = interrupted.exit_status
    finally:
        _clean_up(folder, mesh, report, keep=options.keep)
    report.finish()
    return status


def _by(options: argparse.Namespace) -> str:
    """How the nodes are run."""
    if options.docker:
        return "docker"
    on_loopback = options.relays or options.cassandra or not options.islands
    in_namespaces = not on_loopback and unavailable() is None
    return "namespaces" if in_namespaces else "processes"


def _stage(options: argparse.Namespace, folder: Path, report: Report) -> tuple[Mesh, Tale]:
    """The nodes, not started yet, and the story that is told with them."""
    patience_s = options.patience
    if options.islands:
        islands = _islands(options, folder, report)
        return islands, IslandStory(islands, report, patience_s=patience_s)
    mesh: Mesh = (
        ComposeMesh(ROOT, folder, blocked=options.block_sync)
        if options.docker
        else ProcessMesh(folder, blocked=options.block_sync)
    )
    return mesh, Story(mesh, report, patience_s=patience_s)


def _islands(options: argparse.Namespace, folder: Path, report: Report) -> IslandMesh:
    match report.by:
        case "docker":
            return IslandCompose(ROOT, folder)
        case "namespaces":
            return IslandNamespaces(folder)
    if options.cassandra:
        return IslandCassandra(folder)
    if not options.relays:
        report.note(f"No network namespaces here ({unavailable()}): lines are relays on loopback.")
    return IslandProcesses(folder)


def _clean_up(folder: Path | None, mesh: Mesh | None, report: Report, *, keep: bool) -> None:
    if mesh is None or folder is None:
        return
    failure = report.failure
    if failure is not None and failure.node is not None:
        failure.log = mesh.log(failure.node)
    mesh.end()
    if keep:
        report.note(f"What the nodes left is in {folder}.")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        report.note(mesh.remains)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=_DESCRIPTION)
    parser.add_argument(
        "--islands",
        action="store_true",
        help="two islands and a mailbox on the internet, which goes and returns, instead",
    )
    parser.add_argument(
        "--relays",
        action="store_true",
        help="islands on loopback, also where network namespaces may be made",
    )
    parser.add_argument(
        "--cassandra",
        action="store_true",
        help="islands on loopback; the mailbox on the internet keeps its messages in a Cassandra",
    )
    parser.add_argument("--docker", action="store_true", help="containers instead of processes")
    parser.add_argument("--json", action="store_true", help="one JSON document at the end")
    parser.add_argument("--keep", action="store_true", help="leave the nodes' folders and logs")
    parser.add_argument(
        "--block-sync",
        metavar="NAME",
        choices=NAMES,
        help="start this node (north, east, south) with its sync cut off, to see the demo fail",
    )
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=_seconds,
        default=PATIENCE_S,
        help=f"how long each wait for sync may take [default: {PATIENCE_S:g}]",
    )
    options = parser.parse_args()
    if options.islands and options.block_sync:
        parser.error("--block-sync is for the three of the other story")
    if options.relays and (options.docker or not options.islands):
        parser.error("--relays is for --islands by processes")
    if options.cassandra and (options.docker or not options.islands):
        parser.error("--cassandra is for --islands by processes")
    if options.docker and options.keep:
        parser.error("--keep is for processes: containers leave no folder here")
    return options


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _PATIENCE_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to an hour")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
