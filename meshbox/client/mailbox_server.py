"""One mailbox server over HTTP, as a client of its own: asked, brought to, and not believed.

Works on one TCP address, proven by TLS against the system's certificates under the server's name
(`SSL_CERT_FILE` adds others). One request at a time. No redirect is followed, no encoding is
undone, no cookie kept; a body has a bound in bytes and a least rate, so that neither a gigabyte
nor a byte a second holds anything up.

Faults of the other side: `ServerUnspoken` (no mailbox API there), `ServerRefused` (a status that
is no success), `ServerGarbled`, `ServerSlow`, `AnswerTooLarge`, `CertificateWrong`,
`PeerUnreachable`. No other exception leaves this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from meshbox.core.address import Endpoint
from meshbox.core.errors import (
    AnswerTooLarge,
    BodyInvalid,
    BodyMalformed,
    CertificateWrong,
    PeerUnreachable,
    ServerGarbled,
    ServerRefused,
    ServerSlow,
    ServerUnspoken,
    TooLarge,
)
from meshbox.core.internet import WebAddress
from meshbox.core.limits import (
    RETRY_AFTER_S_MAX,
    SERVER_ANSWER_BYTES_MAX,
    SERVER_BYTES_PER_S_MIN,
    SERVER_MS_MIN,
    SERVER_PAGE_BYTES_MAX,
)
from meshbox.core.rate import UNBOUNDED, RateLimit
from meshbox.wire.json_logs import BLIPS, BLOBS, HeightTree
from meshbox.wire.json_server import (
    Blobs,
    Told,
    check_json,
    decode_health,
    decode_told,
    encode_blobs,
    encode_heights,
)

_JSON: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_ABSENT: Final = frozenset({404, 405, 410, 501})
_IN_A_THREAD_BYTES: Final = 256 * 1024
"""Bytes of an answer from which on it is decoded beside the loop's work."""


