"""The apps' own mailbox server, as the facts tell of it, with a count of what it is asked.

It is the reference server of the conformance tests with every deviation that is the apps' own
server's: no pages, the newest wins, storing again renews, what expired above a hole is missing
again, a list of all that is missing. A height that would kill the real one kills it. It can be
made to serve one generation alone, to keep blobs for 90 days, and to answer as no mailbox server
does (`mood`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.interop.flaws import Flaw
from tests.interop.reference_server import ReferenceServer, Refused, new_key
from tests.interop.reference_store import Heights, Kept, Missing, ReferenceStore, Tree

UPSTREAM = frozenset(
    {
        Flaw.NEWEST_WINS,
        Flaw.STORING_AGAIN_RENEWS,
        Flaw.EXPIRED_ABOVE_WATERMARK_IS_MISSING,
        Flaw.EXPIRED_IS_TAKEN_AGAIN,
        Flaw.NO_PAGES,
        Flaw.CAP_OF_EACH_AUTHOR,
        Flaw.BAD_ID_IS_500,
        Flaw.LONE_BAD_TOPIC_IS_TAKEN,
        Flaw.LONG_IDS_ARE_TAKEN,
        Flaw.SUPPLEMENTARY_AUTHORS_ARE_LOST,
        Flaw.TRAILING_BYTES_ARE_TAKEN,
        Flaw.LISTS_FOR_OBJECTS,
        Flaw.NO_LIMITS_OF_COUNTS,
        Flaw.ANY_DEPTH,
        Flaw.CONTENT_ENCODING_IGNORED,
        Flaw.MEMBER_TWICE_IS_422,
        Flaw.ANY_WAIT,
        Flaw.INFINITE_HEIGHT_IS_400,
        Flaw.MINUS_ZERO_IS_A_FLOAT,
        Flaw.NO_SCRUBBABLE_BLIPS,
    }
)
"""Where it differs from ours on purpose (docs/conformance.md)."""

WEEK_H, QUARTER_H = 7 * 24.0, 90 * 24.0
KILLING = 1_000_000
"""Numbers of one list of what is missing: gigabytes at some more, and the end at 2^64."""

Mood = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class QuirkyStore(ReferenceStore):
    """Its data, kept for a week or for 90 days."""

    def __init__(self, planted: frozenset[Flaw], *, kept_h: float) -> None:
        super().__init__(planted)
        self.kept_h = kept_h
        self.brought = self.given = 0
        self.heights: list[Heights] = []
        self.killed = False

    def _is_alive(self, kept: Kept) -> bool:
        return self.now_h - kept.at_h < self.kept_h

    def deposit(self, tree: Tree) -> Any:
        self.brought += sum(len(blobs) for authors in tree.values() for blobs in authors.values())
        return super().deposit(tree)

    def held(self) -> dict[tuple[str, str], dict[int, bytes]]:
        """All that it would give out, by topic and author."""
        return {
            (topic, author): {seq: log.blobs[seq].data for seq in self._held(log)}
            for topic, logs in self._logs.items()
            for author, log in logs.items()
        }

    def fetch(self, heights: Heights) -> tuple[Tree, Missing, bool]:
        self.heights.append(heights)
        if self._longest_list(heights) > KILLING:
            self.killed = True
            raise AssertionError("the real server would have died of this height")
        tree, missing, more = super().fetch(heights)
        self.given += sum(len(blobs) for authors in tree.values() for blobs in authors.values())
        return tree, missing, more

    def _longest_list(self, heights: Heights) -> int:
        """How many numbers it would go through for what is missing of one log."""
        lengths = [0]
        for topic, authors in heights.items():
            for author, height in authors.items():
                log = self._logs.get(topic, {}).get(author)
                watermark = None if log is None else self._watermark(log)
                lengths.append(height - (-1 if watermark is None else watermark))
        return max(lengths)


class QuirkyServer(ReferenceServer):
    """Runs in a thread of its own while the context is open."""

    def __init__(
        self,
        *,
        generations: tuple[str, ...] = ("blobs",),
        kept_h: float = WEEK_H,
        planted: frozenset[Flaw] = UPSTREAM,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(planted)
        self.data = QuirkyStore(planted, kept_h=kept_h)
        self._stores = {"blobs": self.data, "blips": self.data}
        for name in {"blobs", "blips"} - set(generations):
            for verb in ("store", "get"):
                del self._routes[f"/{name}/{verb}"]
        self._tls = tls
        self.asked: Counter[str] = Counter()
        self.at_once = self.at_once_max = 0
        self.mood: Mood | None = None
        self.untaken: bytes | None = None
        """A blob with which no request is taken."""

    def put(self, topic: str, author: str, blobs: dict[int, bytes]) -> None:
        """A phone stores something."""
        ReferenceStore.deposit(self.data, {topic: {author: blobs}})

    def __enter__(self) -> QuirkyServer:
        super().__enter__()
        return self

    @property
    def heights(self) -> list[Heights]:
        """What it was asked with so far."""
        return self.data.heights

    @property
    def killed(self) -> bool:
        """Whether a height was such that it would have died."""
        return self.data.killed

    @property
    def stores(self) -> int:
        """Store requests so far."""
        return self.asked["/blobs/store"] + self.asked["/blips/store"]

    @property
    def gets(self) -> int:
        """Get requests so far."""
        return self.asked["/blobs/get"] + self.asked["/blips/get"]

    async def _listen(self) -> None:
        await super()._listen()
        if self._tls is not None:
            site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
            await site.start()
            self.url = f"https://localhost:{self._runner.addresses[-1][1]}"

    @property
    def brought(self) -> int:
        """Blobs that it was brought so far, each as often as it was."""
        return self.data.brought

    @property
    def given(self) -> int:
        """Blobs that it gave out so far, each as often as it did."""
        return self.data.given

    def forget(self) -> None:
        """It lost its database, and has a new id."""
        self.data = QuirkyStore(self._planted, kept_h=self.data.kept_h)
        self._stores = {"blobs": self.data, "blips": self.data}
        self._key = new_key()

    async def usually(self, request: web.BaseRequest) -> web.StreamResponse:
        """What it answers when it has no mood."""
        return await super()._handle(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        self.asked[request.path] += 1
        try:
            if self.mood is not None:
                return await self.mood(request)
            return await self.usually(request)
        finally:
            self.at_once -= 1

    def _read_tree(self, value: Any, tree: Tree) -> None:
        super()._read_tree(value, tree)
        blobs = [
            blob for of_topic in tree.values() for log in of_topic.values() for blob in log.values()
        ]
        if self.untaken is not None and self.untaken in blobs:
            raise Refused(413, "too large")


async def html(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="<html>Welcome to our hotel</html>", content_type="text/html")


async def garbage(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=bytes(range(256)), content_type="application/json")


async def redirect(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": str(request.url)})


async def gigabyte(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1024):
        await response.write(b" " * (1 << 20))
    return response


async def announced_gigabyte(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(1 << 30)})
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.sleep(0.5)
    return response


async def byte_by_byte(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for byte in json.dumps({"blips_by_topic": {}}).encode():
        await response.write(bytes([byte]))
        await asyncio.sleep(1)
    return response


async def hanging(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response(status=503)


async def busy(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=503, headers={"Retry-After": "3600"})


async def failing(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=500, text="Internal server error")


async def absent(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404, text="<html>404</html>")


async def packed(_: web.BaseRequest) -> web.StreamResponse:
    body = gzip.compress(b" " * (1 << 24))
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


def saying(by_topic: dict[str, Any]) -> Mood:
    """A server of the older generation that always answers just this."""

    async def mood(request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.startswith("/blobs"):
            return web.Response(status=404)
        body = json.loads(await request.read())
        asked = by_topic if body.get("topics") else {}
        return web.Response(
            text=json.dumps({"blobs_by_topic": asked}), content_type="application/json"
        )

    return mood
