"""Whether a node serves its purpose now, for whoever sends it traffic or restarts it.

A **reason** makes it not ready: what clients ask of it fails. A **concern** does not, but somebody
should know. That the clock is not synchronised is a concern only: node time needs no wall clock
(design.md 4.5), and a node in a field without internet would never be ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from meshbox.admin.sources import Sources, Unopened
from meshbox.core.errors import NodeStopping

READY_SCHEMA: Final = "meshbox.ready/1"

CLOCK_CONCERN: Final = "clock.unsynchronised"


class Remark(msgspec.Struct, frozen=True):
    """One reason or concern. `code` is stable (docs/errors.md), `message` is for people."""

    code: str
    message: str


class ReadyDocument(msgspec.Struct, frozen=True):
    """Ready while there are no reasons against it."""

    schema: str
    ready: bool
    reasons: list[Remark]
    concerns: list[Remark]


def readiness(sources: Sources | Unopened) -> ReadyDocument:
    """As of now; asks the disk nothing."""
    reasons = list(_reasons(sources))
    return ReadyDocument(
        schema=READY_SCHEMA,
        ready=not reasons,
        reasons=reasons,
        concerns=list(_concerns(sources)),
    )


def _reasons(sources: Sources | Unopened) -> Iterator[Remark]:
    if sources.is_stopping():
        yield Remark(NodeStopping.code, str(NodeStopping("the node stops")))
    trouble = sources.trouble()
    if trouble is not None:
        yield Remark(trouble.code, str(trouble))


def _concerns(sources: Sources | Unopened) -> Iterator[Remark]:
    if not sources.system_clock.read().synchronised:
        message = "the wall clock is not synchronised; ages are kept by node time"
        yield Remark(CLOCK_CONCERN, message)
    for warning in sources.warnings():
        yield Remark("warning", warning)
