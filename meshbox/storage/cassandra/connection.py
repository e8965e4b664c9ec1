"""The driver, as asyncio sees it: statements in, rows or our faults out.

The driver has threads of its own. What they answer is put into a queue, and one wake-up of the
event loop takes all that came since the last one: with one wake-up an answer a fifth to a half of
the work would be theirs.

Invariants: a statement is tried again only when it is idempotent, at another server; no exception
of the driver leaves this module.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from cassandra.cluster import Cluster, Session
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from meshbox.core.errors import StoreFailed
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.dialling import Dialling
from meshbox.storage.cassandra.faults import fault_of

T = TypeVar("T")
Row = tuple[Any, ...]

AGREEMENT_S_MAX: Final = 30.0
"""Seconds until all servers have a change of the schema: usually less than one."""
IN_FLIGHT_MAX: Final = 512
"""Statements under way at a time; what comes more waits here rather than at the servers."""
_KS: Final = re.compile(r"\bks\.")


class Connection:
    """One process's connections to a cluster. Made by `open`, belongs to one event loop."""

    def __init__(
        self, dialling: Dialling, cluster: Cluster, session: Session, *, keyspace: str | None
    ) -> None:
        self._dialling = dialling
        self._cluster = cluster
        self.keyspace = keyspace
        """What `ks.` names."""
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._answers: deque[tuple[asyncio.Future[Any], Any, bool]] = deque()
        self._waiting: set[asyncio.Future[Any]] = set()
        self._armed = False
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._closed = False
        self.statements = 0
        """How many were sent."""

    @classmethod
    async def open(cls, access: Access, *, keyspace: str | None) -> Connection:
        """Connects; `ks.` in statements names `keyspace`, which need not be there.

        `StoreFailed`, `InvalidSetting`. Blocks threads, not the loop.
        """
        # All that it tells comes to us as exceptions, too, and as the state of the store.
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)
        dialling = Dialling(access)
        cluster = await _in_thread(dialling.cluster, dialling, "resolving names")
        try:
            session = await _in_thread(cluster.connect, dialling, "connecting")
        except BaseException:
            await asyncio.to_thread(cluster.shutdown)
            raise
        return cls(dialling, cluster, session, keyspace=keyspace)

    async def prepare(self, text: str, *, idempotent: bool) -> PreparedStatement:
        """A statement to be sent often."""
        named = self._named(text)
        statement = await self._in_thread(
            lambda: self._session.prepare(named), "preparing a statement"
        )
        statement.is_idempotent = idempotent
        return statement

    async def define(self, text: str) -> None:
        """Changes the schema; returns when all servers have it."""
        named = self._named(text)
        await self._in_thread(lambda: self._session.execute(named), "changing the schema")
        # The driver waits by itself only where it reads the whole schema after each change.
        control = self._cluster.control_connection
        agreed = await self._in_thread(
            lambda: control.wait_for_schema_agreement(wait_time=AGREEMENT_S_MAX),
            "waiting for the servers to agree on the schema",
        )
        if not agreed:
            raise StoreFailed(
                f"the servers did not agree on the schema within {AGREEMENT_S_MAX:.0f} s",
                hint="run it again once all of them are well",
            )

    async def execute(self, statement: PreparedStatement, *values: Any) -> list[Row]:
        """Sends one statement; its rows, all of them."""
        return await self._send(statement, values)

    async def batch(self, statements: Sequence[tuple[PreparedStatement, Sequence[Any]]]) -> None:
        """Sends statements of ONE partition together: applied all or none."""
        if len(statements) == 1:
            await self._send(*statements[0])
            return
        batch = BatchStatement(BatchType.UNLOGGED)
        for statement, values in statements:
            batch.add(statement, values)
        batch.is_idempotent = all(statement.is_idempotent for statement, _ in statements)
        await self._send(batch, None)

    async def log_in(self) -> None:
        """Makes one more connection, for nothing else: `StoreFailed`, `StoreRefused`.

        Those that are open stay so when the password is changed at the servers.
        """
        up = [host for host in self._cluster.metadata.all_hosts() if host.is_up]
        if not up:
            raise StoreFailed("no server of Cassandra is up")
        endpoint = secrets.choice(up).endpoint
        await self._in_thread(
            lambda: self._cluster.connection_factory(endpoint).close(), "connecting once more"
        )

    async def close(self) -> None:
        """Ends all connections; what is under way fails."""
        self._closed = True
        await asyncio.to_thread(self._cluster.shutdown)
        self._take_answers()
        # The driver answers nothing of what was under way.
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(_closed())

    def _named(self, text: str) -> str:
        """Names the keyspace: servers warn of one that a connection `USE`s."""
        return _KS.sub(f"{self.keyspace}.", text)

    async def _send(self, statement: Any, values: Sequence[Any] | None) -> list[Row]:
        if self._closed:
            raise _closed()
        async with self._slots:
            answer: asyncio.Future[list[Row]] = self._loop.create_future()
            self.statements += 1
            try:
                sent = self._session.execute_async(statement, values)
            except Exception as error:
                raise _ours(error, self._dialling, "sending a statement") from error
            rows: list[Row] = []

            def came(page: list[Row] | None) -> None:
                if page:
                    rows.extend(page)
                if sent.has_more_pages:
                    sent.start_fetching_next_page()
                else:
                    self._answer(answer, rows, failed=False)

            sent.add_callbacks(came, lambda error: self._answer(answer, error, failed=True))
            self._waiting.add(answer)
            try:
                return await answer
            except StoreFailed:
                raise
            except Exception as error:
                raise _ours(error, self._dialling, "a statement") from error
            finally:
                self._waiting.discard(answer)

    async def _in_thread(self, work: Callable[[], T], doing: str) -> T:
        return await _in_thread(work, self._dialling, doing)

    def _answer(self, future: asyncio.Future[Any], answer: Any, *, failed: bool) -> None:
        """In a thread of the driver's."""
        self._answers.append((future, answer, failed))
        if not self._armed:
            self._armed = True
            try:
                self._loop.call_soon_threadsafe(self._take_answers)
            except RuntimeError:
                return  # The loop is closed: nobody waits any more.

    def _take_answers(self) -> None:
        self._armed = False
        while self._answers:
            future, answer, failed = self._answers.popleft()
            if future.done():
                continue  # Who asked was cancelled.
            if failed:
                future.set_exception(answer)
            else:
                future.set_result(answer)


async def _in_thread(work: Callable[[], T], dialling: Dialling, doing: str) -> T:
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        raise _ours(error, dialling, doing) from error


def _closed() -> StoreFailed:
    return StoreFailed("the store is closed")


def _ours(error: Exception, dialling: Dialling, doing: str) -> Exception:
    """What is no fault of the world's goes on as it is: a defect."""
    return fault_of(error, doing, dialled=dialling.failure) or error
