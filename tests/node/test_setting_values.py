"""What each setting takes, and what it refuses."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.address import Endpoint
from meshbox.core.errors import CallerError, InvalidSetting
from meshbox.core.internet import WebAddress
from meshbox.node.setting_table import SETTINGS
from meshbox.storage.cassandra.address import ClusterAddress

BY_KEY = {setting.key: setting for setting in SETTINGS}
NODE_ID = "A" * 43


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("http", "127.0.0.1:0", Endpoint("127.0.0.1", 0)),
        ("http", "off", None),
        ("sync", "[::]:3001", Endpoint("::", 3001)),
        ("admin", "[::1]:1", Endpoint("::1", 1)),
        ("admin", "localhost:1", Endpoint("localhost", 1)),
        ("interface", "wlan0", "wlan0"),
        ("mdns", "off", False),
        ("mdns", "Yes", True),
        ("mesh", "camp-2", "camp-2"),
        ("advertise", "10.0.0.1:80", Endpoint("10.0.0.1", 80)),
        ("internet", "https://a.example", WebAddress("https", Endpoint("a.example", 443))),
        ("internet", "http://[::1]:8080/", WebAddress("http", Endpoint("::1", 8080))),
        ("https_certificate", "/etc/chain.pem", Path("/etc/chain.pem")),
        ("https_key", "none", None),
        ("trusted_proxy", "10.0.0.0/8", ip_network("10.0.0.0/8")),
        ("trusted_proxy", "fd00::1", ip_network("fd00::1/128")),
        ("drain", "30s", 30_000),
        ("store", "rocksdb", None),
        ("store", "cassandra://db/mail", ClusterAddress((("db", 9042),), "mail")),
        ("cassandra_datacenter", "dc-1", "dc-1"),
        ("cassandra_replication", "dc1:3,dc2:2", {"dc1": 3, "dc2": 2}),
        ("cassandra_user", "meshbox", "meshbox"),
        ("cassandra_user", "none", None),
        ("cassandra_password_file", "/run/secrets/db", Path("/run/secrets/db")),
        ("cassandra_ca", "/etc/ca.pem", Path("/etc/ca.pem")),
        ("cassandra_trust_clock", "on", True),
        ("retention", "6d12h", 561_600_000),
        ("storage_limit", "10GB", 10**10),
        ("storage_limit", "none", None),
        ("ids", "hex64", "hex64"),
        ("generations", "blips", "blips"),
        ("log_format", "json", "json"),
    ],
)
def test_takes(key: str, text: str, value: Any) -> None:
    setting = BY_KEY[key]
    assert setting.parse(text) == value
    shown = setting.show(value)
    assert setting.parse(str(shown)) == value


@pytest.mark.parametrize("key", ["peer", "internet"])
def test_takes_a_peer(key: str) -> None:
    text = f"meshbox://{NODE_ID}@10.0.0.1:3001,10.0.0.2:3001"
    assert str(BY_KEY[key].parse(text)) == text


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("http", "3000", "no port"),
        ("http", "127.0.0.1:99999", "not a port"),
        ("admin", "0.0.0.0:3002", "not a loopback address"),
        ("admin", "example.org:3002", "not a loopback address"),
        ("interface", "no such thing!", "neither an interface's name"),
        ("mdns", "maybe", "neither on nor off"),
        ("mesh", "Camp", "lower-case"),
        ("advertise", "0.0.0.0:80", "every address"),
        ("peer", "10.0.0.1:3001", "does not begin with"),
        ("peer", "meshbox://short@10.0.0.1:3001", "not a node id"),
        ("internet", "http://mailbox.example", "only https"),
        ("internet", "ftp://mailbox.example", "not the address of a mailbox"),
        ("internet", "https://mailbox.example:port", "not a port"),
        ("store", "cassandra", "is no store"),
        ("store", "cassandra://db", "names no keyspace"),
        ("cassandra_datacenter", "a'b", "cannot be the name"),
        ("cassandra_replication", "many", "is no replication"),
        ("trusted_proxy", "10.0.0.1/8", "no address or network"),
        ("trusted_proxy", "proxy.example", "no address or network"),
        ("drain", "1h", "at most 5m"),
        ("store", "sqlite", "is no store"),
        ("retention", "8d", "retention is"),
        ("retention", "1h", "retention is"),
        ("retention", "a week", "not a duration"),
        ("storage_limit", "0", "no room"),
        ("ids", "hex", "none of any"),
        ("generations", "blops", "none of messages"),
        ("log_format", "xml", "none of text"),
        ("data_dir", "~nobody-of-that-name/x", "home"),
        ("data_dir", "", "not a path"),
    ],
)
def test_refuses(key: str, text: str, why: str) -> None:
    with pytest.raises(CallerError, match=why):
        BY_KEY[key].parse(text)


def test_a_relative_folder_is_below_the_present_one() -> None:
    assert BY_KEY["data_dir"].parse("here") == Path.cwd() / "here"


def test_storage_limits_never_start_with_a_wrong_unit() -> None:
    with pytest.raises(InvalidSetting, match="not a size"):
        BY_KEY["storage_limit"].parse("10 gigabytes")
