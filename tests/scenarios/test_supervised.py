"""A node under a supervisor that starts it again, as systemd and Docker do: nobody has to come.

The supervisor is a shell, with the rules that packaging/meshbox.service states.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.node.processes import RunningNode, start_node
from tests.scenarios.one_phone import AGAIN_S_MAX, Phone
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "meshbox.service"
SUPERVISOR = (
    *("sh", "-c"),
    'while :; do "$@"; status=$?; case $status in 0|2) exit $status; esac; done',
    "supervisor",
)

pytestmark = pytest.mark.timeout(180)


def test_who_starts_it_again() -> None:
    """Any end but a clean one; wrong use is for the operator to mend."""
    unit = UNIT.read_text().splitlines()
    assert {"Restart=on-failure", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0"} <= {
        *unit
    }
    assert "  restart: unless-stopped" in (ROOT / "docker-compose.yml").read_text().splitlines()


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (package systemd)")
    true = shutil.which("true") or ""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/meshbox/bin/meshbox", true))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert unit.name not in checked.stderr
    assert checked.returncode == 0, checked.stderr


def restarted(node: RunningNode, *options: str, prefix: tuple[str, ...] = ()) -> RunningNode:
    """It again, where its peer knows it."""
    sync = ("--sync", str(node.ready["sync"]))
    return start_node(node.data_dir.parent, *sync, *options, prefix=prefix)


async def test_a_restored_backup_goes_on_as_another_node_by_itself(tmp_path: Path) -> None:
    node = start_node(tmp_path / "node")
    peer = start_node(tmp_path / "peer", "--peer", node.peer_address)
    async with aiohttp.ClientSession() as session:
        phone, other = Phone(session, node), Phone(session, peer)
        assert await phone.store() == 201
        assert node.stop() == 0
        shutil.copytree(node.data_dir, tmp_path / "backup")
        phone.node = node = restarted(node)
        assert await phone.store() == 201

        async def is_known() -> bool:
            """The peer has both, and a cursor that says so."""
            (known,) = (await other.status())["peers"]
            return len(await other.read()) == 2 and known["lag"] == 0

        await eventually(is_known, within_s=AGAIN_S_MAX)
        assert node.stop() == 0
        shutil.rmtree(node.data_dir)
        (tmp_path / "backup").rename(node.data_dir)
        restored = restarted(node, "--peer", peer.peer_address, prefix=SUPERVISOR)
        assert restored.node_id == node.node_id
        assert restored.process.stdout is not None
        ready = json.loads(await asyncio.to_thread(restored.process.stdout.readline))
        assert ready["node_id"] != node.node_id
        assert "meshbox: error[identity.lost]: " in restored.log()
        phone.node = RunningNode(restored.process, ready, node.data_dir, node.log_path)

        async def holds_all() -> bool:
            return await phone.read() == phone.acknowledged

        await eventually(holds_all, within_s=AGAIN_S_MAX)
        os.kill(ready["pid"], signal.SIGTERM)
        assert restored.wait() == 0, "a clean end is the end"
    assert peer.stop() == 0
