from __future__ import annotations

import pytest

from meshbox.node.checkup.firewall import Verdict, read_iptables, read_nftables

T, E = Verdict.TAKEN, Verdict.EATEN
UFW_LIKE = (
    "-A INPUT -j before",
    "-A before -i lo -j ACCEPT",
    "-A before -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
)


def saved(policy: str, *rules: str) -> str:
    head = "*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\n*filter\n"
    return f"{head}:INPUT {policy} [0:0]\n:before - [0:0]\n" + "\n".join(rules) + "\nCOMMIT\n"


@pytest.mark.parametrize(
    ("policy", "rules", "verdict"),
    [
        ("ACCEPT", (), T),
        ("DROP", (), E),
        ("DROP", UFW_LIKE, E),
        (
            "DROP",
            (*UFW_LIKE, "-A before -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT"),
            T,
        ),
        ("DROP", (*UFW_LIKE, "-A before -p udp -m multiport --dports 53,5000:6000 -j ACCEPT"), T),
        ("DROP", ("-A INPUT -p tcp -m tcp --dport 5353 -j ACCEPT",), E),
        ("DROP", ("-A INPUT -p udp -m udp --dport 5354 -j ACCEPT",), E),
        ("DROP", ("-A INPUT -s 10.0.0.0/8 -j ACCEPT",), E),
        ("DROP", ("-A INPUT ! -d 224.0.0.251/32 -j ACCEPT",), E),
        ("DROP", ("-A INPUT -j ACCEPT",), T),
        ("ACCEPT", ("-A INPUT -p udp -m udp --dport 5353 -j DROP",), E),
        ("ACCEPT", ("-A INPUT -j REJECT --reject-with icmp-port-unreachable",), E),
        ("ACCEPT", ("-A INPUT -j before", "-A before -j RETURN", "-A before -j DROP"), T),
        ("ACCEPT", ('-A INPUT -p udp -m comment --comment "drop it" -j DROP',), E),
        ("ACCEPT", ("-A INPUT -j before", "-A before -j before"), T),
    ],
)
def test_iptables(policy: str, rules: tuple[str, ...], verdict: Verdict) -> None:
    assert read_iptables(saved(policy, *rules)) is verdict


def test_no_rules_eat_nothing() -> None:
    assert read_iptables("") is T
    assert read_nftables("") is T


@pytest.mark.parametrize(
    ("policy", "rule", "verdict"),
    [
        ("accept", "", T),
        ("drop", "", E),
        ("drop", "udp dport 5353 accept", T),
        ("drop", "udp dport { mdns, 22 } accept", T),
        ("accept", "udp dport 5353 drop", E),
        ("accept", "udp dport 53530 drop", T),
    ],
)
def test_nftables(policy: str, rule: str, verdict: Verdict) -> None:
    hook = f"type filter hook input priority filter; policy {policy};"
    assert read_nftables(f"table inet f {{\n chain c {{\n  {hook}\n  {rule}\n }}\n}}\n") is verdict
