"""What a check says: how it is, what was seen, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How a thing is. Only `FAIL` keeps a mailbox from its work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. `hint` is what to do, None where nothing is to be done."""

    name: str
    state: State
    detail: str
    hint: str | None = None
