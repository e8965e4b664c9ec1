"""A request as it was received: its head, and its body while that is still on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from meshbox.core.errors import BodyMalformed

_SCHEMES: Final = ("http://", "https://")


class IncomingBody:
    """A body, between the parser that puts pieces in and the handler that takes them out.

    Who takes something is not asked for less: the pieces held are bounded by whoever feeds the
    parser (connection.py), which is told of each taking.
    """

    __slots__ = ("_arrived", "_fault", "_on_taken", "_pieces", "held_bytes", "is_complete")

    def __init__(self, on_taken: Callable[[], None]) -> None:
        self._on_taken = on_taken
        self._pieces: list[bytes] = []
        self._arrived: asyncio.Future[None] | None = None
        self._fault: BodyMalformed | None = None
        self.held_bytes = 0
        """Bytes that came and were not taken yet."""
        self.is_complete = False
        """Its last byte came."""

    def put(self, piece: bytes) -> None:
        """A piece came."""
        self._pieces.append(piece)
        self.held_bytes += len(piece)
        self._tell()

    def end(self) -> None:
        """It came whole."""
        self.is_complete = True
        self._tell()

    def break_off(self, why: str) -> None:
        """Nothing more will come of it; a body that is complete stays so."""
        if not self.is_complete and self._fault is None:
            self._fault = BodyMalformed(f"the body broke off: {why}")
            self._tell()

    def take(self) -> bytes:
        """What came until now, which may be nothing."""
        taken = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.held_bytes = 0
        return taken

    async def next(self) -> bytes:
        """Some more of it, as soon as there is; b"" at its end. `BodyMalformed`."""
        while not self._pieces and not self.is_complete:
            if self._fault is not None:
                raise self._fault
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        taken = self.take()
        if not self.is_complete:
            self._on_taken()
        return taken

    def _tell(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


class Request:
    """A request whose head is complete."""

    __slots__ = ("_headers", "body", "is_old", "keeps_alive", "method", "target")

    def __init__(
        self,
        *,
        method: str,
        target: str,
        headers: dict[bytes, bytes],
        body: IncomingBody,
        is_old: bool,
        keeps_alive: bool,
    ) -> None:
        """`headers`: by name in lower case, those that came twice joined by commas."""
        self.method = method
        self.target = target
        """What stands between the method and the version, as it came."""
        self._headers = headers
        self.body = body
        self.is_old = is_old
        """It is of HTTP/1.0."""
        self.keeps_alive = keeps_alive
        """The client wants to ask more on this connection."""

    def header(self, name: str) -> str | None:
        """The value of a header, named in lower case."""
        value = self._headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, when the client said so."""
        value = self._headers.get(b"content-length")
        return None if value is None else int(value)

    @property
    def path(self) -> str:
        """The path of `target`, decoded; of a whole URL its path."""
        path = self.target.partition("?")[0].partition("#")[0]
        if path.lower().startswith(_SCHEMES):
            path = "/" + path.partition("://")[2].partition("/")[2]
        return unquote(path)

    @property
    def query(self) -> str:
        """What stands behind the path's `?`, as it came."""
        return self.target.partition("#")[0].partition("?")[2]
