"""Which settings there are, their defaults, and that docs/settings.md tells of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.node.setting_table import SETTINGS, Setting, default_data_dir
from meshbox.node.settings import Settings

BY_KEY = {setting.key: setting for setting in SETTINGS}
NODE_ID = "A" * 43
DOCS = Path(__file__).parents[2] / "docs/settings.md"


def test_there_is_a_field_for_each_setting() -> None:
    assert Settings.__struct_fields__ == tuple(BY_KEY)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_default_is_taken(setting: Setting) -> None:
    if setting.default:
        assert str(setting.show(BY_KEY[setting.key].parse(setting.default.split(",")[0])))


def test_the_default_folder_follows_the_xdg_specification() -> None:
    parse = BY_KEY["data_dir"].parse
    home = Path.home()
    assert parse(default_data_dir({})) == home / ".local/share/meshbox"
    assert parse(default_data_dir({"XDG_DATA_HOME": "/srv"})) == Path("/srv/meshbox")
    assert parse(default_data_dir({"XDG_DATA_HOME": "srv"})) == home / ".local/share/meshbox"


def test_the_manual_has_each_setting_with_its_default() -> None:
    manual = DOCS.read_text(encoding="utf-8")
    rows = [line for line in manual.splitlines() if line.startswith("| `")]
    listed = [row.split("`")[1] for row in rows]
    assert listed == list(BY_KEY)
    for setting, row in zip(SETTINGS, rows, strict=True):
        assert not setting.default or f"`{setting.default}`" in row, row
        assert setting.meaning in row, row
