"""A record as it is shown: without what is due."""

from __future__ import annotations

from meshbox.core.inventory import LogDraft, LogRecord


def shown(record: LogRecord, *, due_through: int) -> LogRecord:
    """The record as if all that is due had expired; itself when nothing is."""
    if all(run.bucket > due_through for run in record.runs):
        return record
    draft = LogDraft(record)
    draft.expire(due_through)
    return draft.finish(record.change)
