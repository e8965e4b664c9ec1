"""How rows say things: the requests of each API generation, and the answers to them.

`BLOBS` and `BLIPS` are one protocol under two names, so most rows are written once, for a dialect.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.interop.bodies import Json
from tests.interop.checks import JSON_TYPE, OK, JsonIs, status
from tests.interop.row import Ask, Body, Check, Part, Request

JSON_BODY = (("content-type", "application/json"),)


def post(path: str, body: Body | None, *checks: Check, headers: Any = JSON_BODY) -> Ask:
    """A POST; `headers` replaces the content type."""
    return Ask(Request(method="POST", path=path, headers=tuple(headers), body=body), checks)


def ask(method: str, path: str, *checks: Check, headers: Any = ()) -> Ask:
    """A request without a body."""
    return Ask(Request(method=method, path=path, headers=tuple(headers)), checks)


class Dialect(NamedTuple):
    """One of the two generations that number what they store."""

    part: Part
    name: str
    """Of its routes, and of its members."""
    chapter: str
    """Where its shapes are told."""

    @property
    def store_path(self) -> str:
        return f"/{self.name}/store"

    @property
    def get_path(self) -> str:
        return f"/{self.name}/get"

    def tree(self, tree: Any) -> dict[str, Any]:
        """The body of a store request: topic → author → seq → base64."""
        return {self.name: tree}

    def store(self, tree: Any, *checks: Check) -> Ask:
        """Stores; by default it only must succeed."""
        return post(self.store_path, Json(self.tree(tree)), *(checks or (OK,)))

    def store_as(self, body: Body, *checks: Check, headers: Any = JSON_BODY) -> Ask:
        """A store request with any body."""
        return post(self.store_path, body, *checks, headers=headers)

    def get(self, heights: Any, *checks: Check) -> Ask:
        """Asks for what is above `heights`: topic → author → height."""
        return post(self.get_path, Json({"topics": heights}), *checks)

    def got(self, **topics: Any) -> tuple[Check, ...]:
        """The answer has exactly these topics, each (blobs by author, missing by author)."""
        value = {
            self.by_topic: {
                f"${topic}": {self.name: blobs, "missing": missing}
                for topic, (blobs, missing) in topics.items()
            }
        }
        return (status(200), JSON_TYPE, JsonIs(value))

    def holds(self, heights: Any, **topics: Any) -> Ask:
        """A get, and the exact answer to it."""
        return self.get(heights, *self.got(**topics))

    @property
    def by_topic(self) -> str:
        return f"{self.name}_by_topic"


BLOBS = Dialect(Part.BLOBS, "blobs", "compat 1.2")
BLIPS = Dialect(Part.BLIPS, "blips", "compat 1.4")
NUMBERED = (BLOBS, BLIPS)

# One byte each: 0, 1, 2, 3.
B0, B1, B2, B3 = "AA==", "AQ==", "Ag==", "Aw=="


def log(*seqs: int) -> dict[int, str]:
    """A log whose blob at each of `seqs` is one byte, that number modulo 4."""
    return {seq: (B0, B1, B2, B3)[seq % 4] for seq in seqs}
