"""Which HTTP status each of our faults has. Every code has a row (a test sees to it).

The apps look at 2xx only, so these statuses are for people and for our own clients. 503 means:
nothing was stored, try again shortly. A fault of a peer or of this machine's set-up cannot reach a
client; should one do so all the same, it is no fault of that client's.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from meshbox.core import errors
from meshbox.core.errors import MeshboxError

_OF_CALLERS: Final = {
    errors.InvalidId: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidSeq: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidSetting: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidAddress: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooManyRanges: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BodyMalformed: HTTPStatus.BAD_REQUEST,
    errors.BodyInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BodyUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.QueryInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BodySlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.SignatureWrong: HTTPStatus.UNAUTHORIZED,
    errors.MediaNotServed: HTTPStatus.NOT_IMPLEMENTED,
}

_OF_THE_WORLD: Final = {
    errors.NodeBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NodeStopping: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NotRunning: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreDamaged: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.StoreLocked: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreForeign: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IdentityLost: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DataFolderFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ListenFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DiscoveryFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NameUnresolved: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PeerUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def _statuses() -> dict[str, HTTPStatus]:
    rows = {fault.code: status for fault, status in (_OF_CALLERS | _OF_THE_WORLD).items()}
    for fault in _all_subclasses(errors.PeerError):
        if "code" in vars(fault):
            rows[fault.code] = HTTPStatus.BAD_GATEWAY
    return rows


def _all_subclasses(fault: type[MeshboxError]) -> list[type[MeshboxError]]:
    direct = fault.__subclasses__()
    return [*direct, *(below for subclass in direct for below in _all_subclasses(subclass))]


STATUS_OF_CODE: Final = _statuses()
"""The HTTP status of each code."""


def status_of(error: MeshboxError) -> int:
    """The HTTP status that `error` is answered with."""
    return STATUS_OF_CODE[error.code]
