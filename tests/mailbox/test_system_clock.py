"""The real clocks of this machine, and the file that moves them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.clock import NodeClock, SystemClock, SystemReading
from meshbox.core.errors import InvalidSetting
from meshbox.mailbox import system_clock
from meshbox.mailbox.system_clock import (
    BUILD_DATE_MS,
    OFFSET_MS_MAX,
    TEST_CLOCK_VARIABLE,
    OperatingSystemClock,
    kernel_synchronised,
)
from tests.clocks import ManualClock

DAY_MS = 86_400_000
SLACK_MS = 60_000
"""What may pass between two lines of a test on a busy machine."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


@pytest.fixture
def moves(tmp_path: Path) -> Path:
    return write(tmp_path / "clock.json")


def write(path: Path, **settings: object) -> Path:
    path.write_text(json.dumps(settings))
    return path


def moved_by_ms(now: SystemReading, before: SystemReading) -> tuple[int, int]:
    """(boot, wall) in whole days."""
    return (
        round((now.boot_ms - before.boot_ms) / DAY_MS),
        round((now.wall_ms - before.wall_ms) / DAY_MS),
    )


def test_reads_the_clocks_of_this_machine() -> None:
    clock: SystemClock = OperatingSystemClock()
    before_ms = time.time_ns() // 1_000_000
    first, second = clock.read(), clock.read()
    assert before_ms <= first.wall_ms <= before_ms + SLACK_MS
    assert first.boot_ms <= second.boot_ms <= first.boot_ms + SLACK_MS
    assert first.boot_id == second.boot_id
    assert first.boot_id


@on_linux
def test_all_processes_of_a_boot_agree() -> None:
    uptime_ms = float(Path("/proc/uptime").read_text().split()[0]) * 1000
    reading = OperatingSystemClock().read()
    assert abs(reading.boot_ms - uptime_ms) < SLACK_MS
    assert reading.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@on_linux
def test_asks_the_kernel_as_the_c_library_would() -> None:
    """`ntp_adjtime` of the same library says the same; its spare room was not too small."""
    buffer = ctypes.create_string_buffer(1024)
    state = ctypes.CDLL(None).ntp_adjtime(buffer)
    assert kernel_synchronised() == (state in range(5))
    assert not any(buffer.raw[512:]), "the kernel writes less than the room given"


def test_where_there_is_no_boot_id_each_start_is_another_boot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(system_clock, "_BOOT_ID_FILE", tmp_path / "absent")
    one, other = OperatingSystemClock(), OperatingSystemClock()
    assert one.read().boot_id == one.read().boot_id != other.read().boot_id


def test_the_build_date_is_past() -> None:
    assert OperatingSystemClock().read().wall_ms > BUILD_DATE_MS


def test_no_test_clock_unless_asked() -> None:
    for environment in ({}, {TEST_CLOCK_VARIABLE: ""}):
        assert not OperatingSystemClock.from_environment(environment).test_clock_in_use


def test_an_empty_document_moves_nothing(moves: Path) -> None:
    clock = OperatingSystemClock.from_environment({TEST_CLOCK_VARIABLE: str(moves)})
    assert clock.test_clock_in_use
    real = OperatingSystemClock().read()
    reading = clock.read()
    assert moved_by_ms(reading, real) == (0, 0)
    assert (reading.boot_id, reading.synchronised) == (real.boot_id, real.synchronised)


def test_each_setting_moves_its_own_clock(moves: Path) -> None:
    real = OperatingSystemClock().read()
    clock = OperatingSystemClock(test_clock=moves)
    write(moves, boot_offset_ms=8 * DAY_MS)
    assert moved_by_ms(clock.read(), real) == (8, 0)
    write(moves, wall_offset_ms=-3650 * DAY_MS)
    assert moved_by_ms(clock.read(), real) == (0, -3650)
    for synchronised in (True, False):
        write(moves, synchronised=synchronised, boot_id=f"boot-{synchronised}")
        reading = clock.read()
        assert reading.synchronised is synchronised
        assert reading.boot_id == f"boot-{synchronised}"
    write(moves)
    assert moved_by_ms(clock.read(), real) == (0, 0)
    assert clock.read().boot_id == real.boot_id