class MailboxServer:
    """A server at one address. Made in a running loop; `close` ends it."""

    def __init__(
        self,
        address: WebAddress,
        *,
        at: Endpoint,
        trust: ssl.SSLContext,
        incoming: RateLimit = UNBOUNDED,
        outgoing: RateLimit = UNBOUNDED,
    ) -> None:
        """`at` is the address that its name has now; `trust` proves its certificate."""
        self._incoming, self._outgoing = incoming, outgoing
        self.url = str(address)
        connector = aiohttp.TCPConnector(ssl=trust, limit=1, resolver=_Known(at))
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self.dialect = BLIPS
        self.bytes_in = self.bytes_out = 0

    async def close(self) -> None:
        """Ends its connection."""
        await self._session.close()

    async def introduce(self) -> str | None:
        """Finds out which generation it speaks, the newest first; the id that it gives itself."""
        for dialect in (BLIPS, BLOBS):
            self.dialect = dialect
            try:
                await self.get({})
            except ServerUnspoken:
                if dialect is BLOBS:
                    raise
            else:
                break
        try:
            return decode_health(await self._asked("GET", "/health", SERVER_PAGE_BYTES_MAX))
        except (BodyInvalid, BodyMalformed, ServerUnspoken, ServerRefused, AnswerTooLarge):
            return None  # The oldest have no such page, or none that names them.

    async def get(self, heights: HeightTree) -> Told:
        """What it holds above `heights`, and misses up to them."""
        body = encode_heights(heights)
        raw = await self._asked("POST", self._path("get"), SERVER_ANSWER_BYTES_MAX, body)
        try:
            if len(raw) < _IN_A_THREAD_BYTES:
                return decode_told(raw, dialect=self.dialect)
            return await asyncio.to_thread(decode_told, raw, dialect=self.dialect)
        except TooLarge as error:
            raise AnswerTooLarge(error.message) from error
        except (BodyInvalid, BodyMalformed) as error:
            raise ServerGarbled(f"its answer: {error.message}") from error

    async def store(self, blobs: Blobs) -> None:
        """Brings it blobs; it has them durably when this returns.

        Its generations answer with nothing or with JSON: a page for people is somebody else's.
        """
        body = encode_blobs(blobs, dialect=self.dialect)
        answer = await self._asked("POST", self._path("store"), SERVER_PAGE_BYTES_MAX, body)
        if answer:
            try:
                check_json(answer)
            except BodyMalformed as error:
                raise ServerGarbled(f"its answer: {error.message}") from error

    def _path(self, verb: str) -> str:
        return f"/{self.dialect.blobs}/{verb}"

    async def _asked(
        self, method: str, path: str, bytes_max: int, body: bytes | None = None
    ) -> bytes:
        """The body of its answer, a success."""
        self.bytes_out += len(body or b"")
        now_s = asyncio.get_running_loop().time()
        await asyncio.sleep(self._outgoing.wait_s(len(body or b""), now_s=now_s))
        async with _slow(SERVER_MS_MIN / 1000 + len(body or b"") / SERVER_BYTES_PER_S_MIN):
            with _faults(self.url):
                response = await self._session.request(
                    method, self.url + path, data=body, headers=_JSON, allow_redirects=False
                )
        async with response:
            self._check(response, path)
            return await self._read(response, bytes_max)

    def _check(self, response: aiohttp.ClientResponse, path: str) -> None:
        status = response.status
        if 200 <= status < 300:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise ServerGarbled("its answer is encoded, which was not asked for")
            return
        response.close()
        if status < 400 or status in _ABSENT:
            raise ServerUnspoken(f"{self.url} answers {path} with status {status}")
        raise ServerRefused(
            f"{path} is answered with status {status}",
            path=path,
            status=status,
            retry_after_s=_retry_after_s(response),
        )

    async def _read(self, response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
        if (response.content_length or 0) > bytes_max:
            response.close()
            raise AnswerTooLarge(f"an answer has {response.content_length} bytes")
        body = bytearray()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            due_s = began_s + SERVER_MS_MIN / 1000 + len(body) / SERVER_BYTES_PER_S_MIN
            async with _slow(due_s - loop.time()):
                with _faults(self.url):
                    chunk = await response.content.readany()
            if not chunk:
                return bytes(body)
            self.bytes_in += len(chunk)
            await asyncio.sleep(self._incoming.wait_s(len(chunk), now_s=loop.time()))
            body += chunk
            if len(body) > bytes_max:
                response.close()
                raise AnswerTooLarge(f"an answer has more than {bytes_max} bytes")


class _Known(AbstractResolver):
    """The one address that is known already: names are resolved elsewhere, and not by threads
    that would hold up our end."""

    def __init__(self, at: Endpoint) -> None:
        self._at = at

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        address = self._at.host
        found = socket.AF_INET6 if ":" in address else socket.AF_INET
        known = ResolveResult(
            hostname=host, host=address, port=port, family=found, proto=0, flags=0
        )
        return [known]

    async def close(self) -> None:
        return


@contextlib.asynccontextmanager
async def _slow(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            yield
    except TimeoutError as error:
        raise ServerSlow("it does not answer in time") from error


@contextlib.contextmanager
def _faults(url: str) -> Iterator[None]:
    """Faults of the client library as ours."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise CertificateWrong(f"{url}: {error.certificate_error}") from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise CertificateWrong(f"{url}: no TLS connection: {error}") from error
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError) as error:
        raise PeerUnreachable(f"{url}: the connection was lost in the middle") from error
    except aiohttp.ClientResponseError as error:
        raise ServerGarbled(f"{url}: what it answers is not HTTP") from error
    except aiohttp.ClientConnectorError as error:
        raise PeerUnreachable(f"{url}: {error.os_error.strerror or 'no connection'}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PeerUnreachable(f"{url}: {error}") from error


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """How long it asks us to stay away; a date counts from its own."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), RETRY_AFTER_S_MAX)
    try:
        until = email.utils.parsedate_to_datetime(said)
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        wait_s = (until - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, wait_s), RETRY_AFTER_S_MAX)
