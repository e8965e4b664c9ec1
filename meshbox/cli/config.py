"""`meshbox config`: the settings in force and where each is from; `config limits`: all limits."""

from __future__ import annotations

import os

import typer

from meshbox.cli.output import columns, print_json, print_lines
from meshbox.cli.running_node import Json
from meshbox.cli.setting_options import Options, takes_settings

CONFIG_SCHEMA = "meshbox.config/1"
LIMITS_SCHEMA = "meshbox.limits/1"

app = typer.Typer(
    help="The settings in force and where each came from, or every limit.",
    rich_markup_mode=None,
    invoke_without_command=True,
)


@app.callback()
@takes_settings
def _show(
    options: Options,
    config: str | None,
    *,
    context: typer.Context,
    json: Json = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from meshbox.node.setting_table import SETTINGS
    from meshbox.node.settings import resolve

    resolved = resolve(options=options, environment=os.environ, config=config)
    rows = []
    for setting in SETTINGS:
        value = getattr(resolved.settings, setting.key)
        is_list = setting.separator is not None
        shown = [setting.show(item) for item in value] if is_list else setting.show(value)
        rows.append((setting.key, shown, resolved.origins[setting.key]))
    if json:
        settings = {
            key: {"value": value, "source": origin.source, "place": origin.place}
            for key, value, origin in rows
        }
        print_json({"schema": CONFIG_SCHEMA, "settings": settings})
    else:
        print_lines(
            columns([(key, _text(value), f"{o.source} {o.place}") for key, value, o in rows])
        )


def _text(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case list():
            return " ".join(value) or "-"
        case _:
            return str(value) or "-"


@app.command("limits")
def _limits(*, json: Json = False) -> None:
    """Every bound on what strangers can make grow: its value, unit and reason."""
    from meshbox.node.limit_table import limits

    table = limits()
    if json:
        rows = [{"name": x.name, "value": x.value, "reason": x.reason} for x in table]
        print_json({"schema": LIMITS_SCHEMA, "limits": rows})
    else:
        print_lines(columns([(x.name, f"{x.value:,}", x.reason) for x in table]))
