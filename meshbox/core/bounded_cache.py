"""`BoundedCache`: values by key, bounded by count and by weight."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Values by key; what was used least recently goes first when the bounds are reached."""

    def __init__(self, *, count_max: int, weight_max: int) -> None:
        self._entries: dict[K, tuple[V, int]] = {}
        self._count_max = count_max
        self._weight_max = weight_max
        self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, now the most recently used."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._entries[key] = entry
        return entry[0]

    def put(self, key: K, value: V, *, weight: int) -> None:
        """Remembers a value of about `weight` bytes."""
        former = self._entries.pop(key, None)
        self._weight += weight - (former[1] if former is not None else 0)
        self._entries[key] = (value, weight)
        while len(self._entries) > self._count_max or self._weight > self._weight_max:
            _, gone = self._entries.pop(next(iter(self._entries)))
            self._weight -= gone

    def discard(self, key: K) -> None:
        """Forgets a value, if it is known."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[1]
