"""The driver's exceptions as ours; none of them leaves this package."""

from __future__ import annotations

from typing import Final

import cassandra
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import (
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    ProtocolException,
    ServerError,
)

from meshbox.core.errors import StoreBusy, StoreFailed, StoreForeign

_AGAIN: Final = "is a quorum of its servers up? A node that runs tries again by itself"
_GONE: Final = (
    NoHostAvailable,
    ConnectionException,
    OSError,
    cassandra.OperationTimedOut,
    cassandra.CoordinationFailure,
    cassandra.Timeout,
    cassandra.Unavailable,
    IsBootstrappingErrorMessage,
    ServerError,
)
_DETAIL_MAX: Final = 300


def fault_of(error: Exception, doing: str) -> StoreFailed | StoreBusy | StoreForeign | None:
    """Our fault for the driver's; None for what is a defect of ours."""
    cause = _first_cause(error)
    detail = " ".join(str(cause).split())[:_DETAIL_MAX] or type(cause).__name__
    if isinstance(cause, OverloadedErrorMessage):
        return StoreBusy(f"Cassandra is overloaded ({doing}): {detail}")
    if isinstance(cause, cassandra.AuthenticationFailed | cassandra.Unauthorized):
        return StoreFailed(
            f"Cassandra refuses the user or password ({doing}): {detail}",
            hint="see cassandra_user and cassandra_password_file",
        )
    if isinstance(cause, cassandra.InvalidRequest | ProtocolException):
        return StoreForeign(
            f"Cassandra's keyspace is not there or has another schema ({doing}): {detail}",
            hint="`meshbox store init` makes and migrates it",
        )
    if isinstance(cause, _GONE):
        return StoreFailed(f"Cassandra does not answer ({doing}): {detail}", hint=_AGAIN)
    return None


def _first_cause(error: Exception) -> Exception:
    """What one server said, where the driver only tells that none could be used."""
    if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict) and error.errors:
        first = next(iter(error.errors.values()))
        if isinstance(first, Exception):
            return first
    return error
