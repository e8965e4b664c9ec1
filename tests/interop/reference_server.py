"""A second mailbox server, written for these tests from the facts alone, that can be made to err.

It proves the table: without a planted deviation every row passes, with any of them a row fails. So
no row was copied from meshbox's answers, and none is so weak that it always passes. Nothing of
meshbox is imported; what is slow or unbounded here does not matter.
"""

from __future__ import annotations

import asyncio
import base64
import re
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.flaws import Flaw
from tests.interop.reference_answers import Reply, Writer, judged_report
from tests.interop.reference_bodies import BodyReader, Malformed, Members, Misshapen
from tests.interop.reference_store import ReferenceStore, Tree
from tests.interop.row import Power

MIB = 1 << 20
BODY_BYTES_MAX = 64 * MIB
ID_BYTES_MAX = 128
TOPICS_MAX, BLOBS_MAX = 4_096, 16_384

VARY = "origin, access-control-request-method, access-control-request-headers"


class Refused(Exception):
    """An answer that is no success, raised where the fault is seen."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ReferenceServer:
    """Runs in a thread of its own while the context is open."""

    powers = frozenset(Power)

    def __init__(self, planted: frozenset[Flaw] = frozenset()) -> None:
        self._planted = planted
        self._reader = BodyReader(planted)
        self._writer = Writer(planted)
        self._store = ReferenceStore(planted)
        # One data set, unless it is planted that there are two.
        two = Flaw.TWO_DATA_SETS in planted
        self._stores = {
            "blobs": self._store,
            "blips": ReferenceStore(planted) if two else self._store,
        }
        self._key = new_key()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.url = ""
        self._routes: dict[str, tuple[str, Callable[[Any], Reply]]] = {
            "/messages/store": ("POST", self._store_message),
            "/messages/get": ("POST", self._get_messages),
            "/blobs/store": ("POST", self._store_blobs),
            "/blobs/get": ("POST", lambda body: self._get("blobs", body)),
            "/blips/store": ("POST", self._store_blips),
            "/blips/get": ("POST", lambda body: self._get("blips", body)),
            "/blobs/register-hashes": ("POST", self._register_hashes),
            "/peers/register": ("POST", self._register_peer),
            "/report": ("POST", self._report),
            "/blobs/upload": ("POST", lambda _: Reply(501)),
            "/health": ("GET", lambda _: self._writer.health(self._key)),
        }

    def __enter__(self) -> ReferenceServer:
        self._thread.start()
        self._in_loop(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def advance(self, hours: float) -> None:
        for store in set(self._stores.values()):
            store.now_h += hours

    def restart(self) -> None:
        for store in set(self._stores.values()):
            store.restart()
        if Flaw.NEW_ID_AT_RESTART in self._planted:
            self._key = new_key()

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._runner = web.ServerRunner(
            web.Server(self._handle, auto_decompress=False, lingering_time=1.0)
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _end(self) -> None:
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # What comes before and after any handler.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            reply = await self._reply(request)
        except Refused as refusal:
            reply = self._writer.rejection(refusal.status, str(refusal))
        except Malformed as fault:
            status = 422 if Flaw.NOT_JSON_IS_422 in self._planted else 400
            reply = self._writer.rejection(status, str(fault))
        except Misshapen as fault:
            status = 400 if Flaw.WRONG_SHAPE_IS_400 in self._planted else 422
            status = 500 if Flaw.WRONG_SHAPE_IS_500 in self._planted else status
            reply = self._writer.rejection(status, str(fault))
        headers = [*reply.headers, *self._common(request, reply.status)]
        if reply.content_type:
            headers.append(("content-type", reply.content_type))
        response = web.Response(status=reply.status, body=reply.body or None, headers=headers)
        if not request.content.is_eof():
            response.force_close()
        return response

    def _common(self, request: web.BaseRequest, status: int) -> list[tuple[str, str]]:
        headers = {
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "*",
            "vary": VARY,
        }
        if request.method == "OPTIONS":
            del headers["access-control-expose-headers"]
        if Flaw.NO_CORS_HEADER in self._planted or (
            status >= 400 and Flaw.NO_CORS_ON_ERRORS in self._planted
        ):
            del headers["access-control-allow-origin"]
        if Flaw.NO_EXPOSE in self._planted:
            headers.pop("access-control-expose-headers", None)
        if Flaw.NO_VARY in self._planted:
            del headers["vary"]
        return list(headers.items())

    async def _reply(self, request: web.BaseRequest) -> Reply:
        path, _, query = request.raw_path.partition("?")
        if query and Flaw.QUERY_IS_A_PATH in self._planted:
            return Reply(404)
        if Flaw.SLASH_IS_IGNORED in self._planted:
            path = path.rstrip("/")
        if request.method == "OPTIONS":
            return self._preflight(request, path)
        if path not in self._routes:
            return Reply(
                404, b"not found" if Flaw.UNKNOWN_PATH_HAS_A_BODY in self._planted else b""
            )
        method, handler = self._routes[path]
        allowed = (
            (method,) if Flaw.NO_HEAD in self._planted or method == "POST" else ("GET", "HEAD")
        )
        if request.method not in allowed:
            if Flaw.WRONG_METHOD_IS_404 in self._planted:
                return Reply(404)
            allow = () if Flaw.NO_ALLOW_HEADER in self._planted else (("allow", ",".join(allowed)),)
            return Reply(405, headers=allow)
        if method == "GET":
            return handler(None)
        if path == "/blobs/upload":
            if Flaw.UPLOADS_ARE_TAKEN in self._planted:
                return self._writer.json(200, {"hash": "00" * 32})
            raise Refused(501, "text only")
        reply = await self._post(request, path, handler)
        waits = parse_qs(query, keep_blank_values=True).get("wait", [])
        if waits and path.endswith("/get"):
            self._check_waits(waits)
            if Flaw.WAIT_OVER_IS_204 in self._planted:
                return Reply(204)
        return reply

    def _check_waits(self, waits: list[str]) -> None:
        if Flaw.ANY_WAIT in self._planted:
            return
        if len(waits) > 1 or not re.fullmatch(r"\d+(\.\d+)?", waits[0]):
            raise Refused(422, "bad wait")

    def _preflight(self, request: web.BaseRequest, path: str) -> Reply:
        if path not in self._routes and Flaw.PREFLIGHT_NEEDS_A_ROUTE in self._planted:
            return Reply(404)
        if "origin" not in request.headers and Flaw.PREFLIGHT_NEEDS_AN_ORIGIN in self._planted:
            return Reply(405)
        headers = [("access-control-allow-methods", "*"), ("access-control-allow-headers", "*")]
        if Flaw.ALLOWS_CREDENTIALS in self._planted:
            headers.append(("access-control-allow-credentials", "true"))
        return Reply(204 if Flaw.PREFLIGHT_IS_204 in self._planted else 200, headers=tuple(headers))

    async def _post(
        self, request: web.BaseRequest, path: str, handler: Callable[[Any], Reply]
    ) -> Reply:
        if Flaw.BODY_BEFORE_TYPE in self._planted:
            body = self._reader.read(await self._body(request, path))
            self._check_type(request)
            return handler(body)
        self._check_type(request)
        return handler(self._reader.read(await self._body(request, path)))

    def _check_type(self, request: web.BaseRequest) -> None:
        kind = request.headers.get("content-type", "")
        pattern = (
            r"application/json"
            if Flaw.NO_SUFFIX_TYPES in self._planted
            else (r"application/([\w.-]+\+)?json")
        )
        if Flaw.NO_PARAMETERS not in self._planted:
            kind = kind.partition(";")[0].strip()
        is_json = re.fullmatch(pattern, kind, re.IGNORECASE) is not None
        if kind and Flaw.ANY_CONTENT_TYPE in self._planted:
            is_json = True
        if not kind and Flaw.MISSING_CONTENT_TYPE in self._planted:
            is_json = True
        if not is_json:
            raise Refused(415, "not JSON")
        encoded = "content-encoding" in request.headers
        if encoded and Flaw.CONTENT_ENCODING_IGNORED not in self._planted:
            raise Refused(415, "encoded")

    async def _body(self, request: web.BaseRequest, path: str) -> bytes:
        most = BODY_BYTES_MAX
        if Flaw.SMALL_BODIES_OF_0_18 in self._planted and path.startswith("/blobs"):
            most = 2 * MIB
        if Flaw.NO_BODY_LIMIT in self._planted:
            most = 1 << 40
        if Flaw.LIMIT_COUNTS_BLOBS in self._planted:
            most = most * 3 // 4
        if (request.content_length or 0) > most:
            raise Refused(413, "too large")
        body = bytearray()
        try:
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > most:
                    raise Refused(413, "too large")
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Malformed("the stream broke") from error
        return bytes(body)

    # /blobs and /blips.

    def _store_blobs(self, body: Any) -> Reply:
        if self._is_announcement(body):
            return self._register_hashes(body)
        self._deposit("blobs", body)
        status = 200 if Flaw.STORE_IS_200 in self._planted else 201
        if Flaw.STORE_ANSWERS_JSON in self._planted:
            return self._writer.json(status, {})
        return Reply(status)

    def _is_announcement(self, body: Any) -> bool:
        if type(body) is not Members or "blob_hashes" not in dict(body):
            return False
        hashes = dict(body)["blob_hashes"]
        is_one = type(hashes) is list and all(type(item) is str for item in hashes)
        return is_one or Flaw.MALFORMED_ANNOUNCEMENT_IS_A_STORE not in self._planted

    def _store_blips(self, body: Any) -> Reply:
        return self._writer.watermarks(self._deposit("blips", body))

    def _deposit(self, name: str, body: Any) -> dict[str, dict[str, int | None]]:
        extra = ("sender_pubkey", "signature", "blob_hashes", "scrub_hashes")
        members = self._reader.struct(body, names=[name], optional=extra)
        tree: Tree = {}
        try:
            self._read_tree(members[name], tree)
        except (Refused, Malformed, Misshapen) as fault:
            halves = isinstance(fault, Refused) and Flaw.HALF_A_STORE_OF_BAD_IDS in self._planted
            if halves or Flaw.HALF_A_STORE in self._planted:
                self._stores[name].deposit(tree)
            raise
        count = sum(len(blobs) for authors in tree.values() for blobs in authors.values())
        if count > BLOBS_MAX and Flaw.NO_LIMITS_OF_COUNTS not in self._planted:
            raise Refused(413, "too many blobs")
        if Flaw.DUPLICATE_IS_409 in self._planted and self._knows(name, tree):
            raise Refused(409, "known")
        return self._stores[name].deposit(tree)

    def _knows(self, name: str, tree: Tree) -> bool:
        held, _, _ = self._stores[name].fetch({topic: {} for topic in tree})
        return any(
            seq in held[topic].get(author, {})
            for topic, authors in tree.items()
            for author, blobs in authors.items()
            for seq in blobs
        )

    def _read_tree(self, value: Any, tree: Tree) -> None:
        """Fills `tree` as far as the request is good."""
        for topic, authors in self._reader.mapping(value).items():
            for author, blobs in self._reader.mapping(authors).items():
                texts = self._reader.mapping(blobs)
                self._check_id(topic)
                self._check_id(author)
                log = tree.setdefault(topic, {}).setdefault(author, {})
                for key, text in texts.items():
                    log[self._reader.seq(key)] = self._reader.blob(text)

    def _check_id(self, name: str) -> None:
        if ":" in name or "\0" in name:
            raise Refused(500 if Flaw.BAD_ID_IS_500 in self._planted else 422, "bad id")
        if len(name.encode()) > ID_BYTES_MAX and Flaw.LONG_IDS_ARE_TAKEN not in self._planted:
            raise Refused(422, "long id")
        if not name and Flaw.EMPTY_ID_IS_REFUSED in self._planted:
            raise Refused(422, "empty id")
        if Flaw.IDS_MUST_BE_HEX in self._planted and not re.fullmatch("[0-9a-f]{64}", name):
            raise Refused(422, "not hex")

    def _get(self, name: str, body: Any) -> Reply:
        members = self._reader.struct(body, names=["topics"])
        heights: dict[str, dict[str, int]] = {}
        for topic, authors in self._reader.mapping(members["topics"]).items():
            asked = self._reader.mapping(authors)
            heights[topic] = {author: self._reader.height(at) for author, at in asked.items()}
            if asked or Flaw.LONE_BAD_TOPIC_IS_TAKEN not in self._planted:
                self._check_id(topic)
            for author in asked:
                self._check_id(author)
        if len(heights) > TOPICS_MAX and Flaw.NO_LIMITS_OF_COUNTS not in self._planted:
            raise Refused(413, "too many topics")
        tree, missing, more = self._stores[name].fetch(heights)
        return self._writer.fetched(name, tree, missing, more=more)

    # The rest.

    def _store_message(self, body: Any) -> Reply:
        members = self._reader.struct(body, names=["topic_id", "message"])
        topic = members["topic_id"]
        if type(topic) is not str:
            raise Misshapen("topic_id is no text")
        if Flaw.COLON_MESSAGES not in self._planted:
            self._check_id(topic)
        self._store.append(topic, self._reader.blob(members["message"]))
        return Reply(201)

    def _get_messages(self, body: Any) -> Reply:
        topics = self._texts(self._reader.struct(body, names=["topic_ids"])["topic_ids"])
        found = self._store.messages(dict.fromkeys(topics))
        coded = {topic: [_base64(data) for data in found[topic]] for topic in sorted(found)}
        return self._writer.json(200, {"messages": coded})

    def _register_hashes(self, body: Any) -> Reply:
        members = self._reader.struct(body, names=["blob_hashes"], optional=_ANNOUNCEMENT)
        hashes = self._texts(members["blob_hashes"])
        if Flaw.ANNOUNCE_IS_404 in self._planted:
            return Reply(404)
        stored = hashes if Flaw.CLAIMS_MEDIA in self._planted else []
        return self._writer.json(200, {"already_stored": stored})

    def _register_peer(self, body: Any) -> Reply:
        self._reader.mapping(self._reader.struct(body, names=["addr"])["addr"])
        return Reply(201 if Flaw.PEER_IS_201 in self._planted else 204)

    def _report(self, body: Any) -> Reply:
        names = ("reported_device_ids", "timestamp", "reporter_pubkey", "signature")
        report = self._reader.struct(body, names=names)
        self._texts(report["reported_device_ids"])
        self._texts([report["reporter_pubkey"], report["signature"]])
        if type(report["timestamp"]) is not int:
            raise Misshapen("timestamp is no integer")
        now_ms = time.time_ns() // 1_000_000
        status = judged_report(report, now_ms=now_ms, planted=self._planted)
        return Reply(status) if status == 201 else self._writer.rejection(status, "refused")

    def _texts(self, value: Any) -> list[str]:
        if type(value) is not list or not all(type(item) is str for item in value):
            raise Misshapen("expected a list of texts")
        return value


_ANNOUNCEMENT = ("sender_pubkey", "signature", "expect_upload", "op_ref", "blobs")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def new_key() -> bytes:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
