"""`meshbox config`: every setting with its place, and every limit with its reason."""

from __future__ import annotations

from pathlib import Path

from meshbox.node.setting_table import SETTINGS
from tests.node.processes import meshbox


def test_each_setting_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "meshbox.toml"
    file.write_text('mesh = "camp"\ngenerations = ["blips", "blobs"]\nmdns = false')
    finished = meshbox(
        *("config", "--json", "--config", str(file), "--retention", "12h"),
        environment={"MESHBOX_HTTP": "off"},
    )
    assert finished.status == 0, finished
    document = finished.document
    assert document["schema"] == "meshbox.config/1"
    settings = document["settings"]
    assert list(settings) == [setting.key for setting in SETTINGS]
    assert settings["mesh"] == {"value": "camp", "source": "file", "place": str(file)}
    assert settings["http"] == {
        "value": "off",
        "source": "environment",
        "place": "MESHBOX_HTTP",
    }
    assert settings["retention"] == {"value": "12h", "source": "option", "place": "--retention"}
    assert settings["sync"] == {"value": "[::]:3001", "source": "default", "place": ""}
    assert settings["generations"]["value"] == ["blips", "blobs"]
    assert settings["mdns"]["value"] is False


def test_for_people() -> None:
    lines = meshbox("config", "--no-mdns").out.splitlines()
    assert len(lines) == len(SETTINGS)
    assert ["mdns", "off", "option", "--mdns"] in [line.split() for line in lines]


def test_a_bad_setting_is_told() -> None:
    finished = meshbox("config", "--retention", "1s")
    assert finished.status == 2
    assert finished.err.startswith("meshbox: error[setting.invalid]: --retention: ")


def test_limits() -> None:
    document = meshbox("config", "limits", "--json").document
    assert document["schema"] == "meshbox.limits/1"
    limits = {limit["name"]: limit for limit in document["limits"]}
    assert limits["BODY_BYTES_MAX"]["value"] == 64 * 1024 * 1024
    assert all(limit["reason"] for limit in limits.values())
    assert "BODY_BYTES_MAX" in meshbox("config", "limits").out
