"""`HttpApi`: the mailbox's HTTP facade, on any number of listeners.

Finds the handler of a request, turns faults into statuses, and adds the headers that every answer
has. Bytes, deadlines and the order of answers are the connection's (connection.py).

Invariants: a `MeshboxError` is an answer; only a bug of ours is 500 (and is logged). Every answer
carries the CORS headers.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from meshbox.core.errors import MeshboxError
from meshbox.core.ids import NodeId
from meshbox.http_api.blips import BlipsApi
from meshbox.http_api.blobs import BlobsApi
from meshbox.http_api.connection import Connection
from meshbox.http_api.cors import CORS_HEADERS
from meshbox.http_api.exchange import JSON, Answer, Exchange, Route
from meshbox.http_api.health import HealthApi
from meshbox.http_api.listening import Listening
from meshbox.http_api.media import MediaApi
from meshbox.http_api.memory_leases import MemoryLeases
from meshbox.http_api.messages import MessagesApi
from meshbox.http_api.request import Request
from meshbox.http_api.responses import (
    PLAIN_TEXT,
    PREFLIGHT,
    TEXT,
    Encoder,
    Response,
    header_lines,
    refusal,
)
from meshbox.http_api.settings import Generation, HttpSettings
from meshbox.mailbox.mailbox import Mailbox
from meshbox.wire.statuses import STATUSES

_EMPTY: Final = header_lines(*CORS_HEADERS)
_TYPED: Final = {
    JSON: header_lines(*CORS_HEADERS, ("content-type", JSON)),
    TEXT: PLAIN_TEXT,
}
_NOT_FOUND: Final = Response(404, _EMPTY)
_BUG: Final = Response(STATUSES[MeshboxError.code].http, PLAIN_TEXT, b"internal error\n")
_ALLOWED: Final = {"GET": ("GET", "HEAD"), "POST": ("POST",)}

_OTHER: Final = "other"
"""In place of a path that is no route: a stranger must not make names."""

_LOG: Final = logging.getLogger("meshbox.http")


class HttpApi:
    """Serves a mailbox to the apps, old and new."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        node_id: NodeId,
        wall_ms: Callable[[], int],
        settings: HttpSettings | None = None,
    ) -> None:
        """`wall_ms`: the wall clock in ms since 1970; it judges the time of
        reports, and dates answers."""
        self._settings = settings or HttpSettings()
        self._mailbox = mailbox
        self._listening = Listening(self._handle, settings=self._settings, encoder=Encoder(wall_ms))
        health = HealthApi(node_id, is_draining=lambda: self._listening.is_draining)
        self._routes = _table(_routes(mailbox, health, wall_ms, self._settings))
        self._bodies = MemoryLeases(bytes_max=self._settings.bodies_bytes_max)
        self._answers = MemoryLeases(bytes_max=self._settings.answers_bytes_max)
        self._answered: Counter[tuple[str, int]] = Counter()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._listening.connections

    @property
    def waiters(self) -> int:
        """How many fetches wait for something new."""
        return self._mailbox.waiters

    @property
    def answered(self) -> Mapping[tuple[str, int], int]:
        """How often each route gave each status; the path is `other` where no route is."""
        return self._answered

    @property
    def body_bytes_lent(self) -> int:
        """Bytes of memory that large bodies have at the moment."""
        return self._bodies.lent_bytes

    @property
    def answer_bytes_lent(self) -> int:
        """Bytes of memory that large answers have at the moment."""
        return self._answers.lent_bytes

    async def start(self, listener: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Serves what `listener` accepts, which is ours from now on; again for another listener."""
        await self._listening.start(listener, tls=tls)

    def drain(self) -> None:
        """Serves on, but ends each connection with its next answer, and says at /health that the
        node stops: clients that have another mailbox go there."""
        self._listening.drain()

    async def stop(self) -> None:
        """Accepts nothing more and closes everything. What waits for something new is answered;
        requests in progress have `stop_ms_max` to end, and as long again to be cancelled."""
        self._listening.close()
        self._mailbox.end_waits()
        await self._listening.stop()

    async def _handle(self, request: Request, connection: Connection) -> None:
        exchange = Exchange(
            request,
            connection,
            settings=self._settings,
            bodies=self._bodies,
            answers=self._answers,
        )
        with exchange.body_lease, exchange.answer_lease:
            try:
                response = await self._respond(request, exchange)
            except Exception:  # noqa: BLE001 - a bug must not leave anybody waiting
                _LOG.exception("a request handler failed")
                response = _BUG
            self._answered[self._route_path(request), response.status] += 1
            await connection.send(request, response)

    def _route_path(self, request: Request) -> str:
        if request.target in self._routes:
            return request.target
        return request.path if request.path in self._routes else _OTHER

    async def _respond(self, request: Request, exchange: Exchange) -> Response:
        if request.method == "OPTIONS":
            return PREFLIGHT
        routes = self._routes.get(request.target) or self._routes.get(request.path)
        if routes is None:
            return _NOT_FOUND
        route = routes.get(request.method)
        if route is None:
            return Response(405, header_lines(*CORS_HEADERS, ("allow", ",".join(routes))))
        try:
            return _response(await route.handler(exchange))
        except MeshboxError as error:
            return refusal(error)


def _routes(
    mailbox: Mailbox, health: HealthApi, wall_ms: Callable[[], int], settings: HttpSettings
) -> Iterable[Route]:
    yield from health.routes()
    if Generation.MESSAGES in settings.generations:
        yield from MessagesApi(mailbox, settings).routes()
    if Generation.BLOBS in settings.generations:
        yield from BlobsApi(mailbox, settings).routes()
    if Generation.BLIPS in settings.generations:
        yield from BlipsApi(mailbox, settings).routes()
        yield from MediaApi(wall_ms).routes()


def _table(routes: Iterable[Route]) -> Mapping[str, Mapping[str, Route]]:
    """path → method → route, in the order in which `allow` names the methods."""
    return {route.path: dict.fromkeys(_ALLOWED[route.method], route) for route in routes}


def _response(answer: Answer) -> Response:
    headers = _TYPED[answer.content_type] if answer.body else _EMPTY
    return Response(answer.status, headers, answer.body)
