"""The faults that meshbox names, each with a stable code.

Four parties can be at fault (docs/errors.md lists every code): the caller, the peer, the world
(disk, network, clock) and ourselves. The first three are exceptions below; our own faults are
assertions and never caught. A `code` never changes its meaning once released: programs match on
it, people read the message, operators follow the hint.

Over 300 lines: one hierarchy, a few lines a fault.
"""

from __future__ import annotations

from typing import ClassVar


class MeshboxError(Exception):
    """A fault with a stable `code` and, for an operator, a `hint` of what to do."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class CallerError(MeshboxError):
    """The caller (a client, a command line, a setting) asked for what cannot be."""


class PeerError(MeshboxError):
    """A peer broke the protocol; its session ends with `code` as the reason."""


class PeerMisbehaved(PeerError):
    """A proven peer did what no honest one does, also by no accident: it is backed off for long."""


class WorldError(MeshboxError):
    """Disk, network or operating system refused; another try may succeed."""


class InvalidId(CallerError):
    """A topic, author or node id that no id may look like."""

    code = "id.invalid"


class InvalidSeq(CallerError):
    """A sequence number outside 0 … 2^64 - 1."""

    code = "seq.invalid"


class InvalidSetting(CallerError):
    """A setting that is unknown, of the wrong type or out of its range."""

    code = "setting.invalid"


class InvalidAddress(CallerError):
    """A peer address that is not `meshbox://NODE-ID@HOST:PORT[,HOST:PORT…]`."""

    code = "address.invalid"


class TooLarge(CallerError):
    """A blob, body or count above its limit."""

    code = "limit.exceeded"


class BodyMalformed(CallerError):
    """A body that is not JSON, or did not arrive whole."""

    code = "body.malformed"


class BodyInvalid(CallerError):
    """A body that is JSON of another shape than asked for."""

    code = "body.invalid"


class BodyUnsupported(CallerError):
    """A Content-Type, Content-Encoding or expectation that is not served."""

    code = "body.unsupported"


class BodySlow(CallerError):
    """A body that did not arrive in the time that its size allows."""

    code = "body.slow"


class QueryInvalid(CallerError):
    """A parameter after the `?` of a request that is none or out of its range."""

    code = "query.invalid"


class SignatureWrong(CallerError):
    """A signature that the named key did not make."""

    code = "signature.wrong"


class MediaNotServed(CallerError):
    """An attachment was offered to a node that keeps text only."""

    code = "media.not_served"


class TooManyRanges(CallerError):
    """The deposit would be the highest of more ranges than a log's record may have."""

    code = "log.too_many_ranges"


class NodeBusy(WorldError):
    """More large bodies or answers are on their way than there may be memory for."""

    code = "node.busy"


class StoreBusy(WorldError):
    """More waits to be committed than the store may queue; try again shortly."""

    code = "store.busy"


class StoreFailed(WorldError):
    """The database refused a write or read; nothing of the request was acknowledged."""

    code = "store.failed"


class StoreDamaged(StoreFailed):
    """Something in the database is damaged, or contradicts the rest of it; it is being mended."""

    code = "store.damaged"


class StoreFull(WorldError):
    """No room for the deposit, and nothing that could go for it."""

    code = "store.full"


class StoreLocked(WorldError):
    """Another process holds this data folder."""

    code = "store.locked"


class StoreForeign(WorldError):
    """The data folder holds a database of a newer schema, of another node, or none of ours."""

    code = "store.foreign"


class ListenFailed(WorldError):
    """A listener's address is taken or not ours."""

    code = "listen.failed"


class DataFolderFailed(WorldError):
    """The data folder cannot be made, read or written."""

    code = "data_dir.failed"


class IdentityLost(WorldError):
    """This identity acknowledged changes that its store no longer has (design.md 4.11)."""

    code = "identity.lost"


class NotRunning(WorldError):
    """No node answers for this data folder or admin address."""

    code = "node.not_running"


class FrameMalformed(PeerMisbehaved):
    """A frame that cannot be decoded, or names what no frame may name."""

    code = "frame.malformed"


class FrameTooLarge(PeerMisbehaved):
    """A frame, page or count above the limit that the hello named."""

    code = "frame.too_large"


class FrameUnexpected(PeerMisbehaved):
    """A frame that is not allowed in the session's present state."""

    code = "frame.unexpected"


class VersionUnsupported(PeerError):
    """No protocol version that both sides speak."""

    code = "version.unsupported"


class IdentityMismatch(PeerError):
    """The peer is not the node that was dialled, or it is this node itself."""

    code = "identity.mismatch"


class ProofWrong(PeerError):
    """The dialler did not prove the identity that it claims."""

    code = "proof.wrong"


class HandshakeTimeout(PeerError):
    """The handshake was not completed in time."""

    code = "handshake.timeout"


class BlobUnasked(PeerMisbehaved):
    """A blob, part or answer that nobody asked this peer for."""

    code = "blob.unasked"


class BlobCorrupt(PeerMisbehaved):
    """Bytes that do not have the announced hash or size."""

    code = "blob.corrupt"


class PromiseBroken(PeerMisbehaved):
    """Too much of what the peer offered turned out not to be there."""

    code = "promise.broken"


class PeerStalled(PeerError):
    """Asked for blobs, the peer sent nothing for too long, or held up others with large ones."""

    code = "peer.stalled"


class PeerBackedOff(PeerError):
    """The peer misbehaved a short while ago: no session with it until its time is over."""

    code = "peer.backed_off"


class SessionReplaced(PeerError):
    """A newer session with the same peer took this one's place."""

    code = "session.replaced"


class PeerLost(PeerError):
    """The stream ended without an `end` frame: a cut, a crash or a dead link."""

    code = "peer.lost"


class PeerEnded(PeerError):
    """The peer ended the session with a reason of its own."""

    code = "peer.ended"


class RoomReturned(PeerError):
    """There is room again for what the peer offered before: the next session begins there."""

    code = "room.returned"


class PathChanged(PeerError):
    """This machine sends to the far peer from another address than the session's."""

    code = "path.changed"


class NodeStopping(WorldError):
    """This node is being stopped."""

    code = "node.stopping"


class NameUnresolved(WorldError):
    """The name of a far peer has no address that is to be learnt now."""

    code = "name.unresolved"


class PeerUnreachable(WorldError):
    """Nobody takes a connection at the address of a far peer."""

    code = "peer.unreachable"


class DiscoveryFailed(WorldError):
    """mDNS cannot be spoken here: its port is taken, or the network refused."""

    code = "discovery.failed"


class CertificateWrong(PeerError):
    """A mailbox server does not prove its name: nobody whom this machine trusts vouches for it."""

    code = "certificate.wrong"


class ServerUnspoken(PeerError):
    """What answers is no mailbox server of a generation that is spoken here."""

    code = "server.unspoken"


class ServerRefused(PeerError):
    """A mailbox server answered with a status that is no success."""

    code = "server.refused"

    def __init__(
        self, message: str, *, path: str, status: int, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.status = status
        self.retry_after_s = retry_after_s


class ServerGarbled(PeerError):
    """A mailbox server answered what cannot be read."""

    code = "server.garbled"


class ServerSlow(PeerError):
    """A mailbox server did not answer, or not fast enough to be waited for."""

    code = "server.slow"


class AnswerTooLarge(PeerError):
    """An answer of a mailbox server has more than may be read into memory."""

    code = "answer.too_large"
