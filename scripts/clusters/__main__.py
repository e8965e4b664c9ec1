"""The command line of `scripts/cassandra`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from scripts.clusters.artifacts import CASSANDRA_VERSION, FOLDER
from scripts.clusters.cluster import NODES_MAX, Cluster
from scripts.clusters.configuration import CQL_PORT, check_network
from scripts.clusters.faults import ClusterFailed

SCHEMA: Final = "meshbox.cassandra/1"
_DOWN: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Does one thing; exit status 0 when all servers are as asked (`status`: when all run)."""
    chosen = _parser().parse_args(arguments)
    cluster = Cluster(chosen.folder)
    began_s = time.monotonic()
    try:
        if chosen.command == "up":
            cluster.up(nodes=chosen.nodes, network=chosen.network, authenticate=chosen.authenticate)
        elif chosen.command == "down":
            cluster.down()
            if chosen.wipe:
                cluster.wipe()
    except ClusterFailed as error:
        sys.stderr.write(f"scripts/cassandra: {error}\n")
        return 1
    document = _document(cluster, seconds=time.monotonic() - began_s)
    if chosen.json:
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        _tell(document)
    all_up = bool(document["servers"]) and all(s["ready"] for s in document["servers"])
    return 0 if all_up or chosen.command == "down" else _DOWN


def _document(cluster: Cluster, *, seconds: float) -> dict[str, Any]:
    states = cluster.states()
    return {
        "schema": SCHEMA,
        "version": CASSANDRA_VERSION,
        "folder": str(cluster.folder),
        "contact_points": [f"{state.address}:{CQL_PORT}" for state in states if state.ready],
        "servers": [state._asdict() for state in states],
        "seconds": round(seconds, 1),
    }


def _tell(document: dict[str, Any]) -> None:
    for server in document["servers"]:
        if server["pid"] is None:
            how = "does not run"
        else:
            how = f"process {server['pid']}, " + ("ready" if server["ready"] else "not ready")
        sys.stdout.write(f"{server['address']}:{CQL_PORT}  {how}\n")
    if not document["servers"]:
        sys.stdout.write("no cluster: scripts/cassandra up\n")


def _network(text: str) -> str:
    try:
        return check_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/cassandra",
        description="A real Cassandra on loopback, for development and tests",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="up|down|status")
    up = commands.add_parser("up", help="starts it, and waits until it takes clients")
    up.add_argument("--nodes", type=int, choices=range(1, NODES_MAX + 1), default=1)
    up.add_argument(
        "--network", type=_network, default="127.0.0", help="loopback network (127.0.0)"
    )
    up.add_argument(
        "--authenticate",
        action="store_true",
        help="clients log in (cassandra, cassandra), may use TLS",
    )
    down = commands.add_parser("down", help="stops it; the data stays")
    down.add_argument("--wipe", action="store_true", help="the data goes, too")
    status = commands.add_parser("status", help="what runs; exit status 1 unless all does")
    for command in (up, down, status):
        command.add_argument("--json", action="store_true", help="one document")
        command.add_argument("--folder", type=Path, default=FOLDER, help="another folder for it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
