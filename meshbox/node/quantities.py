"""Durations and sizes as people write them: `7d`, `6d12h`, `90s`; `10GB`, `512MiB`.

Pure. Durations are whole milliseconds, sizes whole bytes; what `show_*` returns parses to the same
number. A number without a unit is refused for durations (of what?) and means bytes for sizes.
"""

from __future__ import annotations

import re
from typing import Final

from meshbox.core.errors import InvalidSetting

_DURATION_UNITS_MS: Final = {
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_SIZE_UNITS: Final = {
    "": 1,
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}
_DURATION = re.compile(r"(?:[0-9]{1,18}(?:ms|d|h|m|s))+")
_DURATION_PART = re.compile(r"([0-9]+)(ms|d|h|m|s)")
_SIZE = re.compile(r"([0-9]{1,18}) ?([A-Za-z]{0,3})")


def parse_duration(text: str) -> int:
    """Milliseconds of a duration such as `7d` or `1h30m`; `InvalidSetting` for any other text."""
    if not _DURATION.fullmatch(text):
        raise InvalidSetting(
            f"{text!r} is not a duration", hint="a number and a unit, such as 7d, 12h, 30m or 90s"
        )
    return sum(int(n) * _DURATION_UNITS_MS[unit] for n, unit in _DURATION_PART.findall(text))


def show_duration(duration_ms: int) -> str:
    """A duration in milliseconds in its largest units: `7d`, `6d12h`, `0s`."""
    shown = ""
    for unit, unit_ms in _DURATION_UNITS_MS.items():
        count, duration_ms = divmod(duration_ms, unit_ms)
        shown += f"{count}{unit}" if count else ""
    return shown or "0s"


def parse_size(text: str) -> int:
    """Bytes of a size such as `10GB` (10^9) or `512MiB` (2^20); `InvalidSetting` otherwise."""
    match = _SIZE.fullmatch(text)
    unit = _unit_named(match[2]) if match else None
    if match is None or unit is None:
        raise InvalidSetting(
            f"{text!r} is not a size", hint="a number and a unit, such as 500MB, 10GB or 16GiB"
        )
    return int(match[1]) * unit


def show_size(size_bytes: int) -> str:
    """A size in the largest unit that divides it: `10GB`, `512MiB`, `1234B`."""
    whole = [name for name, unit in _SIZE_UNITS.items() if name and size_bytes % unit == 0]
    largest = max(whole, key=lambda name: _SIZE_UNITS[name]) if size_bytes else "B"
    return f"{size_bytes // _SIZE_UNITS[largest]}{largest}"


def _unit_named(name: str) -> int | None:
    """Bytes of a unit, in whatever case it was written."""
    folded = {known.lower(): size for known, size in _SIZE_UNITS.items()}
    return folded.get(name.lower())
