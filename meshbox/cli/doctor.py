"""`meshbox doctor`: what usually goes wrong, looked at one by one, and what to do about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import typer

from meshbox.cli.faults import EXIT_FAILED
from meshbox.cli.output import columns, print_json, print_lines
from meshbox.cli.running_node import Json, ask
from meshbox.cli.setting_options import Options, takes_settings
from meshbox.core.errors import NotRunning

if TYPE_CHECKING:
    from pathlib import Path

    from meshbox.node.checkup.check import Check

DOCTOR_SCHEMA: Final = "meshbox.doctor/1"


@takes_settings
def doctor(options: Options, config: str | None, *, json: Json = False) -> None:
    """Checks what usually goes wrong: disk, clock, ports, multicast, firewall.

    With the options of run, also beside a running node. Exit status 1 when something failed.
    """
    import asyncio

    import msgspec

    from meshbox.node.checkup.check import State
    from meshbox.node.checkup.checkup import all_of
    from meshbox.node.settings import resolve

    settings = resolve(options=options, environment=os.environ, config=config).settings
    checks = asyncio.run(all_of(settings, own_pid=_own_pid(settings.data_dir)))
    if json:
        print_json({"schema": DOCTOR_SCHEMA, "checks": msgspec.to_builtins(checks)})
    else:
        print_lines(_lines(checks))
    if any(check.state is State.FAIL for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _own_pid(data_dir: Path) -> int | None:
    """The process of the node that runs on this folder, if one does."""
    try:
        return int(ask("GET", "/api/status", data_dir=str(data_dir), admin=None)["pid"])
    except NotRunning:
        return None


def _lines(checks: list[Check]) -> list[str]:
    rows = []
    for check in checks:
        rows.append((check.state.value, check.name, check.detail))
        if check.hint:
            rows.append(("", "", f"→ {check.hint}"))
    return columns(rows)
