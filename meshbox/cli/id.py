"""`meshbox id`: the node id of a data folder; a new folder gets its key and its store."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from meshbox.cli.output import print_json, print_lines
from meshbox.cli.running_node import DataDir, Json, ask
from meshbox.core.errors import NotRunning, StoreLocked

ID_SCHEMA: Final = "meshbox.id/1"

HELD_S_MAX: Final = 5.0
"""Seconds that another process may hold the folder without telling its id: a node that starts."""

_RETRY_S: Final = 0.1


def show(*, data_dir: DataDir = None, json: Json = False) -> None:
    """The node id of a data folder.

    A new folder is made, with its key and its store.
    """
    from meshbox.node.settings import locate_data_dir

    folder = locate_data_dir(data_dir, os.environ)
    node_id = _node_id(folder)
    if json:
        print_json({"schema": ID_SCHEMA, "node_id": node_id, "data_dir": str(folder)})
    else:
        print_lines([node_id])


def _node_id(folder: Path) -> str:
    """From the folder when nobody holds it, else from the node that does."""
    deadline = time.monotonic() + HELD_S_MAX
    while True:
        try:
            return _at_rest(folder)
        except StoreLocked:
            try:
                return str(ask("GET", "/api/peers", data_dir=str(folder), admin=None)["node_id"])
            except NotRunning:
                if time.monotonic() > deadline:
                    raise
        time.sleep(_RETRY_S)


def _at_rest(folder: Path) -> str:
    import asyncio

    from meshbox.node.data_folder import held
    from meshbox.node.opening import node_id_of

    os.umask(0o077)
    with held(folder):
        return asyncio.run(node_id_of(folder))
