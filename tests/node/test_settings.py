"""Where settings come from, which source wins, and how a bad one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.core.errors import InvalidSetting
from meshbox.node.settings import Origin, locate_data_dir, resolve

NODE_ID = "A" * 43


def config(folder: Path, text: str) -> str:
    path = folder / "meshbox.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_sources_all_is_default() -> None:
    resolved = resolve(options={}, environment={})
    assert set(resolved.origins.values()) == {Origin("default", "")}
    assert str(resolved.settings.http) == "[::]:3000"
    assert str(resolved.settings.admin) == "127.0.0.1:3002"
    assert resolved.settings.generations == ("messages", "blobs", "blips")
    assert resolved.settings.peer == ()


def test_the_later_source_wins(tmp_path: Path) -> None:
    path = config(tmp_path, 'http = "off"\nsync = "off"\nhttps = "off"\n')
    environment = {"MESHBOX_SYNC": "10.0.0.1:1", "MESHBOX_HTTPS": "10.0.0.1:2"}
    options = {"https": "10.0.0.1:3", "mesh": None}
    resolved = resolve(options=options, environment=environment, config=path)
    settings = resolved.settings
    assert (settings.http, str(settings.sync), str(settings.https)) == (
        None,
        "10.0.0.1:1",
        "10.0.0.1:3",
    )
    assert {key: resolved.origins[key] for key in ("http", "sync", "https", "mesh")} == {
        "http": Origin("file", path),
        "sync": Origin("environment", "MESHBOX_SYNC"),
        "https": Origin("option", "--https"),
        "mesh": Origin("default", ""),
    }


def test_a_list_replaces_the_list_of_an_earlier_source(tmp_path: Path) -> None:
    path = config(tmp_path, 'interface = ["eth0", "eth1"]')
    assert resolve(options={}, environment={}, config=path).settings.interface == ("eth0", "eth1")
    resolved = resolve(options={"interface": ["wlan0"]}, environment={}, config=path)
    assert resolved.settings.interface == ("wlan0",)


def test_lists_in_variables() -> None:
    peers = f"meshbox://{NODE_ID}@a:1,b:1  meshbox://{NODE_ID}@c:1"
    environment = {"MESHBOX_PEER": peers, "MESHBOX_GENERATIONS": "blobs, blips"}
    settings = resolve(options={}, environment=environment).settings
    assert [len(peer.endpoints) for peer in settings.peer] == [2, 1]
    assert settings.generations == ("blobs", "blips")


def test_toml_values_have_their_own_types(tmp_path: Path) -> None:
    path = config(tmp_path, 'mdns = false\nstorage_limit = 50000000\ngenerations = ["blips"]')
    settings = resolve(options={}, environment={}, config=path).settings
    assert (settings.mdns, settings.storage_limit, settings.generations) == (
        False,
        50_000_000,
        ("blips",),
    )


def test_an_empty_variable_is_unset() -> None:
    assert resolve(options={}, environment={"MESHBOX_HTTP": ""}).settings.http is not None


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    path = config(tmp_path, 'ids = "hex64"')
    assert resolve(options={}, environment={"MESHBOX_CONFIG": path}).settings.ids == "hex64"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('htpp = "off"', r"unknown key 'htpp' \(did you mean 'http'\?\)"),
        ('zzz = "off"', r"unknown key 'zzz' \(known keys: data_dir, "),
        ('http = "3000"', r"meshbox.toml: http: '3000' has no port"),
        ("retention = 7.5", r"meshbox.toml: retention: a text"),
        ("http = [1]", r"meshbox.toml: http: a text"),
        ('http = ["off"]', r"meshbox.toml: http: one value"),
        ("generations = []", r"meshbox.toml: generations: at least one"),
        ("http = \n", r"is not TOML: .*line 1"),
    ],
)
def test_a_bad_file_is_told_with_its_key(tmp_path: Path, toml: str, message: str) -> None:
    path = config(tmp_path, toml)
    with pytest.raises(InvalidSetting) as caught:
        resolve(options={}, environment={}, config=path)
    assert caught.match(message)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ({"retention": "9d"}, {}, "^--retention: retention is"),
        ({}, {"MESHBOX_RETENTION": "9d"}, "^MESHBOX_RETENTION: retention is"),
        ({"peer": ["nonsense"]}, {}, "^--peer: 'nonsense' does not begin"),
        ({"internet": ["https://x/y"]}, {}, "^--internet: 'https://x/y' is not the address"),
        ({"internet": [f"https://{n}.example" for n in range(17)]}, {}, "^--internet: at most 16"),
        ({"store": "cassandra"}, {}, "^--store: 'cassandra' is no store"),
        (
            {"store": "cassandra://db/mail", "storage_limit": "1GB"},
            {},
            "^--storage-limit: a Cassandra has no limit here",
        ),
        ({"cassandra_user": "m"}, {}, "^--cassandra-user: cassandra_user and cassandra_password"),
        ({"http": "off", "advertise": "10.0.0.1:80"}, {}, "^--advertise: there is nothing"),
        ({"advertise": "example.org:80"}, {}, "^--advertise: 'example.org' cannot be announced"),
        ({}, {"MESHBOX_CONFIG": "/no/such.toml"}, "^MESHBOX_CONFIG: cannot read /no/such.toml"),
    ],
)
def test_a_bad_value_is_told_with_its_place(
    options: dict[str, str | list[str]], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidSetting, match=message):
        resolve(options=options, environment=environment)


def test_a_name_may_be_advertised_where_there_is_no_mdns() -> None:
    options = {"advertise": "example.org:80", "mdns": "off"}
    assert str(resolve(options=options, environment={}).settings.advertise) == "example.org:80"


def test_variables_that_are_no_settings_are_listed() -> None:
    environment = {
        "MESHBOX_HTPP": "off",
        "MESHBOX_CONFIG": "",
        "MESHBOX_TEST_CLOCK": "x",
        "MESHBOX_TRACEBACK": "1",
        "MESHBOX_IDS": "any",
        "PATH": "/bin",
    }
    assert resolve(options={}, environment=environment).unknown_variables == ("MESHBOX_HTPP",)


def test_the_data_folder_is_found_whatever_the_other_settings_say(tmp_path: Path) -> None:
    path = config(tmp_path, 'data_dir = "/of/the/file"\nretention = "9d"')
    environment = {"MESHBOX_CONFIG": path}
    assert locate_data_dir(None, environment) == Path("/of/the/file")
    assert locate_data_dir("/given", environment) == Path("/given")
    environment["MESHBOX_DATA_DIR"] = "/of/the/variable"
    assert locate_data_dir(None, environment) == Path("/of/the/variable")
