"""What is told of one server: its row in `internet[]` (core/internet.py)."""

from __future__ import annotations

import time

from meshbox.client.mailbox_server import MailboxServer
from meshbox.core.errors import MeshboxError
from meshbox.core.internet import InternetKind, InternetMailbox, InternetState


class Telling:
    """Keeps the state of one server, for people and programs; decides nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._state = InternetState.WAITING
        self._failure: MeshboxError | None = None
        self._since_ms = _wall_ms()
        self._progress_ms: int | None = None
        self._bytes_in = self._bytes_out = 0
        self._blobs_in = self._blobs_out = 0

    def stands_by(self) -> None:
        """Another process of this mailbox exchanges with it."""
        self._state, self._failure, self._since_ms = InternetState.STANDBY, None, _wall_ms()

    def takes_over(self) -> None:
        """This one does from now on."""
        self._state, self._since_ms = InternetState.WAITING, _wall_ms()

    def tries(self) -> None:
        """A connection was taken there."""
        self._state = InternetState.CONNECTING

    def connected(self) -> None:
        """It is a mailbox server."""
        self._state, self._failure = InternetState.CONNECTED, None
        self._since_ms = _wall_ms()

    def failed(self, failure: MeshboxError) -> bool:
        """It is not there, or not for us; whether that is news."""
        former = self._failure
        if self._state is InternetState.CONNECTED:
            self._since_ms = _wall_ms()
        self._state, self._failure = InternetState.WAITING, failure
        return former is None or former.code != failure.code

    def exchanged(self, *, kept: int, brought: int) -> None:
        """An exchange went well."""
        self._blobs_in += kept
        self._blobs_out += brought
        if kept or brought or self._progress_ms is None:
            self._progress_ms = _wall_ms()

    def ended(self, server: MailboxServer) -> None:
        """The connection to it is closed."""
        self._bytes_in += server.bytes_in
        self._bytes_out += server.bytes_out

    def mailbox(self, server: MailboxServer | None) -> InternetMailbox:
        """The row as of now; `server` is the connection of now."""
        failure = self._failure
        return InternetMailbox(
            url=self._url,
            kind=InternetKind.DASH_CHAT,
            node_id=None,
            state=self._state,
            reason=None if failure is None else failure.code,
            detail=None if failure is None else failure.message,
            since_ms=self._since_ms,
            last_progress_ms=self._progress_ms,
            bytes_in=self._bytes_in + (server.bytes_in if server else 0),
            bytes_out=self._bytes_out + (server.bytes_out if server else 0),
            blobs_in=self._blobs_in,
            blobs_out=self._blobs_out,
        )


def _wall_ms() -> int:
    return int(time.time() * 1000)
