"""What each of our faults is in the statuses of HTTP and gRPC: one row a code (tests see to it).

HTTP: the apps look at 2xx only, so these statuses are for people and for our own programs. 503
means: nothing was stored, try again shortly. A fault of a peer cannot reach a client; should one
do so all the same, it is no fault of that client's.

gRPC: what ends a session travels in its last frame (docs/protocol.md, section 9). The status says
the same to what does not read frames: a proxy, a log of one, gRPC's own tools.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple


class Statuses(NamedTuple):
    """Of one code: the status of HTTP, and the name of gRPC's."""

    http: HTTPStatus
    grpc: str


STATUSES: Final = {
    # The caller.
    "usage.wrong": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "setting.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "address.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "id.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "seq.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "OUT_OF_RANGE"),
    "limit.exceeded": Statuses(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RESOURCE_EXHAUSTED"),
    "log.too_many_ranges": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "FAILED_PRECONDITION"),
    "body.malformed": Statuses(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT"),
    "body.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "body.unsupported": Statuses(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "INVALID_ARGUMENT"),
    "body.slow": Statuses(HTTPStatus.REQUEST_TIMEOUT, "DEADLINE_EXCEEDED"),
    "query.invalid": Statuses(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ARGUMENT"),
    "signature.wrong": Statuses(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED"),
    "media.not_served": Statuses(HTTPStatus.NOT_IMPLEMENTED, "UNIMPLEMENTED"),
    "admin.request": Statuses(HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    "admin.host": Statuses(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED"),
    # The world.
    "data_dir.failed": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "store.locked": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "store.foreign": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "FAILED_PRECONDITION"),
    "store.failed": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "store.refused": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "store.unprepared": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "FAILED_PRECONDITION"),
    "store.damaged": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "DATA_LOSS"),
    "store.full": Statuses(HTTPStatus.INSUFFICIENT_STORAGE, "RESOURCE_EXHAUSTED"),
    "store.busy": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "node.busy": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "listen.failed": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "discovery.failed": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "name.unresolved": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "peer.unreachable": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "identity.lost": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "DATA_LOSS"),
    "node.not_running": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "node.starting": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    "node.stopping": Statuses(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    # The peer.
    "peer.lost": Statuses(HTTPStatus.BAD_GATEWAY, "UNAVAILABLE"),
    "peer.ended": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "peer.backed_off": Statuses(HTTPStatus.BAD_GATEWAY, "UNAVAILABLE"),
    "peer.stalled": Statuses(HTTPStatus.BAD_GATEWAY, "DEADLINE_EXCEEDED"),
    "session.replaced": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "room.returned": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "path.changed": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "handshake.timeout": Statuses(HTTPStatus.BAD_GATEWAY, "DEADLINE_EXCEEDED"),
    "version.unsupported": Statuses(HTTPStatus.BAD_GATEWAY, "FAILED_PRECONDITION"),
    "identity.mismatch": Statuses(HTTPStatus.BAD_GATEWAY, "UNAUTHENTICATED"),
    "proof.wrong": Statuses(HTTPStatus.BAD_GATEWAY, "UNAUTHENTICATED"),
    "frame.malformed": Statuses(HTTPStatus.BAD_GATEWAY, "INVALID_ARGUMENT"),
    "frame.too_large": Statuses(HTTPStatus.BAD_GATEWAY, "RESOURCE_EXHAUSTED"),
    "frame.unexpected": Statuses(HTTPStatus.BAD_GATEWAY, "FAILED_PRECONDITION"),
    "blob.unasked": Statuses(HTTPStatus.BAD_GATEWAY, "FAILED_PRECONDITION"),
    "blob.corrupt": Statuses(HTTPStatus.BAD_GATEWAY, "INVALID_ARGUMENT"),
    "promise.broken": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "certificate.wrong": Statuses(HTTPStatus.BAD_GATEWAY, "UNAUTHENTICATED"),
    "server.unspoken": Statuses(HTTPStatus.BAD_GATEWAY, "UNIMPLEMENTED"),
    "server.refused": Statuses(HTTPStatus.BAD_GATEWAY, "ABORTED"),
    "server.garbled": Statuses(HTTPStatus.BAD_GATEWAY, "UNKNOWN"),
    "server.slow": Statuses(HTTPStatus.BAD_GATEWAY, "DEADLINE_EXCEEDED"),
    "answer.too_large": Statuses(HTTPStatus.BAD_GATEWAY, "RESOURCE_EXHAUSTED"),
    # Ourselves.
    "internal": Statuses(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL"),
}
"""The statuses of each code."""
