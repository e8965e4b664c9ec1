"""How much of the session's code a simulation reached, as coverage.py tells (scripts/simulate)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

BRANCHES_LEAST: Final = 0.95
"""The part of all branches that is to be reached."""


class Summary(msgspec.Struct):
    num_statements: int
    covered_lines: int
    num_branches: int
    covered_branches: int


class File(msgspec.Struct):
    summary: Summary
    missing_lines: list[int]
    missing_branches: list[tuple[int, int]]


class Report(msgspec.Struct):
    files: dict[str, File]
    totals: Summary


def main(path: str) -> int:
    """Tells it; the exit status."""
    report = msgspec.json.decode(Path(path).read_bytes(), type=Report)
    for name, file in sorted(report.files.items()):
        unreached = [f"{start}→{'end' if end < 0 else end}" for start, end in file.missing_branches]
        if unreached or file.missing_lines:
            branches, lines = " ".join(unreached), " ".join(map(str, file.missing_lines))
            sys.stdout.write(f"{name}: branches {branches or '-'}; lines {lines or '-'}\n")
    total = report.totals
    part = total.covered_branches / total.num_branches
    sys.stdout.write(
        f"reached {total.covered_branches} of {total.num_branches} branches ({part:.1%}) and "
        f"{total.covered_lines} of {total.num_statements} statements of core/session\n"
    )
    return 0 if part >= BRANCHES_LEAST else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
