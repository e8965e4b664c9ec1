"""`meshbox run`: runs a node until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from meshbox.cli.setting_options import Options, takes_settings


@takes_settings
def run(options: Options, config: str | None) -> None:
    """Runs a node until it is told to stop.

    One line of JSON on standard output tells when it is ready, and where.
    """
    # Loading takes half a second, in which there is nothing to end yet.
    signal.signal(signal.SIGTERM, _end)
    from meshbox.node.running import run_node
    from meshbox.node.settings import resolve

    resolved = resolve(options=options, environment=os.environ, config=config)
    raise typer.Exit(run_node(resolved))


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
