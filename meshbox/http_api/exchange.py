"""One request and its answer, as the handlers of all generations see them.

A handler gets an `Exchange`, asks it for the body, and returns an `Answer`, or raises a
`MeshboxError` (errors.py knows the status). Handlers know no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from meshbox.core.errors import QueryInvalid
from meshbox.core.limits import BODY_SMALL_BYTES_MAX, FETCH_BYTES_MAX
from meshbox.http_api.body import check_json_headers, read_body
from meshbox.http_api.connection import Connection
from meshbox.http_api.memory_leases import Lease, MemoryLeases
from meshbox.http_api.proxies import FORWARDED_HEADER
from meshbox.http_api.request import Request
from meshbox.http_api.settings import HttpSettings

JSON: Final = "application/json"

_QUERY_FIELDS_MAX: Final = 16


class Answer(NamedTuple):
    """What a handler says. `content_type` is sent only with a body."""

    status: int
    body: bytes = b""
    content_type: str = JSON


CREATED: Final = Answer(201)
NO_CONTENT: Final = Answer(204)


class Exchange:
    """One request while it is handled; what it has lent ends with its answer."""

    __slots__ = (
        "_answers",
        "_connection",
        "_request",
        "_settings",
        "answer_lease",
        "body_lease",
        "client",
    )

    def __init__(
        self,
        request: Request,
        connection: Connection,
        *,
        settings: HttpSettings,
        bodies: MemoryLeases,
        answers: MemoryLeases,
    ) -> None:
        self._request = request
        self._connection = connection
        self._settings = settings
        self._answers = answers
        self.body_lease = Lease(bodies)
        self.answer_lease = Lease(answers)
        forwarded = request.header(FORWARDED_HEADER)
        self.client = settings.proxies.client(connection.client, forwarded)
        """The address that the request came from, through proxies that are trusted."""

    def query(self, name: str) -> list[str]:
        """The values of a parameter behind the path's `?`; `QueryInvalid` for too many of them."""
        query = self._request.query
        if not query:
            return []
        try:
            fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_MAX)
        except ValueError as error:
            raise QueryInvalid(f"more than {_QUERY_FIELDS_MAX} parameters") from error
        return [value for key, value in fields if key == name]

    def when_left(self) -> asyncio.Future[None]:
        """Is done as soon as nobody waits for the answer any more."""
        return self._connection.when_left()

    async def json_body(self) -> bytes:
        """The body of a request that says it is JSON; the faults of body.py."""
        check_json_headers(self._request)
        return await read_body(
            self._request,
            invite=self._connection.invite_body,
            lease=self.body_lease,
            settings=self._settings,
        )

    def forget_body(self) -> None:
        """The body is decoded: its memory is for others, however long the answer takes."""
        self.body_lease.end()

    def page_bytes_max(self) -> int:
        """Bytes of blobs that an answer should have: a small page when memory is short, so that
        slow readers of large ones hold up nobody."""
        has_room = self._answers.has_room(_weight(FETCH_BYTES_MAX))
        return FETCH_BYTES_MAX if has_room else BODY_SMALL_BYTES_MAX

    async def lend_answer(self, size_bytes: int) -> None:
        """Waits for memory for an answer with `size_bytes` of blobs; `NodeBusy`."""
        if size_bytes > BODY_SMALL_BYTES_MAX:
            patience_s = self._settings.body_leave_ms_max / 1000
            await self.answer_lease.take(_weight(size_bytes), patience_s=patience_s)


Handler = Callable[[Exchange], Awaitable[Answer]]


class Route(NamedTuple):
    """One path of the API."""

    method: str
    """GET (and HEAD with it) or POST."""
    path: str
    handler: Handler


def _weight(blob_bytes: int) -> int:
    """Bytes of memory: the blobs, and their base64."""
    return blob_bytes + blob_bytes * 4 // 3
