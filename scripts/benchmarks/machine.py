"""The machine as it is right now: a figure without it says little."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Final

import msgspec

_PROBES: Final = 200
_PROBE_S_MAX: Final = 2.0
_PROBE_BYTES: Final = 4096
_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


class Machine(msgspec.Struct, frozen=True):
    """`fdatasync_p50_ms`: of 4 KiB appended to a file in the folder where the nodes keep theirs.
    `load_1min`: what ran beside us when the measurement began; None where it is not told."""

    cores: int
    cpu: str
    python: str
    kernel: str
    file_system: str | None
    fdatasync_p50_ms: float
    load_1min: float | None


def describe(folder: Path) -> Machine:
    """The machine, with the disk below `folder`. Takes at most about 2 s."""
    return Machine(
        cores=_cores(),
        cpu=_cpu(),
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        file_system=file_system(folder),
        fdatasync_p50_ms=round(_fdatasync_p50_ms(folder), 3),
        load_1min=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def file_system(folder: Path) -> str | None:
    """The kind of file system that `folder` is on; None where only Linux would know."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    path = folder.resolve()
    kinds = {Path(mount): kind for _, mount, kind, *_ in map(str.split, mounts)}
    return next((kinds[place] for place in (path, *path.parents) if place in kinds), None)


def is_in_memory(folder: Path) -> bool:
    """Whether nothing in `folder` ever reaches a disk."""
    return file_system(folder) in _MEMORY


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _fdatasync_p50_ms(folder: Path) -> float:
    sync = getattr(os, "fdatasync", os.fsync)  # macOS has fsync alone
    path = folder / "fdatasync"
    took_ms: list[float] = []
    end = time.perf_counter() + _PROBE_S_MAX
    with path.open("wb", buffering=0) as file:
        while len(took_ms) < _PROBES and time.perf_counter() < end:
            begun = time.perf_counter()
            file.write(bytes(_PROBE_BYTES))
            sync(file.fileno())
            took_ms.append((time.perf_counter() - begun) * 1000)
    path.unlink()
    return statistics.median(took_ms)
