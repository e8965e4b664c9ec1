"""Every setting there is: its key, option, how it is read and shown, and what it is for.

The one list from which the TOML keys, the MESHBOX_… variables, the options of `meshbox run`, the
lines of `meshbox config` and docs/settings.md follow. Importing it must stay cheap, since
`meshbox --help` does (setting_values.py).

Invariants: what `show` returns parses to the same value. A default is text and goes through the
same parser.

Over 300 lines: one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from meshbox.core.address import LISTENER_OFF, parse_address, parse_endpoint, parse_target
from meshbox.core.ids import parse_topic
from meshbox.core.internet import parse_internet
from meshbox.node.quantities import show_duration, show_size
from meshbox.node.setting_values import (
    one_of,
    optional,
    parse_admin,
    parse_drain,
    parse_interface,
    parse_limit,
    parse_mesh,
    parse_network,
    parse_path,
    parse_rate,
    parse_retention,
    parse_store,
    parse_switch,
    show_switch,
    shown_as,
)
from meshbox.storage.cassandra.address import parse_datacenter, parse_replication, show_replication

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
        show=shown_as(LISTENER_OFF),
        metavar=_LISTENER,
    ),
    Setting(
        key="https",
        meaning="The same over HTTPS, with a certificate that proves the node id.",
        default="[::]:3443",
        parse=parse_endpoint,
        show=shown_as(LISTENER_OFF),
        metavar=_LISTENER,
    ),
    Setting(
        key="https_certificate",
        meaning="A PEM chain for a public name, shown to clients that ask for it. Read again when "
        "it changes.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_path),
        show=shown_as(UNLIMITED),
        metavar="PATH",
    ),
    Setting(
        key="https_key",
        meaning="The PEM key of https_certificate, without a password.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_path),
        show=shown_as(UNLIMITED),
        metavar="PATH",
    ),
    Setting(
        key="trusted_proxy",
        meaning="A proxy, or a network of them, whose X-Forwarded-For is believed.",
        default="",
        parse=parse_network,
        metavar="ADDRESS[/BITS]",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="drain",
        meaning="How long to serve on after SIGTERM, not ready and no longer announced.",
        default="0s",
        parse=parse_drain,
        show=show_duration,
        metavar="DURATION",
    ),
    Setting(
        key="sync",
        meaning="Where other nodes connect. Off: this node still connects to others.",
        default="[::]:3001",
        parse=parse_endpoint,
        show=shown_as(LISTENER_OFF),
        metavar=_LISTENER,
    ),
    Setting(
        key="admin",
        meaning="Status for this machine (loopback only).",
        default="127.0.0.1:3002",
        parse=parse_admin,
        show=shown_as(LISTENER_OFF),
        metavar=_LISTENER,
    ),
    Setting(
        key="interface",
        meaning="A network interface (name or address) for mDNS. Default: all ordinary ones.",
        default="",
        parse=parse_interface,
        metavar="NAME",
        separator=" ",
        repeatable=True,
    ),
    Setting(
        key="mdns",
        meaning="Whether to announce this node on the LAN and to look for others.",
        default="on",
        parse=parse_switch,
        show=show_switch,
    ),
    Setting(
        key="mesh",
        meaning="Nodes and apps find each other by themselves within one mesh only.",
        default="",
        parse=parse_mesh,
        metavar="NAME",
    ),
    Setting(
        key="advertise",
        meaning="Announce this address to the apps instead (a proxy, a published port).",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_target),
        show=shown_as(UNLIMITED),
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
        parse=parse_switch,
        show=show_switch,
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
        parse=optional(UNLIMITED, parse_rate),
        show=shown_as(UNLIMITED, show_size),
        metavar="SIZE",
    ),
    Setting(
        key="sync_rate_out",
        meaning="Bytes a second given to other mailboxes, all together, such as 1MB.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_rate),
        show=shown_as(UNLIMITED, show_size),
        metavar="SIZE",
    ),
    Setting(
        key="store",
        meaning="The database: rocksdb in data_dir, or a keyspace of a Cassandra.",
        default=ROCKSDB,
        parse=optional(ROCKSDB, parse_store),
        show=shown_as(ROCKSDB),
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
        parse=optional(UNLIMITED, str),
        show=shown_as(UNLIMITED),
    ),
    Setting(
        key="cassandra_password_file",
        meaning="A file with the password of cassandra_user.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_path),
        show=shown_as(UNLIMITED),
        metavar="PATH",
    ),
    Setting(
        key="cassandra_ca",
        meaning="TLS, with servers whose certificates the authorities in this PEM file signed.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_path),
        show=shown_as(UNLIMITED),
        metavar="PATH",
    ),
    Setting(
        key="cassandra_trust_clock",
        meaning="Whether to trust a wall clock that the operating system does not vouch for.",
        default="off",
        parse=parse_switch,
        show=show_switch,
    ),
    Setting(
        key="retention",
        meaning="How long messages are kept, 12h to 7d.",
        default="7d",
        parse=parse_retention,
        show=show_duration,
        metavar="DURATION",
    ),
    Setting(
        key="storage_limit",
        meaning="Disk space for messages, such as 10GB; at least 16MB.",
        default=UNLIMITED,
        parse=optional(UNLIMITED, parse_limit),
        show=shown_as(UNLIMITED, show_size),
        metavar="SIZE",
    ),
    Setting(
        key="ids",
        meaning="Which topics and authors clients may name: any, or 64 hex digits only.",
        default="any",
        parse=one_of("any", "hex64"),
        metavar="any|hex64",
    ),
    Setting(
        key="generations",
        meaning="The generations of the apps' API that are served.",
        default=",".join(GENERATIONS),
        parse=one_of(*GENERATIONS),
        metavar="LIST",
        separator=",",
    ),
    Setting(
        key="log_format",
        meaning="How logs are written to standard error.",
        default="text",
        parse=one_of("text", "json"),
        metavar="text|json",
    ),
)
