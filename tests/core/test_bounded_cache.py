"""What a bounded cache keeps, and what goes first."""

from __future__ import annotations

from meshbox.core.bounded_cache import BoundedCache


def test_a_cache_forgets_what_was_used_least_recently() -> None:
    cache = BoundedCache[str, int](count_max=3, weight_max=100)
    for at, key in enumerate("abc"):
        cache.put(key, at, weight=10)
    assert cache.get("a") == 0
    cache.put("d", 3, weight=10)
    assert cache.get("b") is None
    cache.put("e", 4, weight=85)
    assert [cache.get(key) for key in "acde"] == [None, None, 3, 4]
    cache.put("e", 5, weight=1)
    cache.put("f", 6, weight=89)
    assert [cache.get(key) for key in "def"] == [3, 5, 6]
    cache.discard("d")
    cache.discard("never")
    assert len(cache) == 2
    cache.put("huge", 7, weight=101)
    assert len(cache) == 0


def test_what_is_discarded_weighs_nothing() -> None:
    cache = BoundedCache[str, int](count_max=3, weight_max=100)
    cache.put("a", 0, weight=90)
    cache.discard("a")
    cache.put("b", 1, weight=50)
    cache.put("c", 2, weight=50)
    assert [cache.get(key) for key in "bc"] == [1, 2]
