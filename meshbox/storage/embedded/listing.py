"""Records listed: the logs of a topic, and all logs by key."""

from __future__ import annotations

import asyncio
from typing import Final

from meshbox.core.ids import LOG_KEY_BYTES, LogKey, Namespace, Topic
from meshbox.core.inventory import LogRecord
from meshbox.storage.embedded.caches import TopicLogs, oldest_bucket
from meshbox.storage.embedded.database import Database
from meshbox.storage.embedded.records import decode_record
from meshbox.storage.embedded.schema import TOPIC_HASH_BYTES, topic_prefix, topic_range
from meshbox.storage.keyvalue import Family

_TURN_LOGS_MAX: Final = 256
"""Records loaded in one turn of the loop: about 5 ms when none is remembered."""


async def topic_records(
    database: Database, namespace: Namespace, topic: Topic
) -> tuple[LogRecord, ...]:
    """The records of a topic's logs, ordered by author.

    One look at what is remembered when no log of the topic changed; else their records, a bounded
    number a turn.
    """
    name = (namespace, topic)
    due_through = database.time.due_through()
    listings = database.caches.listings
    logs = database.caches.topics.get(name)
    if logs is None:
        logs = await _load(database, namespace, topic)
    if logs.records is not None and logs.oldest_bucket > due_through:
        return logs.records
    return await _collect(database, name, logs, listings=listings)


async def _load(database: Database, namespace: Namespace, topic: Topic) -> TopicLogs:
    """The logs of a topic from the database; remembered unless one came or went meanwhile."""
    listings = database.caches.listings
    prefix = topic_prefix(namespace, topic)
    first, end = topic_range(prefix)
    names: list[tuple[bytes, LogKey]] = []
    while True:
        page = database.key_value.scan(Family.TOPIC, first, end, limit=_TURN_LOGS_MAX)
        keys = [LogKey(key[TOPIC_HASH_BYTES:]) for key, _ in page]
        for key, record in zip(keys, database.records_held(keys), strict=True):
            if record.log.topic == topic and record.log.namespace == namespace:
                names.append((record.log.author.encode(), key))
        if len(page) < _TURN_LOGS_MAX:
            break
        first = page[-1][0] + b"\0"
        await asyncio.sleep(0)
    names.sort()
    logs = TopicLogs(names)
    if listings == database.caches.listings:
        database.caches.remember_topic((namespace, topic), logs)
    return logs


async def _collect(
    database: Database, name: tuple[Namespace, Topic], logs: TopicLogs, *, listings: int
) -> tuple[LogRecord, ...]:
    """The records of `logs`, as `Caches.listings` was; remembered with them when no change came
    between."""
    change = database.counts.change
    keys = [key for _, key in logs.names]
    records: list[LogRecord] = []
    for at in range(0, len(keys), _TURN_LOGS_MAX):
        if at:
            await asyncio.sleep(0)
        due_through = database.time.due_through()
        part = keys[at : at + _TURN_LOGS_MAX]
        if listings == database.caches.listings:
            found = database.records_held(part)
        else:  # One may have been forgotten meanwhile.
            found = [record for record in database.records(part) if record is not None]
        records += (database.shown(record, due_through=due_through) for record in found)
    shown = tuple(records)
    if change == database.counts.change and database.caches.topics.get(name) is logs:
        logs.records = shown
        logs.oldest_bucket = min((oldest_bucket(r) for r in shown), default=logs.oldest_bucket)
        database.caches.remember_topic(name, logs)
    return shown


def all_records(
    database: Database, after: LogKey | None, *, logs_max: int
) -> dict[LogKey, LogRecord]:
    """The records of all logs by their keys, ascending, past the caches."""
    first = b"" if after is None else after + b"\0"
    end = b"\xff" * (LOG_KEY_BYTES + 1)
    entries = database.key_value.scan(Family.LOG, first, end, limit=logs_max)
    due_through = database.time.due_through()
    return {
        LogKey(key): database.shown(decode_record(value), due_through=due_through)
        for key, value in entries
    }
