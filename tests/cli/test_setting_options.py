"""Each setting is an option of `run` and of `config`, and what is given arrives as text."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from meshbox.cli.setting_options import Options, takes_settings
from meshbox.node.setting_table import SETTINGS


def given(*arguments: str) -> tuple[dict[str, Any], str | None, bool]:
    """What a command gets."""
    taken: list[tuple[dict[str, Any], str | None, bool]] = []

    @takes_settings
    def command(options: Options, config: str | None, more: bool = False) -> None:
        taken.append((options, config, more))

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return taken[0]


def test_nothing_given() -> None:
    options, config, more = given()
    assert options == dict.fromkeys(setting.key for setting in SETTINGS)
    assert (config, more) == (None, False)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_each_setting_has_its_option(setting: Any) -> None:
    if setting.default in ("on", "off"):
        assert given(f"--no-{setting.key}")[0][setting.key] == "off"
        assert given(setting.option)[0][setting.key] == "on"
    elif setting.repeatable:
        assert given(setting.option, "a", setting.option, "b")[0][setting.key] == ["a", "b"]
    else:
        assert given(setting.option, "text")[0][setting.key] == "text"


def test_own_options_and_the_file() -> None:
    _, config, more = given("--config", "a.toml", "--more")
    assert (config, more) == ("a.toml", True)
