"""`HttpApi`: the mailbox's HTTP facade, on any number of listeners.

Finds the handler of a request, turns faults into statuses, adds the headers that every answer has,
and sees that an answer is read in time. aiohttp's low-level server, without its router and
middlewares, which cost more than the store of a blob.

Invariants: a `MeshboxError` is an answer; only a bug of ours is 500 (and is logged). Every answer
carries the CORS headers. A connection whose request body was not read is closed after the answer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from meshbox.core.errors import MeshboxError, WorldError
from meshbox.core.ids import NodeId
from meshbox.core.limits import (
    BACKLOG_CONNECTIONS,
    BODY_SMALL_BYTES_MAX,
    HTTP_HEADER_BYTES_MAX,
    HTTP_HEADERS_MAX,
)
from meshbox.http_api.blips import BlipsApi
from meshbox.http_api.blobs import BlobsApi
from meshbox.http_api.connection import SERVER, Connection, ConnectionServer, LiveConnections
from meshbox.http_api.cors import CORS_HEADERS, PREFLIGHT_HEADERS
from meshbox.http_api.errors import status_of
from meshbox.http_api.exchange import JSON, TEXT, Answer, Exchange, Route
from meshbox.http_api.health import HealthApi
from meshbox.http_api.media import MediaApi
from meshbox.http_api.memory_leases import MemoryLeases
from meshbox.http_api.messages import MessagesApi
from meshbox.http_api.settings import Generation, HttpSettings
from meshbox.mailbox.mailbox import Mailbox

RETRY_AFTER_S: Final = "1"

_EMPTY: Final = CIMultiDict([*CORS_HEADERS, ("server", SERVER)])
_TYPED: Final = {
    kind: CIMultiDict([*CORS_HEADERS, ("server", SERVER), ("content-type", kind)])
    for kind in (JSON, TEXT)
}
_PREFLIGHT: Final = CIMultiDict([*PREFLIGHT_HEADERS, ("server", SERVER)])
_ALLOWED: Final = {"GET": ("GET", "HEAD"), "POST": ("POST",)}


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
        """`wall_ms`: the wall clock in ms since 1970; it only judges the time of reports."""
        self._settings = settings or HttpSettings()
        self._routes = _table(_routes(mailbox, node_id, wall_ms, self._settings))
        self._bodies = MemoryLeases(bytes_max=self._settings.bodies_bytes_max)
        self._answers = MemoryLeases(bytes_max=self._settings.answers_bytes_max)
        self._live = LiveConnections(self._settings)
        self._server: ConnectionServer | None = None
        self._listeners: list[asyncio.Server] = []
        self._deadlines: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._live)

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
        if self._server is None:
            self._server = ConnectionServer(
                self._handle,
                live=self._live,
                access_log=None,
                auto_decompress=False,
                lingering_time=self._settings.body_unread_ms_max / 1000,
                max_line_size=HTTP_HEADER_BYTES_MAX,
                max_field_size=HTTP_HEADER_BYTES_MAX,
                max_headers=HTTP_HEADERS_MAX,
                read_bufsize=BODY_SMALL_BYTES_MAX,
            )
            self._deadlines = asyncio.create_task(self._live.keep_deadlines())
        handshake_s_max = self._settings.head_ms_max / 1000 if tls else None
        self._listeners.append(
            await asyncio.get_running_loop().create_server(
                self._server,
                sock=listener,
                ssl=tls,
                backlog=BACKLOG_CONNECTIONS,
                ssl_handshake_timeout=handshake_s_max,
            )
        )

    async def stop(self) -> None:
        """Accepts nothing more and closes everything; requests in progress have `stop_ms_max` to
        end, and as long again to be cancelled."""
        for listener in self._listeners:
            listener.close()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(self._settings.stop_ms_max / 1000)
            self._live.cut_all()
        if self._deadlines is not None:
            self._deadlines.cancel()
            await asyncio.gather(self._deadlines, return_exceptions=True)
        self._listeners.clear()
        self._server = self._deadlines = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.request_begun()
        try:
            exchange = Exchange(
                request,
                client=connection.client,
                settings=self._settings,
                bodies=self._bodies,
                answers=self._answers,
            )
            with exchange.body_lease, exchange.answer_lease:
                response = await self._respond(request, exchange)
                if not request.content.is_eof():
                    response.force_close()
                size = response.content_length or 0
                if size > BODY_SMALL_BYTES_MAX:
                    await self._send(request, response, size)
                return response
        finally:
            connection.request_answered()

    async def _respond(self, request: web.BaseRequest, exchange: Exchange) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers=_PREFLIGHT)
        routes = self._routes.get(request.raw_path) or self._routes.get(request.path)
        if routes is None:
            return web.Response(status=404, headers=_EMPTY)
        route = routes.get(request.method)
        if route is None:
            allowed = ",".join(routes)
            return web.Response(status=405, headers=[*_EMPTY.items(), ("allow", allowed)])
        try:
            return _response(await route.handler(exchange))
        except MeshboxError as error:
            return _refusal(error)

    async def _send(
        self, request: web.BaseRequest, response: web.Response, size_bytes: int
    ) -> None:
        """Sends a large answer while its memory is lent, to a reader that is not too slow."""
        try:
            await response.prepare(request)
            async with asyncio.timeout(self._settings.body_s_max(size_bytes)):
                await response.write_eof()
        except TimeoutError:
            connection = request.protocol
            assert isinstance(connection, Connection)
            connection.cut()
        except ConnectionError:
            # The reader left. aiohttp finds out by itself when it ends the answer, and in silence.
            return


def _routes(
    mailbox: Mailbox, node_id: NodeId, wall_ms: Callable[[], int], settings: HttpSettings
) -> Iterable[Route]:
    yield from HealthApi(node_id).routes()
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


def _response(answer: Answer) -> web.Response:
    headers = _TYPED[answer.content_type] if answer.body else _EMPTY
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _refusal(error: MeshboxError) -> web.Response:
    response = _response(Answer(status_of(error), f"{error.message}\n".encode(), TEXT))
    if isinstance(error, WorldError):
        response.headers["retry-after"] = RETRY_AFTER_S
    return response
