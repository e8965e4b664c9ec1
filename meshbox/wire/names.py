"""Names that a session says again and again, said in full once (sync.proto, "Names").

Each direction of a session has a ring of slots for a kind of name. A name said in full takes the
next slot, at the writer and at the reader alike; until another takes it, the slot stands for it.
Nothing is negotiated: both sides count the names that were said in full.

Invariant: at most `NAMES_MAX` names are remembered, by either side, whatever is said.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from meshbox.core.errors import FrameMalformed
from meshbox.core.limits import NAMES_MAX

Name = TypeVar("Name", bound=Hashable)

IN_FULL: Final = 0
"""What stands on the wire where a name is said in full; a slot is its number + 1."""


class NameRing(Generic[Name]):
    """The names of one kind in one direction, as either side remembers them."""

    __slots__ = ("_names", "_next", "_slots")

    def __init__(self) -> None:
        self._names: list[Name] = []
        self._slots: dict[Name, int] = {}
        self._next = 0

    def say(self, name: Name) -> int:
        """What stands for `name`; `IN_FULL` when it must be said, after which it is remembered."""
        slot = self._slots.get(name)
        if slot is not None:
            return slot + 1
        self.remember(name)
        return IN_FULL

    def remember(self, name: Name) -> None:
        """`name` was said in full."""
        if len(self._names) < NAMES_MAX:
            self._names.append(name)
        else:
            former = self._names[self._next]
            if self._slots[former] == self._next:
                del self._slots[former]
            self._names[self._next] = name
        self._slots[name] = self._next
        self._next = (self._next + 1) % NAMES_MAX

    def hear(self, known: int) -> Name:
        """The name that `known`, not `IN_FULL`, stands for; `FrameMalformed` when it is none."""
        if known > len(self._names):
            raise FrameMalformed("a name that was never said")
        return self._names[known - 1]
