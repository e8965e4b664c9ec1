"""`meshbox sweep`: frees now what is due, rather than at the next round."""

from __future__ import annotations

from meshbox.cli.output import print_json, print_lines, size
from meshbox.cli.running_node import WORK_TIMEOUT_S, Admin, DataDir, Json, ask


def sweep(*, data_dir: DataDir = None, admin: Admin = None, json: Json = False) -> None:
    """Drops now what is due.

    A running node does so by itself, every few minutes. Needs the control socket.
    """
    document = ask("POST", "/api/sweep", data_dir=data_dir, admin=admin, timeout_s=WORK_TIMEOUT_S)
    if json:
        print_json(document)
    else:
        lines = [f"{document['blobs']} messages dropped, {size(document['bytes'])}"]
        if document["forgotten_logs"]:
            lines.append(f"{document['forgotten_logs']} empty logs forgotten")
        print_lines(lines)
