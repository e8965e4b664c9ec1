"""`meshbox store init`: makes, or migrates, what a store needs before nodes can use it."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from meshbox.cli.output import print_json, print_lines
from meshbox.cli.running_node import Json
from meshbox.cli.setting_options import Options, takes_settings

STORE_SCHEMA: Final = "meshbox.store/1"

app = typer.Typer(
    help="Prepares a Cassandra for nodes.", rich_markup_mode=None, no_args_is_help=True
)


@app.callback()
def _store() -> None:
    """Keeps `init` a command of its own."""


@app.command("init")
@takes_settings
def init(
    options: Options,
    config: str | None,
    *,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored", help="The keyspace came back from a backup: peers are to compare anew."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Makes the keyspace that --store names, and its tables, or migrates them.

    Again does no harm. The replication of a keyspace that is there stays as it is.
    """
    import asyncio

    from meshbox.node.cassandra_access import cassandra_access, cassandra_driver
    from meshbox.node.settings import resolve

    settings = resolve(options=options, environment=os.environ, config=config).settings
    access = cassandra_access(settings)
    with cassandra_driver():
        from meshbox.storage.cassandra.administering import begin_epoch, initialise
        from meshbox.storage.cassandra.schema import VERSION
    asyncio.run(initialise(access, settings.cassandra_replication))
    epoch = asyncio.run(begin_epoch(access)) if restored else None
    if json:
        document = {"schema": STORE_SCHEMA, "store": str(access.address), "version": VERSION}
        print_json(document | {"epoch": None if epoch is None else epoch.number})
    else:
        lines = [f"{access.address} is ready for nodes, with schema {VERSION}"]
        if epoch is not None:
            lines.append(f"epoch {epoch.number} begins: no cursor of before is honoured")
        print_lines(lines)
