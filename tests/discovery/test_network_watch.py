from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from meshbox.discovery import network_watch
from meshbox.discovery.network_watch import watch_network
from scripts.lines.lab import Lab

WATCHER = """
import asyncio
from meshbox.discovery import network_watch
network_watch.LOOK_INTERVAL_S = 3600.0
async def look():
    print("look", flush=True)
async def main():
    watching = asyncio.ensure_future(network_watch.watch_network(look))
    await asyncio.sleep(0)
    print("watching", flush=True)
    await watching
asyncio.run(main())
"""


async def test_it_looks_now_and_then_without_any_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_watch, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr(network_watch, "_open_netlink", lambda: None)
    looks = asyncio.Semaphore(0)

    async def look() -> None:
        looks.release()

    watching = asyncio.ensure_future(watch_network(look))
    async with asyncio.timeout(5):
        for _ in range(3):
            await looks.acquire()
    watching.cancel()


async def test_a_burst_of_news_makes_one_look_and_later_news_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, netlink = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    netlink.setblocking(False)
    monkeypatch.setattr(network_watch, "LOOK_INTERVAL_S", 3600.0)
    monkeypatch.setattr(network_watch, "DEBOUNCE_S", 0.05)
    monkeypatch.setattr(network_watch, "_open_netlink", lambda: netlink)
    looked = asyncio.Event()
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        looked.set()

    watching = asyncio.ensure_future(watch_network(look))
    with kernel:
        for expected in (1, 2):
            for _ in range(10):
                kernel.send(b"news")
            await asyncio.wait_for(looked.wait(), 5)
            looked.clear()
            assert looks == expected
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert netlink.fileno() == -1


@pytest.mark.parametrize("turns", range(8))
async def test_it_ends_when_told_so_in_any_turn_after_news(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`asyncio.wait_for` of Python 3.11 swallowed it in one of them: a stop waited for ever."""
    kernel, netlink = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    netlink.setblocking(False)
    monkeypatch.setattr(network_watch, "LOOK_INTERVAL_S", 3600.0)
    monkeypatch.setattr(network_watch, "_open_netlink", lambda: netlink)

    async def look() -> None:
        """Not reached: it is told to end before half a second has passed."""

    watching = asyncio.ensure_future(watch_network(look))
    with kernel:
        await asyncio.sleep(0)  # It watches.
        kernel.send(b"news")
        for _ in range(turns):
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching], timeout=5)
        assert watching.cancelled()


@pytest.mark.lab
def test_the_kernel_tells_of_addresses_and_links() -> None:
    with Lab(machines=1) as lab:
        machine = lab.machines[0]
        watcher = lab.run(
            machine, [sys.executable, "-c", WATCHER], stdout=subprocess.PIPE, text=True
        )
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "watching\n"
        lab.ip(machine, "addr", "add", "10.78.0.1/16", "dev", "eth0")
        assert watcher.stdout.readline() == "look\n"
        lab.cut(machine)
        assert watcher.stdout.readline() == "look\n"
