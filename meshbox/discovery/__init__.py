"""mDNS announce and browse, network changes, reachability.

`Discovery` is the whole of it for other layers; what it tells is in `events`, what it takes in
`announcement`, `names` (meshes) and `interfaces`. `Lookout` is for people who want to see it all.
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
from meshbox.discovery.lookout import Change, Lookout, Sighted
from meshbox.discovery.names import DEFAULT_MESH, MeshName, Service, parse_mesh

__all__ = [
    "DEFAULT_MESH",
    "Announcement",
    "Change",
    "CloneSeen",
    "Dialect",
    "Discovery",
    "Event",
    "Lookout",
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
    "Sighted",
    "Troubled",
    "parse_interface",
    "parse_mesh",
]
