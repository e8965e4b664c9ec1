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
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import (
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import (
    BatchStatement,
    BatchType,
    PreparedStatement,
    tuple_factory,
)

from meshbox.core.errors import InvalidSetting, StoreFailed, StoreForeign
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.faults import fault_of

T = TypeVar("T")
Row = tuple[Any, ...]

REQUEST_S_MAX: Final = 12.0
"""Seconds until a statement is given up: above the servers' own time-outs (2 to 10 s)."""
CONNECT_S_MAX: Final = 5.0
"""Seconds for one connection to be made."""
AGREEMENT_S_MAX: Final = 30.0
"""Seconds until all servers have a change of the schema: usually less than one."""
RETRIES_MAX: Final = 2
"""Other servers that an idempotent statement is tried at."""
IN_FLIGHT_MAX: Final = 512
"""Statements under way at a time; what comes more waits here rather than at the servers."""
_RECONNECT_S: Final = 0.5
_RECONNECT_S_MAX: Final = 15.0
_KS: Final = re.compile(r"\bks\.")
_PASSWORD_BYTES_MAX: Final = 4_096


class _RetryIdempotent(RetryPolicy):  # type: ignore[misc]
    """The next server for what may be done twice; nothing for the rest."""

    def _decide(self, query: Any, retry_num: int) -> tuple[int, None]:
        if getattr(query, "is_idempotent", False) and retry_num < RETRIES_MAX:
            return self.RETRY_NEXT_HOST, None
        return self.RETHROW, None

    def on_read_timeout(self, query: Any, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:
        return self._decide(query, retry_num)

    def on_write_timeout(self, query: Any, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:
        return self._decide(query, retry_num)

    def on_unavailable(self, query: Any, *_: Any, retry_num: int, **__: Any) -> tuple[int, None]:
        return self._decide(query, retry_num)

    def on_request_error(
        self, query: Any, consistency: Any, error: Any, retry_num: int
    ) -> tuple[int, None]:
        return self._decide(query, retry_num)


class Connection:
    """One process's connections to a cluster. Made by `open`, belongs to one event loop."""

    def __init__(self, cluster: Cluster, session: Session, *, keyspace: str | None) -> None:
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
        cluster = _cluster_of(access)
        try:
            session = await _in_thread(cluster.connect, "connecting")
        except BaseException:
            await asyncio.to_thread(cluster.shutdown)
            raise
        return cls(cluster, session, keyspace=keyspace)

    async def prepare(self, text: str, *, idempotent: bool) -> PreparedStatement:
        """A statement to be sent often."""
        statement = await _in_thread(
            lambda: self._session.prepare(self._named(text)), "preparing a statement"
        )
        statement.is_idempotent = idempotent
        return statement

    async def define(self, text: str) -> None:
        """Changes the schema; returns when all servers have it."""
        await _in_thread(lambda: self._session.execute(self._named(text)), "changing the schema")
        # The driver waits by itself only where it reads the whole schema after each change.
        control = self._cluster.control_connection
        agreed = await _in_thread(
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
                raise _ours(error, "sending a statement") from error
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
                fault = _ours(error, "a statement")
                if isinstance(fault, StoreForeign):
                    # It was prepared, so it was right: the keyspace was changed since.
                    fault = StoreFailed(fault.message, hint=fault.hint)
                raise fault from error
            finally:
                self._waiting.discard(answer)

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


def _cluster_of(access: Access) -> Cluster:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=access.datacenter)),
        retry_policy=_RetryIdempotent(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=REQUEST_S_MAX,
        row_factory=tuple_factory,
    )
    return Cluster(
        contact_points=list(access.address.contacts),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=_login(access),
        ssl_context=None if access.ca_file is None else _tls(access),
        # Without `ssl_options` each server has to prove the address that is dialled.
        reconnection_policy=ExponentialReconnectionPolicy(_RECONNECT_S, _RECONNECT_S_MAX),
        connect_timeout=CONNECT_S_MAX,
        control_connection_timeout=CONNECT_S_MAX,
        protocol_version=5,
        monitor_reporting_enabled=False,
        schema_metadata_enabled=False,
        compression=False,
    )


def _login(access: Access) -> PlainTextAuthProvider | None:
    if access.user is None:
        return None
    if access.password_file is None:
        raise InvalidSetting("a user without a password", hint="set cassandra_password_file, too")
    try:
        with access.password_file.open("rb") as file:
            password = file.read(_PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"cannot read {access.password_file}: {error}") from error
    return PlainTextAuthProvider(access.user, password)


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"cannot use {access.ca_file}: {error}") from error
    return context


async def _in_thread(work: Callable[[], T], doing: str) -> T:
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        raise _ours(error, doing) from error


def _closed() -> StoreFailed:
    return StoreFailed("the store is closed")


def _ours(error: Exception, doing: str) -> Exception:
    """What is no fault of the world's goes on as it is: a defect."""
    return fault_of(error, doing) or error
