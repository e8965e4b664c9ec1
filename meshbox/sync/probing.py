"""Looks until somebody takes a connection at one of a far peer's addresses.

A session that is dialled into a dead line hangs for as long as it is waited for; so a far peer is
dialled only once a TCP connection to it was made. A new look begins every `PROBE_S`, whatever
became of those before it, and at once when the network changes: the first packet after the line's
return is at most that old.

Names are resolved in threads of their own, since a resolver may take half a minute; the addresses
that a name had last are tried meanwhile. Who answers at an address is proven by TLS in the session:
here nothing is believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Final

from meshbox.core.address import Endpoint, is_address
from meshbox.core.errors import NameUnresolved, PeerUnreachable, WorldError
from meshbox.core.ids import NodeId
from meshbox.identity.certificate import LEAF_NAME
from meshbox.identity.tls import client_context

PROBE_S: Final = 2.0
"""Seconds between looks (design.md 10)."""
CONNECT_S_MAX: Final = 10.0
"""Seconds for one connection: a line of a second's delay that loses packets needs several."""
ADDRESSES_MAX: Final = 4
"""Addresses of one name that are tried."""
TRIES_MAX: Final = 64
"""Connections under way: beyond these a look adds none."""
RESOLUTIONS_MAX: Final = 10
"""Threads that wait for the resolver: it gives up after 20 s without an answer, and each look
asks anew, since a question that was sent before the line's return stays unanswered."""

_GRPC_PROTOCOL: Final = "h2"

Failed = Callable[[WorldError], None]


class Probe:
    """Looks for one peer. `on_failed` is told why not, whenever the reason is another."""

    def __init__(self, on_failed: Failed) -> None:
        self.failure: WorldError | None = None
        """Why it is not reached; None until a look failed."""
        self._on_failed = on_failed
        self._woken = asyncio.Event()
        self._found: Endpoint | None = None
        self._tries: set[asyncio.Task[None]] = set()
        self._resolving = 0
        self._known: dict[str, tuple[str, ...]] = {}

    def hurry(self) -> None:
        """The network changed, or there are more addresses: looks now."""
        self._woken.set()

    async def reached(self, endpoints: Callable[[], Iterable[Endpoint]]) -> Endpoint:
        """Where a connection was taken, a name as the address that it stands for. `endpoints` are
        asked for at each look."""
        self._found = None
        try:
            while self._found is None:
                self._woken.clear()
                self._look(endpoints())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_S):
                        await self._woken.wait()
        finally:
            for task in self._tries:
                task.cancel()
        self.failure = None
        return self._found

    def _look(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            if is_address(endpoint.host):
                self._spawn(endpoint)
                continue
            for address in self._known.get(endpoint.host, ()):
                self._spawn(Endpoint(address, endpoint.port))
            if self._resolving < RESOLUTIONS_MAX:
                self._resolving += 1
                self._keep(asyncio.create_task(self._resolve(endpoint)))

    def _spawn(self, endpoint: Endpoint) -> None:
        if len(self._tries) < TRIES_MAX:
            self._keep(asyncio.create_task(self._connect(endpoint)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tries.add(task)
        task.add_done_callback(self._tries.discard)

    async def _resolve(self, endpoint: Endpoint) -> None:
        try:
            addresses = await _addresses(endpoint.host)
        except OSError as error:
            self._fail(NameUnresolved(f"{endpoint.host}: {error.strerror}"))
            return
        finally:
            self._resolving -= 1
        new = set(addresses).difference(self._known.get(endpoint.host, ()))
        self._known[endpoint.host] = addresses
        for address in new:
            self._spawn(Endpoint(address, endpoint.port))

    async def _connect(self, endpoint: Endpoint) -> None:
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except TimeoutError:
            self._fail(PeerUnreachable(f"{endpoint} does not answer"))
        except OSError as error:
            self._fail(PeerUnreachable(f"{endpoint}: {error.strerror or error}"))
        else:
            writer.transport.abort()
            self._found = self._found or endpoint
            self._woken.set()

    def _fail(self, failure: WorldError) -> None:
        is_news = self.failure is None or self.failure.code != failure.code
        self.failure = failure
        if is_news:
            self._on_failed(failure)


async def is_another(endpoint: Endpoint, node_id: NodeId) -> bool:
    """Whether whoever answers at `endpoint` certainly is not `node_id`: it has another key, or
    speaks no TLS. A line that is cut or slow says nothing."""
    context = client_context(node_id)
    context.set_alpn_protocols([_GRPC_PROTOCOL])
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            _, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=context, server_hostname=LEAF_NAME
            )
    except ssl.SSLEOFError:
        return False
    except ssl.SSLError:
        return True
    except OSError:
        return False
    writer.transport.abort()
    return False


async def _addresses(host: str) -> tuple[str, ...]:
    """What the system's resolver says. `OSError`.

    The thread is a daemon: one that waits for a dead name server must not hold up our end, as
    those of an executor, or of libuv, would.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def settle(addresses: tuple[str, ...], error: OSError | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(addresses)

    def work() -> None:
        addresses: tuple[str, ...] = ()
        failure = None
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=work, name="resolver", daemon=True).start()
    return await answer
