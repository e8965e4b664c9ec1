"""Own packets on the wire, and zeroconf's cache of the answers.

The only module that handles DNS records. Its functions run on the event loop. Questions ask for
multicast answers: a unicast one would reach only one of the processes that share port 5353.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from zeroconf import (  # type: ignore[attr-defined]  # these are not in its __all__
    DNSAddress,
    DNSOutgoing,
    DNSPointer,
    DNSQuestion,
    DNSQuestionType,
    DNSRecord,
    DNSService,
    DNSText,
    Error,
    Zeroconf,
    current_time_millis,
)

MULTICAST: Final = DNSQuestionType.QM

_QUERY = 0x0000
_RESPONSE = 0x8400
_CLASS_IN = 0x0001
_IPV4_BYTES = 4
_TYPE_A = 1
_TYPE_AAAA = 28
_TYPE_PTR = 12
_TYPE_TXT = 16
_TYPE_SRV = 33


def for_instances(zeroconf: Zeroconf, type_: str, known: Iterable[str]) -> DNSOutgoing:
    """Asks who offers `type_`; whoever is among `known` need not answer (RFC 6762, 7.1)."""
    out = DNSOutgoing(_QUERY)
    out.add_question(DNSQuestion(type_, _TYPE_PTR, _CLASS_IN))
    names = {name.lower() for name in known}
    now_ms = current_time_millis()
    for pointer in _pointers(zeroconf, type_):
        if pointer.alias.lower() in names and not pointer.is_stale(now_ms):
            out.add_answer_at_time(pointer, now_ms)
    return out


def for_locations(names: Iterable[str]) -> DNSOutgoing:
    """Asks for the SRV records of `names`."""
    out = DNSOutgoing(_QUERY)
    for name in names:
        out.add_question(DNSQuestion(name, _TYPE_SRV, _CLASS_IN))
    return out


def send(zeroconf: Zeroconf, out: DNSOutgoing) -> None:
    """Sends on every interface; a packet that cannot be made of a stranger's names is dropped."""
    try:
        zeroconf.async_send(out)
    except Error:
        return


def gone(host: str, addresses: Iterable[bytes]) -> DNSOutgoing:
    """Tells that these addresses of `host` are no more (RFC 6762, 10.1); its others stay."""
    out = DNSOutgoing(_RESPONSE)
    for address in addresses:
        type_ = _TYPE_A if len(address) == _IPV4_BYTES else _TYPE_AAAA
        out.add_answer_at_time(DNSAddress(host, type_, _CLASS_IN, 0, address), 0)
    return out


def heard_ms(zeroconf: Zeroconf, name: str) -> float:
    """When an SRV record of `name` came last, in zeroconf's monotonic milliseconds; 0 for never."""
    records = zeroconf.cache.get_all_by_details(name, _TYPE_SRV, _CLASS_IN)
    return max((record.created for record in records), default=0.0)


def cached_instances(zeroconf: Zeroconf, type_: str) -> list[str]:
    """The names that offer `type_`, as far as zeroconf remembers."""
    now_ms = current_time_millis()
    return [p.alias for p in _pointers(zeroconf, type_) if not p.is_expired(now_ms)]


def cached_texts(zeroconf: Zeroconf, name: str) -> list[bytes]:
    """All TXT records of `name`."""
    records = zeroconf.cache.get_all_by_details(name, _TYPE_TXT, _CLASS_IN)
    return [record.text for record in records if isinstance(record, DNSText)]


def purge(zeroconf: Zeroconf, type_: str, names: Collection[str]) -> None:
    """Makes zeroconf forget `names`, so that they are reported as added when heard again.

    One pass over the pointers, of which strangers can make 10,000.
    """
    cache = zeroconf.cache
    folded = {name.lower() for name in names}
    gone: list[DNSRecord] = [p for p in _pointers(zeroconf, type_) if p.alias.lower() in folded]
    for name in folded:
        gone += cache.get_all_by_details(name, _TYPE_SRV, _CLASS_IN)
        gone += cache.get_all_by_details(name, _TYPE_TXT, _CLASS_IN)
    cache.async_remove_records(gone)


def keep_only(zeroconf: Zeroconf, names: Iterable[str]) -> None:
    """Makes zeroconf forget every record but those of these names, and of their hosts.

    One pass over all records, about 10 ms for 10,000.
    """
    cache = zeroconf.cache
    kept = {name.lower() for name in names}
    hosts = {
        record.server.lower()
        for name in kept
        for record in cache.get_all_by_details(name, _TYPE_SRV, _CLASS_IN)
        if isinstance(record, DNSService)
    }
    cache.async_remove_records(
        [
            record
            for owner in cache.names()
            if owner not in kept and owner not in hosts
            for record in cache.entries_with_name(owner)
            if not (isinstance(record, DNSPointer) and record.alias.lower() in kept)
        ]
    )


def _pointers(zeroconf: Zeroconf, type_: str) -> list[DNSPointer]:
    records = zeroconf.cache.get_all_by_details(type_, _TYPE_PTR, _CLASS_IN)
    return [record for record in records if isinstance(record, DNSPointer)]
