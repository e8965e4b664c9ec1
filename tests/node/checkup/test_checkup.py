"""All checks together, each once, for the settings with which a node is to run."""

from __future__ import annotations

from pathlib import Path

from meshbox.node.checkup.check import State
from meshbox.node.checkup.checkup import all_of
from meshbox.node.settings import Settings, resolve


def settings(folder: Path, **options: str) -> Settings:
    off = dict.fromkeys(("http", "https", "sync", "admin"), "off")
    given = {"data_dir": str(folder), **off, **options}
    return resolve(options=given, environment={}, config=None).settings


async def test_without_mdns_the_network_is_not_looked_at(tmp_path: Path) -> None:
    checks = await all_of(settings(tmp_path, mdns="off"), own_pid=None)
    names = [check.name for check in checks]
    assert names == [
        *("disk", "clock", "port.http", "port.https", "port.sync", "port.admin"),
        *("mdns", "internet"),
    ]


async def test_an_interface_that_is_not_there_fails_and_is_not_asked(tmp_path: Path) -> None:
    options = resolve(
        options={"data_dir": str(tmp_path), "interface": ["absent0"]},
        environment={},
        config=None,
    )
    checks = await all_of(options.settings, own_pid=None)
    (interfaces,) = [check for check in checks if check.name == "interfaces"]
    assert interfaces.state is State.FAIL
    assert not any(check.name.startswith("multicast.") for check in checks)
