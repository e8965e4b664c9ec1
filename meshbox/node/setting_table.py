"""Every setting there is: its key, option, how it is read and shown, and what it is for.

The one list from which the TOML keys, the MESHBOX_… variables, the options of `meshbox run`, the
lines of `meshbox config` and docs/settings.md follow. Importing it must stay cheap, since
`meshbox --help` does: what is heavy is imported by the parser that needs it.

Invariants: a parser takes text and raises `InvalidSetting` or `InvalidAddress`, nothing else; what
`show` returns parses to the same value. A default is text and goes through the same parser.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from meshbox.core.address import (
    LISTENER_OFF,
    Endpoint,
    is_loopback,
    parse_address,
    parse_endpoint,
    parse_target,
)
from meshbox.core.errors import InvalidSetting
from meshbox.core.ids import parse_topic
from meshbox.core.internet import parse_internet
from meshbox.core.limits import DRAIN_MS_MAX, SYNC_RATE_BYTES_PER_S_MIN
from meshbox.core.retention import Retention
from meshbox.core.room import LIMIT_BYTES_MIN
from meshbox.node.quantities import parse_duration, parse_size, show_duration, show_size
from meshbox.storage.cassandra.address import SCHEME as CASSANDRA_SCHEME
from meshbox.storage.cassandra.address import (
    ClusterAddress,
    parse_cluster,
    parse_datacenter,
    parse_replication,
    show_replication,
)

ENVIRONMENT_PREFIX: Final = "MESHBOX_"
GENERATIONS: Final = ("messages", "blobs", "blips")
UNLIMITED: Final = "none"
ROCKSDB: Final = "rocksdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `key` is its TOML key and its field in `Settings`."""

    key: str
    meaning: str
    default: str
    """As text; `default_data_dir` for the data folder. "" for none where `separator` is set."""
    parse: Callable[[str], Any]
    show: Callable[[Any], Any] = str
    metavar: str = "TEXT"
    separator: str | None = None
    """Between the values of a setting that has many, in a variable; None where it has one."""
    repeatable: bool = False
    """Whether the option is given once a value rather than with separators."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENVIRONMENT_PREFIX + self.key.upper()

    @property
    def option(self) -> str:
        """The option of `meshbox run`."""
        return "--" + self.key.replace("_", "-")


def default_data_dir(environment: Mapping[str, str]) -> str:
    """`$XDG_DATA_HOME/meshbox`, or `~/.local/share/meshbox`."""
    base = environment.get("XDG_DATA_HOME", "")
    # The specification wants relative paths to be ignored.
    return f"{base if base.startswith('/') else '~/.local/share'}/meshbox"


def parse_path(text: str) -> Path:
    """An absolute path; `~` is the home of the user."""
    if not text or "\0" in text:
        raise InvalidSetting(f"{text!r} is not a path")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidSetting(f"{text!r}: {error}") from error


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise InvalidSetting(f"{text!r} is none of {', '.join(words)}")
        return text

    return parse


def _parse_switch(text: str) -> bool:
    words = {"on": True, "true": True, "yes": True, "1": True}
    words |= {"off": False, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise InvalidSetting(f"{text!r} is neither on nor off")
    return words[text.lower()]


def _parse_admin(text: str) -> Endpoint | None:
    endpoint = parse_endpoint(text)
    if endpoint is not None and not is_loopback(endpoint.host):
        raise InvalidSetting(
            f"{endpoint} is not a loopback address",
            hint="status pages for other machines need an admin password, which this version does "
            "not have; use 127.0.0.1, and a tunnel to look from elsewhere",
        )
    return endpoint


def _parse_optional_target(text: str) -> Endpoint | None:
    return parse_target(text) if text != UNLIMITED else None


def _parse_mesh(text: str) -> str:
    # The package brings zeroconf, 60 ms, with it.
    from meshbox.discovery.names import parse_mesh

    return parse_mesh(text)


def _parse_interface(text: str) -> str:
    from meshbox.discovery.interfaces import parse_interface

    return parse_interface(text)


def _parse_store(text: str) -> ClusterAddress | None:
    if text == ROCKSDB:
        return None
    if not text.startswith(CASSANDRA_SCHEME):
        raise InvalidSetting(
            f"{text!r} is no store", hint="rocksdb, or cassandra://HOST[,HOST]/KEYSPACE"
        )
    return parse_cluster(text)


def _show_store(address: ClusterAddress | None) -> str:
    return ROCKSDB if address is None else str(address)


def _parse_optional_text(text: str) -> str | None:
    return None if text == UNLIMITED else text


def _show_optional(value: object) -> str:
    return UNLIMITED if value is None else str(value)


def _parse_retention(text: str) -> int:
    return Retention(parse_duration(text)).retention_ms


def _parse_drain(text: str) -> int:
    drain_ms = parse_duration(text)
    if drain_ms > DRAIN_MS_MAX:
        raise InvalidSetting(f"at most {show_duration(DRAIN_MS_MAX)} are allowed")
    return drain_ms


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidSetting(
            f"{text!r} is no address or network", hint="10.0.0.5, or 10.0.0.0/8"
        ) from error


def _parse_optional_path(text: str) -> Path | None:
    return parse_path(text) if text != UNLIMITED else None


def _parse_limit(text: str) -> int | None:
    if text == UNLIMITED:
        return None
    size_bytes = parse_size(text)
    if size_bytes < LIMIT_BYTES_MIN:
        raise InvalidSetting(f"{size_bytes} bytes leave no room for messages; 16MB do")
    return size_bytes


def _parse_rate(text: str) -> int | None:
    if text == UNLIMITED:
        return None
    bytes_per_s = parse_size(text)
    if bytes_per_s < SYNC_RATE_BYTES_PER_S_MIN:
        raise InvalidSetting(f"at least {show_size(SYNC_RATE_BYTES_PER_S_MIN)} a second are wanted")
    return bytes_per_s


def _show_endpoint(endpoint: Endpoint | None) -> str:
    return LISTENER_OFF if endpoint is None else str(endpoint)


def _show_target(endpoint: Endpoint | None) -> str:
    return UNLIMITED if endpoint is None else str(endpoint)


def _show_limit(size_bytes: int | None) -> str:
    return UNLIMITED if size_bytes is None else show_size(size_bytes)


def _show_path(path: Path | None) -> str:
    return UNLIMITED if path is None else str(path)


def _show_switch(is_on: bool) -> bool:  # noqa: FBT001 - the value itself
    return is_on


_LISTENER: Final = "HOST:PORT|off"

SETTINGS: Final = (
    Setting(
        key="data_dir",
        meaning="The folder of the node's key and messages; made when it is not there.",
        default="",
        parse=parse_path,
        metavar="PATH",
    ),
    Setting(
        key="http",
        meaning="Where apps are served. Port 0 takes a free one; [::] is IPv4 and IPv6.",
        default="[::]:3000",
        parse=parse_endpoint,
        show=_show_endpoint,
        metavar=_LISTENER,
    ),
    Setting(
        key="https",
        meaning="The same over HTTPS, with a certificate that proves the node id.",
        default="[::]:3443",
        parse=parse_endpoint,
        show=_show_endpoint,
        metavar=_LISTENER,
    ),
    Setting(
        key="https_certificate",
        meaning="A PEM chain for a public name, shown to clients that ask for it. Read again when "
        "it changes.",
        default=UNLIMITED,
        parse=_parse_optional_path,
        show=_show_path,
        metavar="PATH",
    ),
    Setting(
        key="https_key",
        meaning="The PEM key of https_certificate, without a password.",
        default=UNLIMITED,
        parse=_parse_optional_path,
        show=_show_path,
        metavar="PATH",
    ),
    Setting(
        key="trusted_proxy",
        meaning="A proxy, or a network of them, whose X-Forwarded-For is believed.",
        default="",
        parse=_parse_network,
        metavar="ADDRESS[/BITS]",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="drain",
        meaning="How long to serve on after SIGTERM, not ready and no longer announced.",
        default="0s",
        parse=_parse_drain,
        show=show_duration,
        metavar="DURATION",
    ),
    Setting(
        key="sync",
        meaning="Where other nodes connect. Off: this node still connects to others.",
        default="[::]:3001",
        parse=parse_endpoint,
        show=_show_endpoint,
        metavar=_LISTENER,
    ),
    Setting(
        key="admin",
        meaning="Status for this machine (loopback only).",
        default="127.0.0.1:3002",
        parse=_parse_admin,
        show=_show_endpoint,
        metavar=_LISTENER,
    ),
    Setting(
        key="interface",
        meaning="A network interface (name or address) for mDNS. Default: all ordinary ones.",
        default="",
        parse=_parse_interface,
        metavar="NAME",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="mdns",
        meaning="Whether to announce this node on the LAN and to look for others.",
        default="on",
        parse=_parse_switch,
        show=_show_switch,
    ),
    Setting(
        key="mesh",
        meaning="Nodes and apps find each other by themselves within one mesh only.",
        default="",
        parse=_parse_mesh,
        metavar="NAME",
    ),
    Setting(
        key="advertise",
        meaning="Announce this address to the apps instead (a proxy, a published port).",
        default=UNLIMITED,
        parse=_parse_optional_target,
        show=_show_target,
        metavar="HOST:PORT",
    ),
    Setting(
        key="peer",
        meaning="Another node, for networks where multicast is blocked.",
        default="",
        parse=parse_address,
        metavar="meshbox://NODE-ID@HOST:PORT",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="introduce",
        meaning="Whether to tell nodes where others are reached, and to dial whom they tell of.",
        default="on",
        parse=_parse_switch,
        show=_show_switch,
    ),
    Setting(
        key="internet",
        meaning="A mailbox beyond the LAN: meshbox://NODE-ID@HOST:PORT, or https://HOST.",
        default="",
        parse=parse_internet,
        metavar="URL",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="topic",
        meaning="Take from other nodes this topic, and others so named, alone. Default: all.",
        default="",
        parse=parse_topic,
        metavar="TOPIC",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="sync_rate_in",
        meaning="Bytes a second taken from other mailboxes, all together, such as 1MB.",
        default=UNLIMITED,
        parse=_parse_rate,
        show=_show_limit,
        metavar="SIZE",
    ),
    Setting(
        key="sync_rate_out",
        meaning="Bytes a second given to other mailboxes, all together, such as 1MB.",
        default=UNLIMITED,
        parse=_parse_rate,
        show=_show_limit,
        metavar="SIZE",
    ),
    Setting(
        key="store",
        meaning="The database: rocksdb in data_dir, or a keyspace of a Cassandra.",
        default=ROCKSDB,
        parse=_parse_store,
        show=_show_store,
        metavar="rocksdb|cassandra://HOST/KEYSPACE",
    ),
    Setting(
        key="cassandra_datacenter",
        meaning="The data centre whose servers this node asks.",
        default="datacenter1",
        parse=parse_datacenter,
    ),
    Setting(
        key="cassandra_replication",
        meaning="Copies, for `meshbox store init`: a number, or dc1:3,dc2:3.",
        default="3",
        parse=parse_replication,
        show=show_replication,
    ),
    Setting(
        key="cassandra_user",
        meaning="As whom this node logs in there.",
        default=UNLIMITED,
        parse=_parse_optional_text,
        show=_show_optional,
    ),
    Setting(
        key="cassandra_password_file",
        meaning="A file with the password of cassandra_user.",
        default=UNLIMITED,
        parse=_parse_optional_path,
        show=_show_path,
        metavar="PATH",
    ),
    Setting(
        key="cassandra_ca",
        meaning="TLS, with servers whose certificates the authorities in this PEM file signed.",
        default=UNLIMITED,
        parse=_parse_optional_path,
        show=_show_path,
        metavar="PATH",
    ),
    Setting(
        key="cassandra_trust_clock",
        meaning="Whether to trust a wall clock that the operating system does not vouch for.",
        default="off",
        parse=_parse_switch,
        show=_show_switch,
    ),
    Setting(
        key="retention",
        meaning="How long messages are kept, 12h to 7d.",
        default="7d",
        parse=_parse_retention,
        show=show_duration,
        metavar="DURATION",
    ),
    Setting(
        key="storage_limit",
        meaning="Disk space for messages, such as 10GB; at least 16MB.",
        default=UNLIMITED,
        parse=_parse_limit,
        show=_show_limit,
        metavar="SIZE",
    ),
    Setting(
        key="ids",
        meaning="Which topics and authors clients may name: any, or 64 hex digits only.",
        default="any",
        parse=_one_of("any", "hex64"),
        metavar="any|hex64",
    ),
    Setting(
        key="generations",
        meaning="The generations of the apps' API that are served.",
        default=",".join(GENERATIONS),
        parse=_one_of(*GENERATIONS),
        metavar="LIST",
        separator=",",
    ),
    Setting(
        key="log_format",
        meaning="How logs are written to standard error.",
        default="text",
        parse=_one_of("text", "json"),
        metavar="text|json",
    ),
)
