"""One phone at one node: it knows what was acknowledged, and asks for all of it again."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import aiohttp

from tests.node.processes import RunningNode
from tests.waiting import eventually

TOPIC, AUTHOR = "a" * 64, "b" * 64
MESSAGE_BYTES = 2_000
AGAIN_S_MAX = 40.0
"""Seconds until it stores again: two of its pauses, and a busy machine."""


class Phone:
    """Stores messages one after another, and knows which were acknowledged."""

    def __init__(self, session: aiohttp.ClientSession, node: RunningNode) -> None:
        self.node = node
        self.acknowledged: dict[str, bytes] = {}
        self._session = session
        self._next = 0

    async def store(self, size_bytes: int = MESSAGE_BYTES) -> int:
        """One message; the status of the answer."""
        seq, data = str(self._next), secrets.token_bytes(size_bytes)
        self._next += 1
        body = {"blips": {TOPIC: {AUTHOR: {seq: base64.b64encode(data).decode()}}}}
        status, _ = await self.post("/blips/store", body)
        if status == 201:
            self.acknowledged[seq] = data
        return status

    async def read(self) -> dict[str, bytes]:
        """Everything, page by page."""
        found: dict[str, bytes] = {}
        while True:
            heights = {AUTHOR: max(map(int, found))} if found else {}
            status, document = await self.post("/blips/get", {"topics": {TOPIC: heights}})
            assert status == 200, document
            blips = document["blips_by_topic"][TOPIC]["blips"].get(AUTHOR, {})
            found |= {seq: base64.b64decode(data) for seq, data in blips.items()}
            if not blips:
                return found

    async def lost(self) -> list[str]:
        """What was acknowledged and is not there any more."""
        found = await self.read()
        return [s for s, data in self.acknowledged.items() if found.get(s) != data]

    async def assert_nothing_lost(self) -> None:
        assert await self.lost() == []

    async def until(self, status: int) -> None:
        """Stores until an answer has this status."""

        async def is_answered() -> bool:
            return await self.store() == status

        await eventually(is_answered, within_s=AGAIN_S_MAX)

    async def trouble(self) -> list[str]:
        """What the status says of the store."""
        warnings: list[str] = (await self.status())["warnings"]
        return [text for text in warnings if "nothing is stored" in text]

    async def status(self) -> dict[str, Any]:
        """The status document, over TCP: the control socket may be in another mount namespace."""
        async with self._session.get(self.node.url("admin") + "/api/status") as answer:
            document: dict[str, Any] = await answer.json()
        return document

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self._session.post(self.node.url() + path, json=body) as answer:
            document = await (answer.json(content_type=None) if answer.ok else answer.text())
            return answer.status, document
