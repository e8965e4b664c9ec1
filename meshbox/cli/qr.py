"""`meshbox qr`: a running node's address, for others to type or to scan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from meshbox.cli.output import print_json, print_lines
from meshbox.cli.running_node import Admin, DataDir, Json, ask
from meshbox.core.errors import DataFolderFailed, NotRunning

QR_SCHEMA: Final = "meshbox.qr/1"

_MODULE_PIXELS: Final = 8
"""Pixels of a picture for each square of the code: 300 to 500 in all."""


def show(
    *,
    data_dir: DataDir = None,
    admin: Admin = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes a PNG picture.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes an SVG picture.")] = None,
    json: Json = False,
) -> None:
    """The address of a running node as text and as a QR code.

    Other nodes take it as --peer, also where multicast is blocked.
    """
    address = ask("GET", "/api/status", data_dir=data_dir, admin=admin)["address"]
    if address is None:
        raise NotRunning(
            "the node has no address that another could dial",
            hint="its sync listener is off or on loopback, or there is no network",
        )
    code = _code(address)
    for path in (png, svg):
        if path is not None:
            _save(code, path, kind="png" if path is png else "svg")
    if json:
        print_json({"schema": QR_SCHEMA, "address": address})
        return
    if sys.stdout.isatty():
        code.terminal(compact=True)
    print_lines([address])


def _code(address: str) -> Any:
    import segno

    return segno.make_qr(address, error="m")


def _save(code: Any, path: Path, *, kind: str) -> None:
    try:
        code.save(str(path), kind=kind, scale=_MODULE_PIXELS)
    except OSError as error:
        raise DataFolderFailed(f"cannot write {path}: {error.strerror}") from error
