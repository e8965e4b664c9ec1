"""Gives a command an option for every setting, from the table of settings.

So `run` and `config` take the same options, and none can be forgotten in one of them. What the
options say is text; node/settings.py reads it, and names the option in its message when it is bad.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from meshbox.node.setting_table import SETTINGS, Setting

Options = dict[str, Any]


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command(options, config, …)` with the options of all settings and `--config` before its own.

    `options` has the texts by key, None where not given.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[2:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    config = inspect.Parameter("config", keyword, default=None, annotation=_CONFIG)
    parameters = [
        config,
        *(_parameter(setting) for setting in SETTINGS),
        *(parameter.replace(kind=keyword) for parameter in own),
    ]

    @functools.wraps(command)
    def wrapped(*, config: str | None, **given: Any) -> None:
        options = {setting.key: _text(given.pop(setting.key)) for setting in SETTINGS}
        command(options, config, **given)

    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    # Else typer looks at what was wrapped.
    del wrapped.__wrapped__
    return wrapped


_CONFIG = Annotated[
    str | None,
    typer.Option("--config", metavar="PATH", help="A TOML file of settings."),
]


def _parameter(setting: Setting) -> inspect.Parameter:
    shown = setting.meaning
    if setting.default:
        shown += f" [default: {setting.default}]"
    kind: Any = str | None
    if setting.repeatable:
        kind = list[str] | None
    name = setting.option
    option = typer.Option(name, metavar=setting.metavar, help=shown)
    if setting.default in ("on", "off"):
        kind = bool | None
        option = typer.Option(f"{name}/--no-{setting.key}", help=setting.meaning)
    return inspect.Parameter(
        setting.key,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, option],
    )


def _text(given: Any) -> Any:
    """The text, or texts, that an option was given."""
    if isinstance(given, bool):
        return "on" if given else "off"
    return given or None if isinstance(given, list) else given
