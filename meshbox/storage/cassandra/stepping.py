"""Which row a process writes of a log next, and what it knows of the log then.

A step says what was added. A whole row says all, stands for everything before the lag, and names
the rows within the lag that it includes (merging.py). Pure.
"""

from __future__ import annotations

from typing import Final

from meshbox.storage.cassandra.known import KnownLog
from meshbox.storage.cassandra.merging import Row, RowId, step_of
from meshbox.storage.cassandra.planning import LogChange
from meshbox.storage.cassandra.positions import position_of

STEPS_MAX: Final = 64
"""Steps after which the whole record is written, and what it includes is dropped."""


def next_row(change: LogChange, known: KnownLog | None, row_id: RowId, *, lag_ms: int) -> Row:
    """The row of a change: a step, unless the change or the steps before it ask for a whole one."""
    if not change.whole and (known is None or known.steps < STEPS_MAX):
        step = step_of(change.after.log, row_id[0], change.added)
        return Row(row_id, step, whole=False, includes=frozenset())
    since = row_id[0] - position_of(lag_ms)
    includes = frozenset(other for other in known.rows if other[0] >= since) if known else ()
    record = change.after._replace(change=row_id[0])
    return Row(row_id, record, whole=True, includes=frozenset(includes))


def known_after(change: LogChange, row: Row, known: KnownLog | None, *, read_ms: int) -> KnownLog:
    """What is known of a log once its row is written; `read_ms`: when it was read, if it was not
    known."""
    record = change.after._replace(change=max(row.id[0], known.record.change if known else 0))
    before = known.rows if known else ()
    read_ms = known.read_ms if known else read_ms
    if row.whole:
        kept = (row.id, *row.includes)
        return KnownLog(record, tuple(sorted(kept)), row.id[0], read_ms)
    return KnownLog(record, (*before, row.id), known.whole_at if known else 0, read_ms)