def test_eight_days_pass_at_once(moves: Path) -> None:
    clock = OperatingSystemClock(test_clock=moves)
    node = NodeClock.start(None, clock.read(), build_date_ms=BUILD_DATE_MS)
    before_ms = node.now_ms(clock.read())
    write(moves, boot_offset_ms=8 * DAY_MS)
    assert 0 <= node.now_ms(clock.read()) - before_ms - 8 * DAY_MS < SLACK_MS


def test_writes_of_one_size_in_quick_succession_are_all_seen(moves: Path) -> None:
    clock = OperatingSystemClock(test_clock=moves)
    for day in range(100, 300):
        write(moves, boot_id=f"{day}")
        assert clock.read().boot_id == f"{day}"


def test_a_second_write_in_one_step_of_the_files_time_is_seen(moves: Path) -> None:
    clock = OperatingSystemClock(test_clock=moves)
    step_ns = time.time_ns()
    for boot_id in ("one", "two"):
        write(moves, boot_id=boot_id)
        os.utime(moves, ns=(step_ns, step_ns))
        assert clock.read().boot_id == boot_id


def test_a_settled_file_is_read_once_and_then_only_looked_at(moves: Path) -> None:
    """So that the clock stays cheap: a write that hides its time is not noticed."""
    clock = OperatingSystemClock(test_clock=write(moves, boot_id="one"))
    os.utime(moves, (1_000, 1_000))
    assert clock.read().boot_id == "one"
    write(moves, boot_id="two")
    os.utime(moves, (1_000, 1_000))
    assert clock.read().boot_id == "one"
    os.utime(moves, (2_000, 2_000))
    assert clock.read().boot_id == "two"


def test_a_file_that_is_replaced_is_seen(moves: Path, tmp_path: Path) -> None:
    clock = OperatingSystemClock(test_clock=moves)
    write(tmp_path / "new", boot_id="other").replace(moves)
    assert clock.read().boot_id == "other"


@pytest.mark.parametrize("seen", ["", '{"boot_id": "b2", "boot_off', "[]", None])
def test_until_the_file_is_whole_again_the_last_settings_stay(
    moves: Path, seen: str | None
) -> None:
    write(moves, boot_id="b1", boot_offset_ms=DAY_MS)
    clock = OperatingSystemClock(test_clock=moves)
    before = clock.read()
    if seen is None:
        moves.unlink()
    else:
        moves.write_text(seen)
    reading = clock.read()
    assert reading.boot_id == "b1"
    assert moved_by_ms(reading, before) == (0, 0)
    write(moves, boot_id="b2", boot_offset_ms=2 * DAY_MS)
    assert clock.read().boot_id == "b2"
    assert moved_by_ms(clock.read(), before) == (1, 0)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        '{"boot_offset": 1}',
        '{"boot_offset_ms": "1"}',
        '{"boot_offset_ms": 1.5}',
        '{"boot_offset_ms": true}',
        f'{{"wall_offset_ms": {OFFSET_MS_MAX + 1}}}',
        f'{{"wall_offset_ms": {-OFFSET_MS_MAX - 1}}}',
        '{"boot_offset_ms": 1' + "0" * 400 + "}",
        '{"synchronised": 1}',
        '{"boot_id": ""}',
        '{"boot_id": 7}',
        '{"boot_id": "\xff"}',
    ],
)
def test_a_bad_file_stops_the_start_and_is_named(moves: Path, document: str) -> None:
    moves.write_bytes(document.encode("latin-1"))
    with pytest.raises(InvalidSetting, match=TEST_CLOCK_VARIABLE) as failed:
        OperatingSystemClock.from_environment({TEST_CLOCK_VARIABLE: str(moves)})
    assert str(moves) in str(failed.value)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="absent"):
        OperatingSystemClock(test_clock=tmp_path / "absent")


@given(document=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_settings_or_a_named_fault(
    tmp_path_factory: pytest.TempPathFactory, document: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(document)
    with contextlib.suppress(InvalidSetting):
        OperatingSystemClock(test_clock=path).read()


def test_the_manual_clock_is_a_system_clock() -> None:
    manual = ManualClock()
    clock: SystemClock = manual
    before = clock.read()
    manual.advance(5)
    assert moved_by_ms(clock.read(), before) == (0, 0)
    assert clock.read() == before._replace(boot_ms=before.boot_ms + 5, wall_ms=before.wall_ms + 5)
    manual.reboot(boot_id="b2", off_ms=7, synchronised=False)
    assert clock.read() == SystemReading(0, "b2", before.wall_ms + 12, synchronised=False)
