"""How long Hypothesis searches where it is not as long as the profile says."""

from __future__ import annotations

from hypothesis import settings


def examples(of_100: int) -> int:
    """As many examples as `of_100` are of a hundred, by the profile; few with --fast."""
    return max(1, settings.default.max_examples * of_100 // 100)  # type: ignore[union-attr]
