from __future__ import annotations

from meshbox.core.reachability import Family
from meshbox.discovery.echo import Echo
from meshbox.discovery.interfaces import Interface
from meshbox.node.checkup.check import State
from meshbox.node.checkup.holders import Holder
from meshbox.node.checkup.network import _judged, _shared, check_interfaces, check_internet

ETH = Interface(name="eth0", index=2, addresses=("10.0.0.1",))
CUT = Interface(name="wlan0", index=3, addresses=("10.1.0.1",), is_running=False)
LO = Interface(name="lo", index=1, addresses=("127.0.0.1",), is_loopback=True)


def test_interfaces() -> None:
    assert check_interfaces([ETH], []).state is State.OK
    assert check_interfaces([ETH, CUT], []).state is State.WARN
    assert check_interfaces([LO], []).state is State.WARN
    assert check_interfaces([], []).state is State.FAIL
    absent = check_interfaces([], ["eth7"])
    assert absent.state is State.FAIL
    assert "eth7" in absent.detail


def test_what_an_echo_means() -> None:
    silent = _judged("multicast.eth0", Echo(is_heard=False, neighbours=frozenset()))
    alone = _judged("multicast.eth0", Echo(is_heard=True, neighbours=frozenset()))
    met = _judged("multicast.eth0", Echo(is_heard=True, neighbours=frozenset({"10.0.0.2"})))
    assert [silent.state, alone.state, met.state] == [State.FAIL, State.OK, State.OK]
    assert "isolation" in str(alone.hint)
    assert met.hint is None


def test_who_shares_the_port_is_named_and_avahi_gets_advice() -> None:
    assert "no other program" in _shared([]).detail
    other, avahi = _shared([Holder(7, "other")]), _shared([Holder(8, "avahi-daemon")])
    assert "other (process 7)" in other.detail
    assert other.hint is None
    assert "disallow-other-stacks" in str(avahi.hint)


def test_the_way_out_is_told() -> None:
    assert "ipv4 and ipv6" in check_internet([Family.IPV6, Family.IPV4]).detail
    assert "no way out" in check_internet([]).detail
