from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.core.clock import SystemReading
from meshbox.mailbox.system_clock import BUILD_DATE_MS
from meshbox.node.checkup import machine
from meshbox.node.checkup.check import State
from meshbox.node.checkup.machine import check_clock, check_disk


def test_a_disk_that_takes_writes_is_ok_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    check = check_disk(tmp_path / "not" / "made" / "yet")
    assert (check.state, check.hint) == (State.OK, None)
    assert str(tmp_path) in check.detail
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_fails_with_the_reason() -> None:
    check = check_disk(Path("/proc/1"))
    assert check.state is State.FAIL
    assert check.hint is not None


def test_a_slow_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SYNC_MS_SLOW", 0.0)
    assert check_disk(tmp_path).state is State.WARN


def test_a_disk_with_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "RESERVE_BYTES_MAX", 2**80)
    check = check_disk(tmp_path)
    assert check.state is State.WARN
    assert "free some space" in str(check.hint)


@pytest.mark.parametrize(
    ("wall_ms", "synchronised", "state"),
    [
        (BUILD_DATE_MS, True, State.OK),
        (BUILD_DATE_MS, False, State.WARN),
        (BUILD_DATE_MS - 1, True, State.WARN),
        (0, False, State.WARN),
    ],
)
def test_the_clock(wall_ms: int, *, synchronised: bool, state: State) -> None:
    check = check_clock(SystemReading(1, "boot", wall_ms, synchronised))
    assert check.state is state
    assert (check.hint is None) == (state is State.OK)
