"""Nodes on a wire that somebody floods with forged announcements: bounded, and still found."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshbox.discovery.discovery import CLONES_TOLD_MAX
from scripts.lines.lab import Lab
from tests.discovery.test_namespaces import IDS, ROOT, Line, Speaker, hosts, speaking
from tests.lab import require_lab

pytestmark = [pytest.mark.usefixtures("_needs_lab"), pytest.mark.xdist_group("floods")]

FLOODER = ROOT / "tests" / "discovery" / "flooder.py"
RATE = 2_000
"""Packets a second: as many as a Raspberry Pi can read, and still speak with others."""
FOUND_S_MAX = 5.0
RSS_BYTES_MAX = 100 * 2**20
BEFORE_S = 1.5
"""How long it is flooded before anybody comes: every bound was reached by then."""


@pytest.fixture(scope="module")
def _needs_lab() -> None:
    require_lab()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(machines=3) as made:
        yield made


def flooding(lab: Lab, kind: str) -> subprocess.Popen[bytes]:
    """A flooder on the third machine, flooding; it lies about the first."""
    argv = [sys.executable, str(FLOODER), kind, f"--rate={RATE}", f"--id={IDS[0]}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = lab.run(lab.machines[2], argv, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"flooding\n"
    return process


def rss_bytes(speaker: Speaker) -> int:
    fields = Path(f"/proc/{speaker.process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(speaker: Speaker) -> float:
    fields = Path(f"/proc/{speaker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_found(line: Line, other: Speaker, address: str) -> bool:
    return (
        line["event"] in ("PeerFound", "PeerChanged")
        and line["peer"]["node_id"] == other.node_id
        and address in hosts(line)
    )


@pytest.mark.parametrize("kind", ["many", "long", "loops", "liar", "rubbish", "questions"])
async def test_a_node_that_comes_in_a_flood_is_found(
    lab: Lab, kind: str, record_property: Callable[[str, object], None]
) -> None:
    addresses = [lab.address(machine) for machine in lab.machines]
    async with speaking(lab, 0) as old:
        flood = flooding(lab, kind)
        begun_s = cpu_s(old)
        with contextlib.suppress(TimeoutError):
            await old.until(lambda _: False, within_s=BEFORE_S)
        async with speaking(lab, 1) as new:
            came = new.lines[-1]["at"]
            found = await old.until(lambda line: is_found(line, new, addresses[1]), within_s=15)
            if kind == "liar":
                # Whom the liar lies about is found where it is as soon as it is let.
                flood.kill()
            await new.until(lambda line: is_found(line, old, addresses[0]), within_s=30)
            record_property("found_s", round(found["at"] - came, 2))
            record_property("rss_mb", round(rss_bytes(old) / 2**20))
            record_property("cpu_s", round(cpu_s(old) - begun_s, 2))
            assert found["at"] - came < FOUND_S_MAX
            assert rss_bytes(old) < RSS_BYTES_MAX
        itself = {
            line["event"]
            for line in old.lines
            if line.get("peer", {}).get("node_id") == old.node_id
        }
        assert itself == ({"CloneSeen"} if kind == "liar" else set())
        assert [line["event"] for line in old.lines].count("CloneSeen") <= CLONES_TOLD_MAX
