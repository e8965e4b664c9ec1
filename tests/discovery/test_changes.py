from __future__ import annotations

from meshbox.core.address import Endpoint
from meshbox.discovery.changes import mailbox_events, peer_events
from meshbox.discovery.events import (
    MailboxChanged,
    MailboxFound,
    MailboxGone,
    PeerChanged,
    PeerFound,
    PeerGone,
)
from meshbox.discovery.found import Mailbox, Peer
from tests.discovery.ears import node

HERE = (Endpoint("10.0.0.1", 3000),)
THERE = (Endpoint("10.0.0.2", 3000),)


def test_what_is_told_of_nodes() -> None:
    before = Peer(node_id=node(1), endpoints=HERE, protocol=1)
    after = Peer(node_id=node(1), endpoints=THERE, protocol=1)
    assert peer_events([(None, after), (before, after), (before, None), (None, None)]) == [
        PeerFound(after),
        PeerChanged(after),
        PeerGone(before),
    ]


def test_what_is_told_of_mailboxes() -> None:
    before = Mailbox(mailbox_id="x", endpoints=HERE)
    after = Mailbox(mailbox_id="x", endpoints=THERE)
    assert mailbox_events([(None, after), (before, after), (before, None), (None, None)]) == [
        MailboxFound(after),
        MailboxChanged(after),
        MailboxGone(before),
    ]
