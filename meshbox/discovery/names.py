"""How meshbox is called in mDNS: service types, instances, host names.

Pure text. Two services: `_dashchat._tcp` for the apps (the type that they browse) and
`_meshbox._tcp` for nodes. A mesh's name is a suffix of both, so that two meshes on one wire do not
meet. The instance of both is the node id.

Invariant: host names are all lower-case, because apps up to 0.19 look up addresses without folding
case and lose a mailbox whose host name has capitals after 120 s.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

from meshbox.core.errors import InvalidSetting
from meshbox.core.ids import NodeId, node_key_of
from meshbox.core.limits import MESH_NAME_BYTES_MAX

MeshName = NewType("MeshName", str)
"""The suffix of the service types; empty for the mesh that everybody is in."""

DEFAULT_MESH = MeshName("")

# zeroconf refuses "--" and '-' at either end of a service label in both directions, but with
# strict=False no length short of a DNS label.
_MESH_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

# What an instance of somebody else may look like: base64url, hex or nanoid, perhaps with the
# " (2)" by which some responders end a name that was taken.
_INSTANCE = re.compile(r"([A-Za-z0-9_-]{1,63})( \([0-9]{1,3}\))?")


class Service(StrEnum):
    """What is announced and browsed."""

    MAILBOX = "dashchat"
    """The HTTP API for the apps."""
    NODE = "meshbox"
    """The gRPC endpoint for other nodes."""


def parse_mesh(text: str) -> MeshName:
    """The mesh that `text` names, "" for the default; `InvalidSetting` for any other text."""
    if text and not _MESH_NAME.fullmatch(text):
        raise InvalidSetting(
            f"mesh name {text!r} may only have lower-case letters, digits and single '-' inside"
        )
    if len(text) > MESH_NAME_BYTES_MAX:
        raise InvalidSetting(
            f"mesh name {text!r} has {len(text)} bytes, at most {MESH_NAME_BYTES_MAX} are allowed"
        )
    return MeshName(text)


def service_type(service: Service, mesh: MeshName) -> str:
    """The DNS-SD type, e.g. `_meshbox._tcp.local.` or `_meshbox-camp._tcp.local.`."""
    return f"_{service}-{mesh}._tcp.local." if mesh else f"_{service}._tcp.local."


def instance_name(node_id: NodeId, type_: str) -> str:
    """The full name under which a node announces a service of `type_`."""
    return f"{node_id}.{type_}"


def instance_of(name: str, type_: str) -> str | None:
    """The instance in a name that was heard, without a collision's " (2)"; None if unusable."""
    if not name.lower().endswith(f".{type_}"):
        return None
    match = _INSTANCE.fullmatch(name[: -len(type_) - 1])
    return match[1] if match else None


def host_name(node_id: NodeId, service: Service) -> str:
    """The SRV target. One a service, since they may be bound to different addresses."""
    host = f"meshbox-{node_key_of(node_id)[:4].hex()}"
    return f"{host}.local." if service is Service.MAILBOX else f"{host}-sync.local."
