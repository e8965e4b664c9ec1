"""`meshbox doctor`: beside a real node, against a taken port, and behind a real firewall."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.lines.lab import Lab
from tests.interop.avahi import avahi_on
from tests.node.processes import MESHBOX, RunningNode, clean_environment, meshbox

PORTS_OFF = ("--http", "off", "--https", "off", "--sync", "off", "--admin", "off")
LOOPBACK = ("--interface", "127.0.0.1")


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    assert document["schema"] == "meshbox.doctor/1"
    return {check["name"]: check for check in document["checks"]}


def test_a_program_reads_every_check(tmp_path: Path) -> None:
    told = meshbox("doctor", "--json", "--data-dir", str(tmp_path), *PORTS_OFF, *LOOPBACK)
    checks = by_name(told.document)
    assert set(checks) == {
        *("disk", "clock", "port.http", "port.https", "port.sync", "port.admin"),
        *("interfaces", "mdns-port", "firewall", "multicast.lo", "internet"),
    }
    for check in checks.values():
        assert set(check) == {"name", "state", "detail", "hint"}
        assert check["state"] in ("ok", "warn", "fail", "unknown")
        assert check["hint"] or check["state"] in ("ok", "unknown")
    assert told.status == any(check["state"] == "fail" for check in checks.values())
    assert checks["disk"]["state"] == checks["multicast.lo"]["state"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_the_ports_of_the_node_that_runs_here_are_no_clash(node: RunningNode) -> None:
    ports = ("--http", node.ready["http"], "--sync", node.ready["sync"])
    checks = by_name(node.command("doctor", "--json", "--no-mdns", *PORTS_OFF, *ports).document)
    assert checks["port.http"]["state"] == checks["port.sync"]["state"] == "ok"
    assert "runs here" in checks["port.http"]["detail"]


def test_a_taken_port_fails_and_says_who_has_it_and_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        options = (*PORTS_OFF, "--http", at, "--no-mdns")
        told = meshbox("doctor", "--data-dir", str(tmp_path), *options)
    assert (told.status, told.err) == (1, "")
    lines = told.out.splitlines()
    at_line = next(i for i, line in enumerate(lines) if "port.http " in line)
    assert lines[at_line].startswith("fail")
    assert "(process " in lines[at_line]
    assert lines[at_line + 1].strip().startswith("→ another program has this port")


def doctor_on(lab: Lab, folder: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Its exit status and checks on the first machine of a lab."""
    argv = lab.argv(
        lab.machines[0], [*MESHBOX, "doctor", "--json", "--data-dir", str(folder), *PORTS_OFF]
    )
    done = subprocess.run(argv, capture_output=True, check=False, env=clean_environment())
    return done.returncode, by_name(json.loads(done.stdout))


@pytest.mark.lab
def test_an_avahi_that_shares_the_port_is_named_and_may_stay(tmp_path: Path) -> None:
    with Lab(machines=1) as lab, avahi_on(lab, lab.machines[0], tmp_path):
        status, checks = doctor_on(lab, tmp_path)
    assert (checks["mdns-port"]["state"], checks["multicast.eth0"]["state"]) == ("ok", "ok")
    assert "avahi-daemon (process " in checks["mdns-port"]["detail"]
    assert "may stay" in checks["mdns-port"]["hint"]
    assert status == 0


@pytest.mark.lab
def test_an_avahi_that_keeps_the_port_to_itself_is_found(tmp_path: Path) -> None:
    alone = "disallow-other-stacks=yes"
    with Lab(machines=1) as lab, avahi_on(lab, lab.machines[0], tmp_path, alone):
        status, checks = doctor_on(lab, tmp_path)
    assert checks["multicast.eth0"]["state"] == "fail"
    assert "keep UDP port 5353 to itself" in checks["multicast.eth0"]["hint"]
    assert "avahi-daemon" in checks["mdns-port"]["detail"]
    assert alone in checks["mdns-port"]["hint"]
    assert status == 1


IPTABLES = ("iptables -A INPUT -p udp --dport 5353 -j DROP",)
NFTABLES = (
    "nft add table inet f",
    "nft add chain inet f input { type filter hook input priority 0 ; policy accept ; }",
    "nft add rule inet f input udp dport 5353 drop",
)
NFTABLES_CLOSED = (
    "nft add table inet f",
    "nft add chain inet f input { type filter hook input priority 0 ; policy drop ; }",
    "nft add rule inet f input iif lo accept",
)


@pytest.mark.lab
@pytest.mark.parametrize("rules", [IPTABLES, NFTABLES, NFTABLES_CLOSED])
def test_a_firewall_that_eats_mdns_is_found(tmp_path: Path, rules: tuple[str, ...]) -> None:
    command = rules[0].split()[0]
    if shutil.which(command) is None:
        pytest.skip(f"needs the command {command}")
    with Lab(machines=1) as lab:
        status, checks = doctor_on(lab, tmp_path)
        assert checks["multicast.eth0"]["state"] == checks["firewall"]["state"] == "ok"
        assert status == 0
        for rule in rules:
            subprocess.run(lab.argv(lab.machines[0], rule.split()), check=True)
        status, checks = doctor_on(lab, tmp_path)
    assert checks["multicast.eth0"]["state"] == checks["firewall"]["state"] == "fail"
    assert "5353" in checks["firewall"]["hint"]
    assert status == 1
