"""How the values of settings are read from text, and shown as text that reads as the same value.

A parser takes text and raises `InvalidSetting` or `InvalidAddress`, nothing else. Importing this
must stay cheap, since `meshbox --help` does: what is heavy is imported by the parser that needs it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meshbox.core.address import Endpoint, is_loopback, parse_endpoint
from meshbox.core.errors import InvalidSetting
from meshbox.core.limits import DRAIN_MS_MAX, SYNC_RATE_BYTES_PER_S_MIN
from meshbox.node.quantities import parse_duration, parse_size, show_duration, show_size
from meshbox.storage.cassandra.address import SCHEME as CASSANDRA_SCHEME
from meshbox.storage.cassandra.address import ClusterAddress, parse_cluster

if TYPE_CHECKING:
    from meshbox.core.reachability import Network

_T = TypeVar("_T")


def optional(word: str, parse: Callable[[str], _T]) -> Callable[[str], _T | None]:
    """Takes `word` for None, and all else that `parse` does."""
    return lambda text: None if text == word else parse(text)


def shown_as(word: str, show: Callable[[Any], str] = str) -> Callable[[Any], str]:
    """Shows None as `word`, and all else as `show` does."""
    return lambda value: word if value is None else show(value)


def parse_path(text: str) -> Path:
    """An absolute path; `~` is the home of the user."""
    if not text or "\0" in text:
        raise InvalidSetting(f"{text!r} is not a path")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidSetting(f"{text!r}: {error}") from error


def one_of(*words: str) -> Callable[[str], str]:
    """Takes one of `words`."""

    def parse(text: str) -> str:
        if text not in words:
            raise InvalidSetting(f"{text!r} is none of {', '.join(words)}")
        return text

    return parse


def parse_switch(text: str) -> bool:
    """On or off, in the words of several habits."""
    words = {"on": True, "true": True, "yes": True, "1": True}
    words |= {"off": False, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise InvalidSetting(f"{text!r} is neither on nor off")
    return words[text.lower()]


def parse_admin(text: str) -> Endpoint | None:
    """A listener on loopback, or None for `off`."""
    endpoint = parse_endpoint(text)
    if endpoint is not None and not is_loopback(endpoint.host):
        raise InvalidSetting(
            f"{endpoint} is not a loopback address",
            hint="status pages for other machines need an admin password, which this version does "
            "not have; use 127.0.0.1, and a tunnel to look from elsewhere",
        )
    return endpoint


def parse_mesh(text: str) -> str:
    """The name of a mesh."""
    # The package brings zeroconf, 60 ms, with it.
    from meshbox.discovery.names import parse_mesh

    return parse_mesh(text)


def parse_interface(text: str) -> str:
    """The name of an interface, or an address of one."""
    from meshbox.discovery.interfaces import parse_interface

    return parse_interface(text)


def parse_store(text: str) -> ClusterAddress:
    """A keyspace of a Cassandra."""
    if not text.startswith(CASSANDRA_SCHEME):
        raise InvalidSetting(
            f"{text!r} is no store", hint="rocksdb, or cassandra://HOST[,HOST]/KEYSPACE"
        )
    return parse_cluster(text)


def parse_retention(text: str) -> int:
    """Milliseconds."""
    from meshbox.core.retention import Retention

    return Retention(parse_duration(text)).retention_ms


def parse_drain(text: str) -> int:
    """Milliseconds."""
    drain_ms = parse_duration(text)
    if drain_ms > DRAIN_MS_MAX:
        raise InvalidSetting(f"at most {show_duration(DRAIN_MS_MAX)} are allowed")
    return drain_ms


def parse_network(text: str) -> Network:
    """A network; an address is one of its own."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidSetting(
            f"{text!r} is no address or network", hint="10.0.0.5, or 10.0.0.0/8"
        ) from error


def parse_limit(text: str) -> int:
    """Bytes of disk."""
    from meshbox.core.room import LIMIT_BYTES_MIN

    size_bytes = parse_size(text)
    if size_bytes < LIMIT_BYTES_MIN:
        raise InvalidSetting(f"{size_bytes} bytes leave no room for messages; 16MB do")
    return size_bytes


def parse_rate(text: str) -> int:
    """Bytes a second."""
    bytes_per_s = parse_size(text)
    if bytes_per_s < SYNC_RATE_BYTES_PER_S_MIN:
        raise InvalidSetting(f"at least {show_size(SYNC_RATE_BYTES_PER_S_MIN)} a second are wanted")
    return bytes_per_s


def show_switch(is_on: bool) -> bool:  # noqa: FBT001 - the value itself
    """As TOML has it."""
    return is_on
