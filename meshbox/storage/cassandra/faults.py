"""The driver's exceptions as ours; none of them leaves this package."""

from __future__ import annotations

from typing import Final

import cassandra
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException, ProtocolError
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage, ProtocolException

from meshbox.core.errors import StoreBusy, StoreFailed, StoreRefused, StoreUnprepared

_AGAIN: Final = "is a quorum of its servers up? A running node tries again by itself"
_NAMES_HINT: Final = "look at the names in `store`, and at DNS"
_TLS_HINT: Final = (
    "did an authority of cassandra_ca sign each server's certificate, for the address that "
    "clients see?"
)
_DATACENTER_HINT: Final = "is a server of the data centre that cassandra_datacenter names up?"
_GRANT_HINT: Final = "grant the role of cassandra_user what docs/cassandra.md lists"
_DETAIL_MAX: Final = 300


class LoginRefused(ConnectionException):  # type: ignore[misc]
    """A connection whose login was refused, as one that failed (dialling.py)."""


_LOGIN: Final = (LoginRefused, cassandra.AuthenticationFailed)
_GONE: Final = (
    NoHostAvailable,
    ConnectionException,
    ProtocolError,
    OSError,
    # All that a server may answer: that it starts, that others did not answer it in time.
    ErrorMessage,
    cassandra.DriverException,
)


def fault_of(
    error: Exception, doing: str, *, dialled: Exception | None = None
) -> StoreFailed | StoreBusy | None:
    """Our fault for the driver's; None for what is a defect of ours.

    `dialled`: why the last connection that was tried failed.
    """
    cause = _cause(error, dialled)
    detail = " ".join(str(cause).split())[:_DETAIL_MAX] or type(cause).__name__
    what = f"({doing}): {detail}"
    if isinstance(cause, OverloadedErrorMessage):
        return StoreBusy(f"Cassandra is overloaded {what}")
    if _is_refusal(cause):
        if isinstance(cause, _LOGIN):
            return StoreRefused(f"Cassandra refuses the user or password {what}")
        return StoreRefused(f"Cassandra does not let the user do this {what}", hint=_GRANT_HINT)
    if isinstance(cause, cassandra.UnresolvableContactPoints):
        return StoreFailed(
            f"none of Cassandra's servers has an address ({doing})", hint=_NAMES_HINT
        )
    if _is_tls(cause):
        return StoreFailed(f"no TLS with Cassandra {what}", hint=_TLS_HINT)
    if isinstance(cause, cassandra.InvalidRequest) and "Guardrail" in detail:
        hint = "look at the servers' disks and guardrails"
        return StoreFailed(f"Cassandra does not take this {what}", hint=hint)
    if isinstance(cause, cassandra.InvalidRequest | ProtocolException):
        return StoreUnprepared(f"Cassandra's keyspace is not there or has another schema {what}")
    if isinstance(cause, _GONE):
        # Where there are no errors by server, the driver looked at none.
        looked = not isinstance(cause, NoHostAvailable) or isinstance(cause.errors, dict)
        hint = _AGAIN if looked else _DATACENTER_HINT
        return StoreFailed(f"Cassandra does not answer {what}", hint=hint)
    return None


def _cause(error: Exception, dialled: Exception | None) -> Exception:
    """What one server said, where the driver only tells that none could be used: of several what
    tells an operator most."""
    if not isinstance(error, NoHostAvailable):
        return error
    said = list(error.errors.values()) if isinstance(error.errors, dict) else []
    told = [one for one in (*said, dialled) if isinstance(one, Exception)]
    return min(told, key=_rank, default=error)


def _rank(cause: Exception) -> int:
    if _is_refusal(cause) or _is_tls(cause):
        return 0
    return 2 if isinstance(cause, ConnectionException) else 1


def _is_refusal(cause: Exception) -> bool:
    # Servers that cannot read their roles, for lack of other servers, say that they are unable to.
    known = isinstance(cause, (*_LOGIN, cassandra.Unauthorized))
    return known and "Unable to perform auth" not in str(cause)


def _is_tls(cause: Exception) -> bool:
    # The driver makes an `OSError` of its own of it.
    return isinstance(cause, OSError) and "[SSL" in str(cause)
