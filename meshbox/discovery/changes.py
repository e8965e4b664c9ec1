"""Changes of a roster as events."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.discovery.events import (
    Event,
    MailboxChanged,
    MailboxFound,
    MailboxGone,
    PeerChanged,
    PeerFound,
    PeerGone,
)
from meshbox.discovery.found import Mailbox, Peer


def peer_events(changes: Iterable[tuple[Peer | None, Peer | None]]) -> list[Event]:
    """What to tell of nodes: each change is what was told before, and what is."""
    events: list[Event] = []
    for before, after in changes:
        if after is not None:
            events.append(PeerChanged(after) if before else PeerFound(after))
        elif before is not None:
            events.append(PeerGone(before))
    return events


def mailbox_events(changes: Iterable[tuple[Mailbox | None, Mailbox | None]]) -> list[Event]:
    """The same of mailboxes."""
    events: list[Event] = []
    for before, after in changes:
        if after is not None:
            events.append(MailboxChanged(after) if before else MailboxFound(after))
        elif before is not None:
            events.append(MailboxGone(before))
    return events
