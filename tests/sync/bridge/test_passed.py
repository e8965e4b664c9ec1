"""What came in vain is passed for a while."""

from __future__ import annotations

from meshbox.core.ids import Topic
from meshbox.core.limits import PASSED_LOGS_MAX
from meshbox.sync.bridge.passed import PASSED_MS, Passed

T = Topic("t")


def test_the_highest_is_passed_until_its_time_is_over() -> None:
    passed = Passed(now_ms=1_000)
    for seq in (3, 7, 5):
        passed.note(T, "a", seq)
    assert passed.of(T, now_ms=1_000 + PASSED_MS - 1) == {"a": 7}
    assert passed.of(Topic("u"), now_ms=2_000) == {}
    assert passed.of(T, now_ms=1_000 + PASSED_MS) == {}


def test_too_many_are_forgotten() -> None:
    passed = Passed(now_ms=0)
    for number in range(PASSED_LOGS_MAX + 1):
        passed.note(T, str(number), 0)
    assert passed.of(T, now_ms=1) == {}
    passed.note(T, "a", 0)
    assert passed.of(T, now_ms=1) == {"a": 0}
