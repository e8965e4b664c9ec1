"""The disk and the clock."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from meshbox.core.clock import SystemReading
from meshbox.core.room import RESERVE_BYTES_MAX
from meshbox.mailbox.system_clock import BUILD_DATE_MS
from meshbox.node.checkup.check import Check, State

SYNC_MS_SLOW: Final = 100.0
"""Milliseconds of an fsync, which every deposit waits for: an SD card needs 5 to 50."""

SYNCS: Final = 5
_WRITTEN_BYTES: Final = 4_096
_MIB: Final = 1024 * 1024


def check_disk(data_dir: Path) -> Check:
    """Whether the disk of `data_dir` has room, takes writes and confirms them soon."""
    folder = data_dir
    while not folder.exists():
        folder = folder.parent
    try:
        free_bytes = shutil.disk_usage(folder).free
        sync_ms = _sync_ms(folder)
    except OSError as error:
        hint = "free some space, or give this user the folder; --data-dir names another"
        return Check("disk", State.FAIL, f"{folder}: {error.strerror}", hint)
    detail = f"{folder}: {free_bytes // _MIB:,} MiB free, a write is on disk in {sync_ms:.1f} ms"
    if free_bytes < RESERVE_BYTES_MAX:
        hint = (
            f"below {RESERVE_BYTES_MAX // _MIB} MiB old messages go for new ones: free some space"
        )
        return Check("disk", State.WARN, detail, hint)
    if sync_ms > SYNC_MS_SLOW:
        return Check("disk", State.WARN, detail, "deposits wait for it: another disk would help")
    return Check("disk", State.OK, detail)


def _sync_ms(folder: Path) -> float:
    """The median of a few small writes, each forced to the disk."""
    took = []
    with tempfile.TemporaryFile(dir=folder, prefix="meshbox-doctor-") as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(bytes(_WRITTEN_BYTES))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def check_clock(reading: SystemReading) -> Check:
    """Whether the wall clock can be right. Messages live as long as they should in any case."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(reading.wall_ms / 1000))
    if reading.wall_ms < BUILD_DATE_MS:
        hint = "it is before this release was made: set it, or connect a time service"
        return Check("clock", State.WARN, f"the wall clock says {shown}", hint)
    if not reading.synchronised:
        detail = f"the wall clock says {shown}, and nothing keeps it so"
        return Check("clock", State.WARN, detail, "run a time service (chrony, systemd-timesyncd)")
    return Check("clock", State.OK, f"synchronised, {shown}")
