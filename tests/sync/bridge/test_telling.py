"""How a server stands, as the status document has it."""

from __future__ import annotations

from meshbox.core.errors import PeerUnreachable, ServerSlow
from meshbox.core.internet import InternetKind, InternetState
from meshbox.sync.bridge.telling import Telling


def test_states_and_reasons() -> None:
    telling = Telling("https://mailbox.example")
    told = telling.mailbox(None)
    assert (told.kind, told.state, told.reason) == (
        InternetKind.DASH_CHAT,
        InternetState.WAITING,
        None,
    )
    telling.stands_by()
    assert telling.mailbox(None).state is InternetState.STANDBY
    telling.takes_over()
    assert telling.mailbox(None).state is InternetState.WAITING
    assert telling.failed(PeerUnreachable("nobody there"))
    assert not telling.failed(PeerUnreachable("nobody there still"))
    telling.tries()
    told = telling.mailbox(None)
    assert (told.state, told.reason) == (InternetState.CONNECTING, "peer.unreachable")
    telling.connected()
    telling.exchanged(kept=2, brought=3)
    told = telling.mailbox(None)
    assert (told.state, told.reason, told.detail) == (InternetState.CONNECTED, None, None)
    assert (told.blobs_in, told.blobs_out) == (2, 3)
    assert told.last_progress_ms is not None
    assert telling.failed(ServerSlow("it does not answer in time"))
    told = telling.mailbox(None)
    assert (told.state, told.detail) == (InternetState.WAITING, "it does not answer in time")
