"""Nodes on a wire of their own: found, moved, cut off, healed, killed, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meshbox.core.ids import NodeId, node_id_of
from scripts.lines.lab import Lab

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
SPEAKER = ROOT / "tests" / "discovery" / "speaker.py"
IDS = [node_id_of(bytes([i]) * 32) for i in range(4)]

Line = dict[str, Any]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(machines=3) as made:
        yield made


class Speaker:
    """A running `speaker.py`, and the lines that it printed."""

    def __init__(self, node_id: NodeId, process: asyncio.subprocess.Process) -> None:
        self.node_id = node_id
        self.process = process
        self.lines: list[Line] = []

    async def until(self, is_it: Callable[[Line], bool], *, within_s: float) -> Line:
        """The first line from now on that is it."""
        async with asyncio.timeout(within_s):
            while True:
                line = await self._next()
                if is_it(line):
                    return line

    async def told(self, event: str, other: Speaker, *, within_s: float) -> Line:
        """The first line from now on that tells `event` of another's node."""
        return await self.until(
            lambda line: line["event"] == event and line["peer"]["node_id"] == other.node_id,
            within_s=within_s,
        )

    async def stop(self) -> float:
        """Stops it cleanly; when it was told to, on its clock."""
        asked = asyncio.get_running_loop().time()
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), 5) == 0
        return asked

    async def _next(self) -> Line:
        assert self.process.stdout is not None
        raw = await self.process.stdout.readline()
        assert raw, f"the process ended: {self.lines}"
        line: Line = json.loads(raw)
        self.lines.append(line)
        return line


