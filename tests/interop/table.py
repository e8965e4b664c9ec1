"""The whole table, and its overview: `python -m tests.interop.table` writes docs/conformance.md.

MAILBOX_URL=http://…     another server than a node of ours
MAILBOX_KIND=upstream    it is the apps' own server: where we differ on purpose, expect its answers
MAILBOX_PARTS=health,blobs   what it serves (default: upstream health and blobs, meshbox all)
"""

from __future__ import annotations

from pathlib import Path

from tests.interop import (
    rows_blips,
    rows_health,
    rows_ids,
    rows_keeping,
    rows_media,
    rows_messages,
    rows_numbered,
    rows_pages,
    rows_requests,
    rows_routes,
    rows_waiting,
)
from tests.interop.flaws import Flaw
from tests.interop.row import Kind, Part, Row

_MODULES = (
    rows_health,
    rows_requests,
    rows_routes,
    rows_numbered,
    rows_keeping,
    rows_ids,
    rows_pages,
    rows_waiting,
    rows_blips,
    rows_messages,
    rows_media,
)

ROWS: tuple[Row, ...] = tuple(row for module in _MODULES for row in module.rows())
BY_ID = {row.id: row for row in ROWS}

PARTS_OF_KIND = {
    Kind.MESHBOX: frozenset(Part) - {Part.DOLLOPS},
    Kind.UPSTREAM: frozenset({Part.HEALTH, Part.BLOBS}),
}
"""What a server serves when nobody says: the apps' own is 0.18's, which was built and tried."""

ROUTES = {
    "/health",
    *(f"/{name}/{verb}" for name in ("messages", "blobs", "blips") for verb in ("store", "get")),
    "/blobs/register-hashes",
    "/blobs/upload",
    "/peers/register",
    "/report",
}
"""Every path of every generation."""

OVERVIEW = Path(__file__).parents[2] / "docs/conformance.md"


def overview() -> str:
    """docs/conformance.md: the rules with their numbers of rows, and every difference."""
    return "\n".join([*_head(), *_rules(), "", *_differences(), ""])


_INTRODUCTION = """\
# Conformance with the apps' mailbox API

Written by `python -m tests.interop.table`; a test sees that it is current.

Every rule of the mailbox API that Dash Chat apps rely on is a row in `tests/interop/rows_*.py`:
requests, and what their answers must be. The rows come from what the apps and their own server do,
not from what meshbox answers: a second server, written for the tests from the same facts, passes
them all, and fails a row as soon as one of {flaws} deviations is planted in it.

```
scripts/test tests/interop/test_conformance.py             # against a node of ours
export MAILBOX_URL=http://host:3000                        # against another server
export MAILBOX_KIND=upstream MAILBOX_PARTS=health,blobs    # the apps' own: expects its answers
```

Sources: `compat`, `media-facts` and `design` are this project's notes on what the released apps and
servers do, section by section, and on what it decided.

Rows use fresh random topics, so they may be played against a server in use. Rows that move the
clock or kill the server are played only where that can be done.

{rows} rows; in {differing} of them meshbox differs from the apps' own server on purpose.
"""


def _head() -> list[str]:
    differing = [row for row in ROWS if row.differs is not None]
    text = _INTRODUCTION.format(flaws=len(Flaw), rows=len(ROWS), differing=len(differing))
    lines = [*text.splitlines(), "", "| part | rows | differing |", "|---|---|---|"]
    for part in Part:
        count = sum(row.part is part for row in ROWS)
        if count:
            own = sum(row.part is part for row in differing)
            lines.append(f"| {part.value} | {count} | {own} |")
    return [*lines, ""]


def _rules() -> list[str]:
    rules: dict[tuple[str, str], list[Row]] = {}
    for row in ROWS:
        rules.setdefault((row.rule, row.says), []).append(row)
    lines = ["## Rules", "", "| source | rule | rows |", "|---|---|---|"]
    for (rule, says), rows in sorted(rules.items(), key=lambda item: item[0][0]):
        lines.append(f"| {rule} | {says} | {_names(rows)} |")
    return lines


def _differences() -> list[str]:
    whys: dict[str, list[Row]] = {}
    for row in ROWS:
        if row.differs is not None:
            whys.setdefault(row.differs.why, []).append(row)
    lines = ["## Where meshbox differs on purpose", "", "| meshbox | why | rows |", "|---|---|---|"]
    for why, rows in whys.items():
        says = "; ".join(dict.fromkeys(row.says for row in rows))
        lines.append(f"| {says} | {why} | {_names(rows)} |")
    return lines


def _names(rows: list[Row]) -> str:
    shown = ", ".join(f"`{row.id}`" for row in rows[:2])
    return shown if len(rows) <= 2 else f"{shown} and {len(rows) - 2} more"


if __name__ == "__main__":
    OVERVIEW.write_text(overview(), encoding="utf-8")
