"""Whether this machine's own firewall takes mDNS (UDP port 5353) from its neighbours.

The rules are followed as far as they are plain: one that asks for more than protocol, port and
group (an interface, a state, a mark) may or may not concern a packet, and is passed over.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from meshbox.node.checkup.check import Check, State

_COMMAND_S_MAX: Final = 5
_DEPTH_MAX: Final = 16
_PORT: Final = 5353
_PLAIN: Final = frozenset({"-p", "-m", "-d", "--dport", "--dports", "-j", "--comment", "-g"})
_GROUPS: Final = frozenset({"224.0.0.251", "224.0.0.251/32", "224.0.0.0/4", "ff02::fb/128"})
_HINT: Final = (
    "let UDP port 5353 in, such as: ufw allow 5353/udp, or firewall-cmd --add-service=mdns"
)

Chains = Mapping[str, Sequence[Sequence[str]]]


class Verdict(Enum):
    """What becomes of a neighbour's mDNS."""

    TAKEN = "taken"
    EATEN = "eaten"


def check_firewall() -> Check:
    """From the rules of iptables or nftables, which only root may read."""
    if os.geteuid() != 0:
        return Check("firewall", State.UNKNOWN, "cannot tell: only root may read the rules")
    saved, ruleset = _output("iptables-save"), _output("nft", "list", "ruleset")
    if saved is None and ruleset is None:
        detail = "cannot tell: neither nft nor iptables-save can be asked"
        return Check("firewall", State.UNKNOWN, detail)
    eaten = [
        name
        for name, verdict in (
            ("iptables", read_iptables(saved or "")),
            ("nftables", read_nftables(ruleset or "")),
        )
        if verdict is Verdict.EATEN
    ]
    if eaten:
        detail = f"{' and '.join(eaten)} drop mDNS (UDP port 5353) from neighbours"
        return Check("firewall", State.FAIL, detail, _HINT)
    return Check("firewall", State.OK, "no rule that drops mDNS")


def read_iptables(saved: str) -> Verdict:
    """What the table `filter`, as iptables-save prints it, does to a neighbour's mDNS."""
    table = saved.partition("*filter")[2].partition("COMMIT")[0]
    policy = re.search(r"^:INPUT (\w+)", table, re.MULTILINE)
    chains: dict[str, list[list[str]]] = {}
    for line in table.splitlines():
        if line.startswith("-A "):
            _, chain, *rule = shlex.split(line)
            chains.setdefault(chain, []).append(rule)
    verdict = _follow(chains, "INPUT", _DEPTH_MAX)
    if verdict is None:
        verdict = Verdict.EATEN if policy and policy[1] == "DROP" else Verdict.TAKEN
    return verdict


def _follow(chains: Chains, chain: str, depth: int) -> Verdict | None:
    """The verdict of `chain`; None when it has none."""
    for rule in chains.get(chain, ()):
        if not _concerns_mdns(rule):
            continue
        target = rule[rule.index("-j") + 1] if "-j" in rule else ""
        if target == "ACCEPT":
            return Verdict.TAKEN
        if target in ("DROP", "REJECT"):
            return Verdict.EATEN
        if target == "RETURN":
            return None
        verdict = _follow(chains, target, depth - 1) if depth else None
        if verdict is not None:
            return verdict
    return None


def _concerns_mdns(rule: Sequence[str]) -> bool:
    """Whether a rule is met by every packet of mDNS that a neighbour multicasts."""
    own = rule[: rule.index("-j") + 1] if "-j" in rule else rule
    options = dict(zip(own, [*own[1:], ""], strict=True))
    if any(word.startswith("-") and word not in _PLAIN for word in own) or "!" in own:
        return False
    if options.get("-p", "udp") not in ("udp", "all"):
        return False
    if options.get("-m", "udp") not in ("udp", "multiport", "comment"):
        return False
    if "-d" in options and options["-d"] not in _GROUPS:
        return False
    ports = options.get("--dport") or options.get("--dports")
    return ports is None or any(map(_includes_mdns, ports.split(",")))


def _includes_mdns(ports: str) -> bool:
    first, _, last = ports.partition(":")
    return int(first or 0) <= _PORT <= int(last or first)


def read_nftables(ruleset: str) -> Verdict:
    """The same of `nft list ruleset`, more roughly: drops by name, or by policy without a word."""
    named = [line for line in ruleset.splitlines() if re.search(r"\b(5353|mdns)\b", line)]
    if any(re.search(r"\b(drop|reject)\b", line) for line in named):
        return Verdict.EATEN
    is_closed = re.search(r"hook input [^;]*;\s*policy drop", ruleset) is not None
    return Verdict.EATEN if is_closed and not named else Verdict.TAKEN


def _output(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, text=True, timeout=_COMMAND_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