@asynccontextmanager
async def speaking(lab: Lab, machine: int, *options: str) -> AsyncIterator[Speaker]:
    """A speaker on a machine, started; killed at the end."""
    node_id = IDS[machine]
    argv = [sys.executable, str(SPEAKER), f"--id={node_id}", *options]
    process = await asyncio.create_subprocess_exec(
        *lab.argv(lab.machines[machine], argv),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    speaker = Speaker(node_id, process)
    try:
        await speaker.until(lambda line: line["event"] == "Started", within_s=20)
        yield speaker
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def meet(first: Speaker, second: Speaker) -> None:
    await first.told("PeerFound", second, within_s=5)
    await second.told("PeerFound", first, within_s=5)


def hosts(line: Line) -> set[str]:
    """Where a line says that a peer is; nowhere if it says nothing of a peer."""
    return {host for host, _ in line.get("peer", {"endpoints": []})["endpoints"]}


async def test_each_finds_the_other_within_two_seconds_and_notices_its_leave(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    async with speaking(lab, 0) as old, speaking(lab, 1) as new:
        started = new.lines[-1]["at"]
        by_new = await new.told("PeerFound", old, within_s=5)
        by_old = await old.told("PeerFound", new, within_s=5)
        asked = await new.stop()
        gone = await old.told("PeerGone", new, within_s=5)
    figures = {
        "joiner finds": by_new["at"] - started,
        "joiner found": by_old["at"] - started,
        "leave noticed": gone["at"] - asked,
    }
    for name, seconds in figures.items():
        record_property(name, round(seconds, 3))
    assert figures["joiner finds"] < 2
    assert figures["joiner found"] < 2
    assert figures["leave noticed"] < 1


async def test_mailboxes_are_found_too(lab: Lab) -> None:
    async with speaking(lab, 0, "--port=4000") as announcing, speaking(lab, 1) as browsing:
        found = await browsing.until(lambda line: line["event"] == "MailboxFound", within_s=5)
    assert found["mailbox"]["mailbox_id"] == announcing.node_id
    assert [lab.address(lab.machines[0]), 4000] in found["mailbox"]["endpoints"]


async def test_meshes_on_one_wire_do_not_meet(lab: Lab) -> None:
    async with (
        speaking(lab, 0, "--mesh=a") as alone,
        speaking(lab, 1, "--mesh=b") as other,
        speaking(lab, 2, "--mesh=b") as third,
    ):
        await meet(other, third)
        await alone.stop()
        assert alone.process.stdout is not None
        told = [json.loads(line) async for line in alone.process.stdout]
    assert [line["event"] for line in told] == ["Stopped"]


async def test_a_new_address_replaces_the_old_one(lab: Lab) -> None:
    async with speaking(lab, 0) as moving, speaking(lab, 1) as watching:
        await meet(moving, watching)
        lab.ip(lab.machines[0], "addr", "del", "10.77.0.1/16", "dev", "eth0")
        lab.ip(lab.machines[0], "addr", "add", "10.77.9.9/16", "dev", "eth0")
        changed = await watching.until(
            lambda line: "10.77.9.9" in hosts(line) and "10.77.0.1" not in hosts(line), within_s=9
        )
        assert changed["event"] == "PeerChanged"


async def test_a_cut_link_is_noticed_and_heals_at_once(lab: Lab) -> None:
    async with speaking(lab, 0) as cut, speaking(lab, 1) as watching:
        await meet(cut, watching)
        lab.cut(lab.machines[0])
        cut_at = asyncio.get_running_loop().time()
        gone = await watching.told("PeerGone", cut, within_s=15)
        await cut.told("PeerGone", watching, within_s=15)
        lab.heal(lab.machines[0])
        await watching.told("PeerFound", cut, within_s=4)
        await cut.told("PeerFound", watching, within_s=4)
    assert gone["at"] - cut_at < 11


async def test_a_split_wire_that_no_link_notices_heals_too(lab: Lab) -> None:
    async with speaking(lab, 0) as cut, speaking(lab, 1) as watching:
        await meet(cut, watching)
        lab.cut(lab.machines[0], carrier=True)
        await watching.told("PeerGone", cut, within_s=15)
        await cut.told("PeerGone", watching, within_s=15)
        lab.heal(lab.machines[0])
        await watching.told("PeerFound", cut, within_s=15)
        await cut.told("PeerFound", watching, within_s=15)


async def test_an_interface_that_returns_under_another_name_is_heard_and_hears(lab: Lab) -> None:
    async with speaking(lab, 0, "--connected") as moved, speaking(lab, 1, "--connected") as old:
        await meet(moved, old)
        lab.unplug(lab.machines[0])
        lab.plug(lab.machines[0], interface="eth1")
        await moved.until(lambda line: line["event"] == "NetworkChanged", within_s=5)
        async with speaking(lab, 2) as new:
            await moved.told("PeerFound", new, within_s=3)
            await new.told("PeerFound", moved, within_s=3)
            await old.told("PeerFound", new, within_s=3)
        seen = [line["event"] for line in old.lines]
    assert "PeerGone" not in seen


async def test_it_may_start_before_there_is_any_address(lab: Lab) -> None:
    machine = lab.machines[0]
    lab.ip(machine, "link", "set", "eth0", "down")
    async with speaking(lab, 0) as early, speaking(lab, 1) as watching:
        assert early.lines[0]["addresses"] == ["127.0.0.1"]
        lab.ip(machine, "link", "set", "eth0", "up")
        found = await watching.told("PeerFound", early, within_s=4)
        await early.told("PeerFound", watching, within_s=4)
        assert "127.0.0.1" not in hosts(found)


async def test_a_network_without_ipv4_will_do(lab: Lab) -> None:
    for machine in lab.machines[:2]:
        lab.ip(machine, "-4", "addr", "flush", "dev", "eth0")
    async with speaking(lab, 0) as first, speaking(lab, 1) as second:
        found = await first.told("PeerFound", second, within_s=8)
        await second.told("PeerFound", first, within_s=8)
    assert all(host.startswith("fe80::") and "%" in host for host in hosts(found))


async def test_a_killed_node_is_gone_within_ten_seconds_of_silence(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    async with speaking(lab, 0) as killed, speaking(lab, 1) as watching:
        await meet(killed, watching)
        killed.process.kill()
        killed_at = asyncio.get_running_loop().time()
        gone = await watching.told("PeerGone", killed, within_s=15)
    record_property("killed noticed", round(gone["at"] - killed_at, 3))
    assert gone["at"] - killed_at < 11


async def test_a_killed_node_that_returns_at_another_port_has_changed(lab: Lab) -> None:
    async with speaking(lab, 1, "--connected") as watching:
        async with speaking(lab, 0) as killed:
            await watching.told("PeerFound", killed, within_s=5)
        async with speaking(lab, 0, "--port=5000") as again:
            await watching.until(
                lambda line: (
                    [lab.address(lab.machines[0]), 5001]
                    in line.get("peer", {"endpoints": []})["endpoints"]
                ),
                within_s=5,
            )
            await again.told("PeerFound", watching, within_s=5)
    assert "PeerGone" not in [line["event"] for line in watching.lines]
