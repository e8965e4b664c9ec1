"""Which cluster, which keyspace, and as whom: what an operator says of a Cassandra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshbox.core.address import parse_target
from meshbox.core.errors import InvalidAddress, InvalidSetting

SCHEME: Final = "cassandra://"
PORT: Final = 9042
CONTACTS_MAX: Final = 16
"""Servers named: the driver finds the others by itself."""

_KEYSPACE: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_DATACENTER: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FACTOR_MAX: Final = 9
_SHAPE: Final = "cassandra://HOST[:PORT][,HOST[:PORT]…]/KEYSPACE"


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Servers to begin with, and the keyspace of one mailbox."""

    contacts: tuple[tuple[str, int], ...]
    keyspace: str

    def __str__(self) -> str:
        shown = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.contacts)
        return f"{SCHEME}{shown}/{self.keyspace}"


@dataclass(frozen=True, slots=True)
class Access:
    """All that is needed to use a keyspace."""

    address: ClusterAddress
    datacenter: str
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    """TLS, with servers whose certificate this authority signed; None: no TLS."""


def parse_cluster(text: str) -> ClusterAddress:
    """The cluster that `cassandra://…` names; `InvalidSetting`."""
    hosts, _, keyspace = text.removeprefix(SCHEME).partition("/")
    if not text.startswith(SCHEME) or not hosts or not _KEYSPACE.fullmatch(keyspace):
        raise InvalidSetting(
            f"{text!r} names no keyspace of a Cassandra",
            hint=f"{_SHAPE}; a keyspace has small letters, digits and _, 48 at most",
        )
    contacts = tuple(_contact(host) for host in hosts.split(","))
    if len(contacts) > CONTACTS_MAX:
        raise InvalidSetting(f"at most {CONTACTS_MAX} servers are named", hint="3 are enough")
    return ClusterAddress(contacts, keyspace)


def _contact(text: str) -> tuple[str, int]:
    has_port = re.search(r":\d+$", text) is not None and (text.count(":") == 1 or "]" in text)
    try:
        endpoint = parse_target(text if has_port else f"{text}:{PORT}")
    except InvalidAddress as error:
        raise InvalidSetting(f"{text!r} is not HOST or HOST:PORT", hint=_SHAPE) from error
    return endpoint.host, endpoint.port


def parse_replication(text: str) -> dict[str, int]:
    """Copies by data centre; a number alone is for any one data centre, under the name "".

    `InvalidSetting`.
    """
    copies: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.rpartition(":")
        if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= _FACTOR_MAX:
            raise InvalidSetting(
                f"{text!r} is no replication", hint="a number such as 3, or datacenter1:3,dc2:3"
            )
        if (name and not _DATACENTER.fullmatch(name)) or name in copies:
            raise InvalidSetting(f"{name!r} cannot be the name of a data centre")
        copies[name] = int(number)
    if "" in copies and len(copies) > 1:
        raise InvalidSetting(f"{text!r} has copies of no data centre")
    return copies


def show_replication(copies: dict[str, int]) -> str:
    """The text that parses to it."""
    return ",".join(f"{name}:{number}" if name else str(number) for name, number in copies.items())


def parse_datacenter(text: str) -> str:
    """The name of a data centre; `InvalidSetting`."""
    if not _DATACENTER.fullmatch(text):
        raise InvalidSetting(f"{text!r} cannot be the name of a data centre")
    return text
