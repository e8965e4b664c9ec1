"""The command `meshbox`: which commands there are, and what becomes of their faults.

Each command is a file of its own and imports what it needs when it runs, because `meshbox --help`
and `meshbox status` (a container's health check) must be quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from meshbox.cli import (
    anchor,
    config,
    doctor,
    find,
    id,  # noqa: A004
    inventory,
    peers,
    qr,
    run,
    status,
    store,
    sweep,
)
from meshbox.cli.faults import EXIT_FAILED, EXIT_WRONG_USE, report
from meshbox.core.errors import WrongUse
from meshbox.node.release import VERSION

# Without markup typer does not load rich, which takes as long as everything else.
app = typer.Typer(
    name="meshbox",
    help="A mailbox for the apps of this network, equal with every other mailbox that it reaches.",
    rich_markup_mode=None,
    add_completion=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("run")(run.run)
app.command("id")(id.show)
app.command("anchor")(anchor.show)
app.add_typer(config.app, name="config")
app.command("status")(status.show)
app.command("peers")(peers.show)
app.command("doctor")(doctor.doctor)
app.command("find")(find.find)
app.command("qr")(qr.show)
app.add_typer(store.app, name="store")
app.command("inventory")(inventory.show)
app.command("sweep")(sweep.sweep)


@app.callback()
def _without_command(
    *,
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="The version.")] = False,
) -> None:
    if version:
        typer.echo(f"meshbox {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_WRONG_USE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, by default this process's; the exit status."""
    try:
        status_code = app(arguments, prog_name="meshbox", standalone_mode=False)
    except typer.TyperException as error:
        return report(WrongUse(error.format_message().rstrip(".")))
    except typer.Abort:
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last one who can tell of it
        return report(error)
    return status_code if isinstance(status_code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
