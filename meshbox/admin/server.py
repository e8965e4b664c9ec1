"""The node's status and control over HTTP: on the control socket, and read-only over TCP.

    GET   /livez                   that it runs and its loop turns
    GET   /readyz                  see readiness.py; 503 when it is not ready
    GET   /metrics                 see metrics.py
    GET   /api/status              see status.py
    GET   /api/peers
    GET   /api/inventory           see inventory.py; ?topic=TOPIC for one topic by logs
    POST  /api/sweep               the control socket alone

Whoever reaches the control socket may use the data folder anyway (mode 0600). The TCP listener is
on loopback, where every user of the machine and every page in a browser can connect: so it changes
nothing, answers no foreign site (no CORS header), and none that pretends to be this machine by
DNS: the Host header must name loopback.

Errors are JSON: {"error": CODE, "message", "hint"}.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from meshbox.admin import inventory, metrics, status
from meshbox.admin.readiness import readiness
from meshbox.admin.sources import Sources, Unopened
from meshbox.core.address import is_loopback, parse_endpoint
from meshbox.core.errors import AdminHost, AdminRequest, InvalidAddress, MeshboxError
from meshbox.core.ids import parse_topic
from meshbox.mailbox import sweeping
from meshbox.wire.statuses import STATUSES

SWEEP_SCHEMA: Final = "meshbox.sweep/1"

_STOP_S: Final = 0.5
"""Seconds that a request under way gets when the node stops."""

_REQUEST_BYTES_MAX: Final = 4_096

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SweepDocument(msgspec.Struct, frozen=True):
    """What a sweep freed and forgot."""

    schema: str
    blobs: int
    bytes: int
    forgotten_logs: int


class AdminServer:
    """Serves one node's status. Start it on each kind of listener; `stop` ends all."""

    def __init__(self, sources: Sources | Unopened) -> None:
        self.sources = sources
        """What is told of; to be replaced when the store is open."""
        # One at a time: each reads every header there is.
        self._counting = asyncio.Lock()
        self._runners: list[web.AppRunner] = []
        self._control: asyncio.Server | None = None

    async def start_control(self, listening: socket.socket) -> None:
        """Serves everything on the (bound, listening) control socket."""
        runner = await self._run([*self._reading_routes(), web.post("/api/sweep", self._sweep)], [])
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        # aiohttp's SockSite takes TCP sockets only.
        self._control = await loop.create_unix_server(runner.server, sock=listening)

    async def start_status(self, sockets: Sequence[socket.socket]) -> None:
        """Serves what only reads on (bound, listening) TCP sockets of loopback."""
        runner = await self._run(self._reading_routes(), [_from_this_machine])
        for listening in sockets:
            await web.SockSite(runner, listening).start()

    async def stop(self) -> None:
        """Ends all listeners, requests under way after half a second."""
        if self._control is not None:
            self._control.close()
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))

    async def _run(self, routes: Sequence[web.RouteDef], middlewares: list[Any]) -> web.AppRunner:
        app = web.Application(
            middlewares=[_errors_as_json, *middlewares], client_max_size=_REQUEST_BYTES_MAX
        )
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        self._runners.append(runner)
        return runner

    def _reading_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/livez", self._live),
            web.get("/readyz", self._ready),
            web.get("/metrics", self._metrics),
            web.get("/api/status", self._status),
            web.get("/api/peers", self._peers),
            web.get("/api/inventory", self._inventory),
        ]

    def _opened(self) -> Sources:
        """For what is told of a store only; raises why it is not open yet."""
        if isinstance(self.sources, Unopened):
            raise self.sources.trouble().with_traceback(None)
        return self.sources

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        document = readiness(self.sources)
        return _json(document, status_code=200 if document.ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        body = await metrics.metrics(self.sources)
        return web.Response(body=body, headers={"content-type": metrics.CONTENT_TYPE})

    async def _status(self, _: web.Request) -> web.Response:
        if isinstance(self.sources, Unopened):
            return _json(status.unopened_status(self.sources))
        return _json(await status.status(self.sources))

    async def _peers(self, _: web.Request) -> web.Response:
        return _json(status.peers(self._opened()))

    async def _inventory(self, request: web.Request) -> web.Response:
        topic = request.query.get("topic")
        store = self._opened().store
        async with self._counting:
            if topic is None:
                return _json(await inventory.inventory(store))
            return _json(await inventory.topic_inventory(store, parse_topic(topic)))

    async def _sweep(self, _: web.Request) -> web.Response:
        swept = await sweeping.sweep(self._opened().store)
        return _json(SweepDocument(SWEEP_SCHEMA, swept.blobs, swept.bytes, swept.forgotten))


@web.middleware
async def _from_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    if _names_loopback(request.host):
        return await handler(request)
    raise AdminHost("the Host header must name this machine")


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MeshboxError as error:
        return _error(error, status_code=STATUSES[error.code].http)
    except web.HTTPException as error:
        # Its own status is the more exact one: 405 beside 404.
        return _error(AdminRequest(error.reason), status_code=error.status)


def _names_loopback(host: str) -> bool:
    try:
        endpoint = parse_endpoint(f"{host}:0" if _lacks_port(host) else host)
    except InvalidAddress:
        return False
    return endpoint is not None and is_loopback(endpoint.host)


def _lacks_port(host: str) -> bool:
    return host.endswith("]") or ":" not in host


def _json(document: msgspec.Struct, *, status_code: int = 200) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status_code, content_type="application/json")


def _error(error: MeshboxError, *, status_code: int) -> web.Response:
    fault = {"error": error.code, "message": error.message, "hint": error.hint}
    body = msgspec.json.encode(fault)
    return web.Response(body=body, status=status_code, content_type="application/json")
