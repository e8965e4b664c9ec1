"""What commands print: one JSON document for programs, aligned text for people.

Standard output is for results alone; whatever went wrong goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(document: Mapping[str, Any]) -> None:
    """One document on one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_lines(lines: Sequence[str]) -> None:
    """Text, a line each."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns begin at the same place; the last one may be of any length."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def size(size_bytes: int) -> str:
    """Bytes for people: `1.5 MB`."""
    amount, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1_000:
            break
        amount, unit = amount / 1_000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def ago(moment_ms: int | None, now_ms: int) -> str:
    """How long ago a moment was, for people."""
    if moment_ms is None:
        return "never"
    seconds = max(0, now_ms - moment_ms) // 1_000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
