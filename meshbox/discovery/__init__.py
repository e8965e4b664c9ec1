"""mDNS announce and browse, network changes, reachability.

`Discovery` is the whole of it for other layers; what it tells is in `events`, what it takes in
`announcement`, `names` (meshes) and `interfaces`.
"""

from meshbox.discovery.announcement import Announcement
from meshbox.discovery.discovery import Discovery
from meshbox.discovery.events import (
    CloneSeen,
    Event,
    MailboxChanged,
    MailboxFound,
    MailboxGone,
    NetworkChanged,
    PeerChanged,
    PeerFound,
    PeerGone,
    Troubled,
)
from meshbox.discovery.found import Dialect, Mailbox, Peer
from meshbox.discovery.interfaces import parse_interface
from meshbox.discovery.names import DEFAULT_MESH, MeshName, Service, parse_mesh

__all__ = [
    "DEFAULT_MESH",
    "Announcement",
    "CloneSeen",
    "Dialect",
    "Discovery",
    "Event",
    "Mailbox",
    "MailboxChanged",
    "MailboxFound",
    "MailboxGone",
    "MeshName",
    "NetworkChanged",
    "Peer",
    "PeerChanged",
    "PeerFound",
    "PeerGone",
    "Service",
    "Troubled",
    "parse_interface",
    "parse_mesh",
]
