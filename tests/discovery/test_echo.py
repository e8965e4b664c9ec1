"""Our own question comes back on a real interface, and does not where nothing may come in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from meshbox.core.errors import DiscoveryFailed
from meshbox.discovery.echo import listen_for_echo
from meshbox.discovery.interfaces import Interface, choose, read_interfaces
from scripts.lines.lab import Lab

LISTENER = """
import asyncio
from meshbox.discovery.echo import listen_for_echo
from meshbox.discovery.interfaces import read_interfaces
(eth0,) = [interface for interface in read_interfaces() if interface.name == "eth0"]
echo = asyncio.run(listen_for_echo(eth0))
print(echo.is_heard, *sorted(echo.neighbours))
"""

ASKER = """
import asyncio
from meshbox.discovery.echo import listen_for_echo
from meshbox.discovery.interfaces import read_interfaces
(eth0,) = [interface for interface in read_interfaces() if interface.name == "eth0"]
async def ask():
    while True:
        await listen_for_echo(eth0)
        print("asked", flush=True)
asyncio.run(ask())
"""


def loopback() -> Interface:
    return choose(read_interfaces(), ["127.0.0.1"])[0]


async def test_it_is_heard_on_loopback() -> None:
    assert (await listen_for_echo(loopback())).is_heard


async def test_an_interface_that_is_not_there_is_a_clear_fault() -> None:
    with pytest.raises(DiscoveryFailed, match="absent"):
        await listen_for_echo(replace(loopback(), name="absent", index=2**30))


@pytest.mark.lab
def test_whoever_speaks_on_the_wire_is_a_neighbour() -> None:
    with Lab(machines=2) as lab:
        here, there = lab.machines

        def start(machine: str, program: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", program]
            return lab.run(machine, argv, stdout=subprocess.PIPE, text=True)

        # The other one asks all the time, and has begun to.
        asking = start(there, ASKER)
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asked\n"
        heard = start(here, LISTENER)
        assert heard.stdout is not None
        assert heard.stdout.read().split() == ["True", lab.address(there)]
