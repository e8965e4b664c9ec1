"""What a row of the conformance table is: a rule, requests that show it, the answers it demands.

Rows are data. A row knows neither a server nor a socket; the runner plays it against any base URL.
The names in it are placeholders ($t < $u < $v for topics, $a < $b < $c for authors), fresh for
every play, so rows do not meet and may be played against a server in use.

Where meshbox differs from the apps' own server on purpose, the row has a `Difference`: why, and
what that server answers instead (None: it is not asked, because it would not survive the question).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol


class Kind(Enum):
    """Whose answers a row expects."""

    MESHBOX = "meshbox"
    UPSTREAM = "upstream"


class Part(Enum):
    """What a server may serve. Rows about a part that it does not serve are not played."""

    HEALTH = "health"
    IDENTITY = "identity"
    """The members of /health that 0.19 added."""
    MESSAGES = "messages"
    BLOBS = "blobs"
    DOLLOPS = "dollops"
    BLIPS = "blips"
    MEDIA = "media"


class Power(Enum):
    """What can be done to a server from outside its API. Most rows need none."""

    CLOCK = "clock"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Scene:
    """One play of a row: its fresh names, the time in ms since 1970, and what checks remember."""

    names: Mapping[str, str]
    now_ms: int
    remembered: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


class Body(Protocol):
    """Makes the bytes of a request's body."""

    def render(self, scene: Scene) -> bytes:
        """The body as sent."""


class Check(Protocol):
    """One demand on an answer."""

    def fault(self, answer: Answer, scene: Scene) -> str | None:
        """What is wrong with `answer`; None when nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `host` and `content-length` are added unless `headers` has the length."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None


class Ask(NamedTuple):
    """A request, and everything that its answer must be."""

    request: Request
    checks: tuple[Check, ...]


class Advance(NamedTuple):
    """The server's clock moves on. Needs `Power.CLOCK`."""

    hours: float


class Restart(NamedTuple):
    """The server ends, without notice, and starts again on its data. Needs `Power.RESTART`."""


Step = Ask | Advance | Restart
Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where meshbox differs from the apps' own server on purpose."""

    why: str
    upstream: Steps | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule. `rule` cites the facts: "compat 1.2 rule 4" is section 1.2, rule 4."""

    id: str
    part: Part
    rule: str
    says: str
    steps: Steps
    differs: Difference | None = field(default=None)

    def steps_for(self, kind: Kind) -> Steps | None:
        """What is played for `kind`; None: nothing."""
        if kind is Kind.UPSTREAM and self.differs is not None:
            return self.differs.upstream
        return self.steps

    def needs(self, kind: Kind) -> set[Power]:
        """What the steps for `kind` need beside the API."""
        found = {Advance: Power.CLOCK, Restart: Power.RESTART}
        return {found[type(step)] for step in self.steps_for(kind) or () if type(step) in found}
