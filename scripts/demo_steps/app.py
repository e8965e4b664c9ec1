"""What a phone's app does at a mailbox: store messages, ask for what is new. Plain HTTP and JSON.

A message is known by (author, sequence number). Its content is random bytes here, which is what an
end-to-end encrypted message looks like to a mailbox.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from scripts.demo_steps.faults import DemoFailed
from scripts.demo_steps.waiting import Stopwatch

ANSWER_S_MAX = 10.0

Messages = dict[tuple[str, int], bytes]


class Release(NamedTuple):
    """How one generation of the app talks: the paths have its word for a message."""

    word: str


NEWER = Release("blips")
OLDER = Release("blobs")


def new_id() -> str:
    """A topic or author: 64 hexadecimal digits, as in the apps."""
    return secrets.token_hex(32)


def write(author: str, *, first: int, count: int) -> Messages:
    """`count` new messages of 100 to 1,500 bytes, numbered from `first`."""
    sizes = (100 + secrets.randbelow(1_401) for _ in range(count))
    return {(author, first + i): secrets.token_bytes(size) for i, size in enumerate(sizes)}


def as_json(messages: Messages) -> dict[str, dict[str, str]]:
    """Messages as the apps send them: by author, by number, in base64."""
    authors: dict[str, dict[str, str]] = {}
    for (author, seq), content in messages.items():
        authors.setdefault(author, {})[str(seq)] = base64.b64encode(content).decode()
    return authors


def store(mailbox: str, name: str, topic: str, messages: Messages, *, by: Release = NEWER) -> float:
    """Stores messages at the mailbox at HOST:PORT; the milliseconds until it had said yes."""
    body = {by.word: {topic: as_json(messages)}}
    watch = Stopwatch()
    status, _ = _post(mailbox, name, f"/{by.word}/store", body)
    took_ms = watch.ms
    if status != http.client.CREATED:
        raise DemoFailed(f"{name} answered {status} to an app that stores messages", node=name)
    return took_ms


class Reader:
    """A phone that follows one topic at one mailbox, each poll asking for what it has not got."""

    def __init__(self, name: str, topic: str, where: Callable[[str], str]) -> None:
        self.name = name
        self.got: Messages = {}
        self._topic = topic
        self._where = where

    def poll(self) -> int:
        """Asks once; how many messages were new."""
        heights: dict[str, int] = {}
        for author, seq in self.got:
            heights[author] = max(seq, heights.get(author, 0))
        asked = {"topics": {self._topic: heights}}
        status, document = _post(self._where(self.name), self.name, f"/{NEWER.word}/get", asked)
        if status != http.client.OK:
            raise DemoFailed(f"{self.name} answered {status} to an app that reads", node=self.name)
        authors = document["blips_by_topic"][self._topic]["blips"]
        new = {
            (author, int(seq)): base64.b64decode(content, validate=True)
            for author, contents in authors.items()
            for seq, content in contents.items()
        }
        self.got |= new
        return len(new)

    def poll_all(self) -> None:
        """Asks until an answer brings nothing new."""
        while self.poll():
            pass

    def has(self, sent: Messages) -> bool:
        """Whether all of `sent` was read. `DemoFailed` when one came with other bytes."""
        for key, content in sent.items():
            if key in self.got and self.got[key] != content:
                reason = f"{self.name} gave message {key[1]} of an author with other bytes"
                raise DemoFailed(f"{reason} than were stored", node=self.name)
        return sent.keys() <= self.got.keys()

    def count(self, sent: Messages) -> int:
        """How many of `sent` were read."""
        return len(sent.keys() & self.got.keys())


def get(address: str, name: str, path: str) -> dict[str, Any]:
    """The JSON document at `path`; `DemoFailed` when there is none."""
    status, document = _request(address, name, "GET", path, None)
    if status != http.client.OK:
        raise DemoFailed(f"{name} answered {status} to GET {path}", node=name)
    return document


def _post(address: str, name: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return _request(address, name, "POST", path, json.dumps(body).encode())


def _request(
    address: str, name: str, method: str, path: str, body: bytes | None
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address, timeout=ANSWER_S_MAX)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise DemoFailed(f"{name} does not answer at {address} ({said})", node=name) from error
    finally:
        connection.close()
