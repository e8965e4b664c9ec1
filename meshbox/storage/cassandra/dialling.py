"""How the driver connects: to whom, as whom, and what became of the last connection that it tried.

The driver connects again by itself whenever a connection was lost, but for good and all gives up a
server that refuses its login. Passwords are changed while processes run, so here a refused login
is a failed connection as any other, and the password is read anew for each.

What a statement fails with when no server can be used does not say why none can: the last failure
that is kept here does.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

from cassandra import AuthenticationFailed, ConsistencyLevel
from cassandra.auth import AuthProvider, PlainTextAuthenticator
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import (
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import tuple_factory

from meshbox.core.errors import InvalidSetting
from meshbox.storage.cassandra.address import Access
from meshbox.storage.cassandra.faults import LoginRefused

REQUEST_S_MAX: Final = 12.0
"""Seconds until a statement is given up: above the servers' own time-outs (2 to 10 s)."""
CONNECT_S_MAX: Final = 5.0
"""Seconds for one connection to be made."""
RETRIES_MAX: Final = 2
"""Other servers that an idempotent statement is tried at."""
_RECONNECT_S: Final = 0.5
_RECONNECT_S_MAX: Final = 15.0
_PASSWORD_BYTES_MAX: Final = 4_096


class Dialling:
    """The connections of one `Cluster`, which threads of the driver's make."""

    def __init__(self, access: Access) -> None:
        """`InvalidSetting` for a file of the settings that cannot be used."""
        self.failure: Exception | None = None
        """Why the last connection that was tried failed; None when it did not."""
        self._access = access
        self._login = _login(access)
        self._tls = None if access.ca_file is None else _tls(access)

    def cluster(self) -> Cluster:
        """The driver's part, not connected yet. Blocks while names are resolved."""
        access = self._access
        policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=access.datacenter))
        profile = ExecutionProfile(
            load_balancing_policy=policy,
            retry_policy=_RetryIdempotent(),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            request_timeout=REQUEST_S_MAX,
            row_factory=tuple_factory,
        )
        return Cluster(
            contact_points=list(access.address.contacts),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            auth_provider=self._login,
            ssl_context=self._tls,
            # Without `ssl_options` each server has to prove the address that is dialled.
            reconnection_policy=ExponentialReconnectionPolicy(_RECONNECT_S, _RECONNECT_S_MAX),
            connect_timeout=CONNECT_S_MAX,
            control_connection_timeout=CONNECT_S_MAX,
            connection_class=self._watched(),
            protocol_version=5,
            monitor_reporting_enabled=False,
            schema_metadata_enabled=False,
            compression=False,
        )

    def _watched(self) -> type[Any]:
        """The driver's connections, with what becomes of each noted here."""
        dialling = self

        class Watched(Cluster.connection_class):  # type: ignore[misc]
            @classmethod
            def factory(cls, *args: Any, **named: Any) -> Any:
                try:
                    made = super().factory(*args, **named)
                except AuthenticationFailed as error:
                    dialling.failure = LoginRefused(str(error))
                    raise dialling.failure from error
                except Exception as error:
                    dialling.failure = error
                    raise
                dialling.failure = None
                return made

        return Watched


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


class _Login(AuthProvider):  # type: ignore[misc]
    """By a password that is read when it is needed: the driver keeps an authenticator for all the
    times that it dials one server again."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def new_authenticator(self, host: str) -> PlainTextAuthenticator:
        del host
        return _Authenticator(self._access)


class _Authenticator(PlainTextAuthenticator):  # type: ignore[misc]
    def __init__(self, access: Access) -> None:
        super().__init__(access.user, "")
        self._access = access

    def initial_response(self) -> Any:
        try:
            self.password = _password(self._access)
        except InvalidSetting as error:
            raise AuthenticationFailed(error.message) from error
        return super().initial_response()


def _login(access: Access) -> _Login | None:
    if access.user is None:
        return None
    _password(access)
    return _Login(access)


def _password(access: Access) -> str:
    if access.password_file is None:
        raise InvalidSetting("a user without a password", hint="set cassandra_password_file, too")
    try:
        with access.password_file.open("rb") as file:
            return file.read(_PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"cannot read {access.password_file}: {error}") from error


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"cannot use {access.ca_file}: {error}") from error
    return context
