"""The faults that meshbox names, each with a stable code.

Four parties can be at fault (docs/errors.md lists every code): the caller, the peer, the world
(disk, network, clock) and ourselves. The first three are exceptions below; our own faults are
assertions and never caught. A `code` never changes its meaning once released: programs match on
it, people read the message and do what the hint says. Their statuses in HTTP and gRPC are in
wire/statuses.py.

Over 300 lines: one hierarchy, a few lines a fault.
"""

from __future__ import annotations

from typing import ClassVar, Final

_UPDATE: Final = "update the older of the two nodes; if it stays, report it with both logs"


class MeshboxError(Exception):
    """A fault with a stable `code`, and a `hint` of what to do: that of its place, else the
    `advice` that holds wherever this code comes up."""

    code: ClassVar[str] = "internal"
    advice: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.advice or None

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


class WrongUse(CallerError):
    """A command, option or argument that there is not."""

    code = "usage.wrong"
    advice = "see meshbox --help"


class AdminRequest(CallerError):
    """A page that the admin listener does not have, or not over TCP."""

    code = "admin.request"
    advice = "docs/admin.md lists the pages; use --data-dir for what changes something"


class AdminHost(CallerError):
    """The admin listener was asked under a name that is not this machine's."""

    code = "admin.host"
    advice = "ask for it as localhost, 127.0.0.1 or [::1]"


class InvalidId(CallerError):
    """A topic, author or node id that no id may look like."""

    code = "id.invalid"
    advice = "copy the id from where it is shown; `meshbox id` prints a node's"


class InvalidSeq(CallerError):
    """A sequence number outside 0 … 2^64 - 1."""

    code = "seq.invalid"
    advice = "count from 0, to 2^64 - 1 at most"


class InvalidSetting(CallerError):
    """A setting that is unknown, of the wrong type or out of its range."""

    code = "setting.invalid"
    advice = "`meshbox run --help` and docs/settings.md say what is allowed"


class InvalidAddress(CallerError):
    """A peer address that is not `meshbox://NODE-ID@HOST:PORT[,HOST:PORT…]`."""

    code = "address.invalid"
    advice = "write HOST:PORT, or copy what `meshbox qr` prints at the peer"


class TooLarge(CallerError):
    """A blob, body or count above its limit."""

    code = "limit.exceeded"
    advice = "send less at once; `meshbox config limits` lists every limit"


class BodyMalformed(CallerError):
    """A body that is not JSON, or did not arrive whole."""

    code = "body.malformed"
    advice = "send it again, whole and as docs/openapi.yaml describes it"


class BodyInvalid(CallerError):
    """A body that is JSON of another shape than asked for."""

    code = "body.invalid"
    advice = "send it as docs/openapi.yaml describes it"


class BodyUnsupported(CallerError):
    """A Content-Type, Content-Encoding or expectation that is not served."""

    code = "body.unsupported"
    advice = "send it as docs/openapi.yaml describes it, not compressed"


class BodySlow(CallerError):
    """A body that did not arrive in the time that its size allows."""

    code = "body.slow"
    advice = "send it again, in smaller parts or over a better line"


class QueryInvalid(CallerError):
    """A parameter after the `?` of a request that is none or out of its range."""

    code = "query.invalid"
    advice = "see docs/openapi.yaml for what may follow the `?`"


class SignatureWrong(CallerError):
    """A signature that the named key did not make."""

    code = "signature.wrong"
    advice = "sign again, with the key that the request names"


class MediaNotServed(CallerError):
    """An attachment was offered to a node that keeps text only."""

    code = "media.not_served"
    advice = "send text, or the file while its reader or another mailbox is reachable"


class TooManyRanges(CallerError):
    """The deposit would be the highest of more ranges than a log's record may have."""

    code = "log.too_many_ranges"
    advice = "fill the gaps of the log first"


class NodeBusy(WorldError):
    """More large bodies or answers are on their way than there may be memory for."""

    code = "node.busy"
    advice = "try again shortly"


class StoreBusy(WorldError):
    """More waits to be committed than the store may queue; try again shortly."""

    code = "store.busy"
    advice = "try again shortly"


class StoreFailed(WorldError):
    """The database refused a write or read; nothing of the request was acknowledged."""

    code = "store.failed"
    advice = "look at the disk; a running node opens the database again by itself"


class StoreDamaged(StoreFailed):
    """Something in the database is damaged, or contradicts the rest of it; it is being mended."""

    code = "store.damaged"
    advice = "wait: what is damaged is given up, and the peers fill the hole; then look at the disk"


class StoreRefused(StoreFailed):
    """The servers of the database do not let this user in, or not do what was asked."""

    code = "store.refused"
    advice = "see cassandra_user and cassandra_password_file, which is read anew at each try"


class StoreUnprepared(StoreFailed):
    """The keyspace is not there, lacks tables, or has an older schema."""

    code = "store.unprepared"
    advice = "`meshbox store init` makes and migrates it"


class StoreFull(WorldError):
    """No room for the deposit, and nothing that could go for it."""

    code = "store.full"
    advice = "free space, or raise the storage limit"


class StoreLocked(WorldError):
    """Another process holds this data folder."""

    code = "store.locked"
    advice = "stop it, or name another folder"


class StoreForeign(WorldError):
    """The data folder holds a database of a newer schema, of another node, or none of ours."""

    code = "store.foreign"
    advice = "put key and database back together"


class ListenFailed(WorldError):
    """A listener's address is taken or not ours."""

    code = "listen.failed"
    advice = "choose another port or address"


class DataFolderFailed(WorldError):
    """The data folder cannot be made, read or written."""

    code = "data_dir.failed"
    advice = "check its owner, mode and free space"


class IdentityLost(WorldError):
    """This identity acknowledged changes that its store no longer has (design.md 4.11)."""

    code = "identity.lost"
    advice = (
        "start it again, as systemd and Docker do: it becomes a new node with what it still holds"
    )


class NotRunning(WorldError):
    """No node answers for this data folder or admin address."""

    code = "node.not_running"
    advice = "start it, or name another"


class FrameMalformed(PeerMisbehaved):
    """A frame that cannot be decoded, or names what no frame may name."""

    code = "frame.malformed"
    advice = _UPDATE


class FrameTooLarge(PeerMisbehaved):
    """A frame, page or count above the limit that the hello named."""

    code = "frame.too_large"
    advice = _UPDATE


class FrameUnexpected(PeerMisbehaved):
    """A frame that is not allowed in the session's present state."""

    code = "frame.unexpected"
    advice = _UPDATE


class VersionUnsupported(PeerError):
    """No protocol version that both sides speak."""

    code = "version.unsupported"
    advice = "update the older of the two nodes"


class IdentityMismatch(PeerError):
    """The peer is not the node that was dialled, or it is this node itself."""

    code = "identity.mismatch"
    advice = "name the peer by what `meshbox id` prints there; never copy a data folder"


class ProofWrong(PeerError):
    """The dialler did not prove the identity that it claims."""

    code = "proof.wrong"
    advice = "update the older of the two nodes; somebody may pretend to be that node"


class HandshakeTimeout(PeerError):
    """The handshake was not completed in time."""

    code = "handshake.timeout"
    advice = "look at the line and at the peer's load; is it a sync port of meshbox?"


class BlobUnasked(PeerMisbehaved):
    """A blob, part or answer that nobody asked this peer for."""

    code = "blob.unasked"
    advice = _UPDATE


class BlobCorrupt(PeerMisbehaved):
    """Bytes that do not have the announced hash or size."""

    code = "blob.corrupt"
    advice = "look at the peer's disk and memory: TLS brings bytes as they were sent"


class PromiseBroken(PeerMisbehaved):
    """Too much of what the peer offered turned out not to be there."""

    code = "promise.broken"
    advice = "look at the peer's disk; update the older of the two nodes"


class PeerStalled(PeerError):
    """Asked for blobs, the peer sent nothing for too long, or held up others with large ones."""

    code = "peer.stalled"
    advice = "wait: others are asked; if it comes often, look at the peer's disk and line"


class PeerBackedOff(PeerError):
    """The peer misbehaved a short while ago: no session with it until its time is over."""

    code = "peer.backed_off"
    advice = "see the log for what it did before; update the older of the two nodes"


class SessionReplaced(PeerError):
    """A newer session with the same peer took this one's place."""

    code = "session.replaced"
    advice = "nothing: the newer session carries on"


class PeerLost(PeerError):
    """The stream ended without an `end` frame: a cut, a crash or a dead link."""

    code = "peer.lost"
    advice = "wait: it is dialled again; if it comes often, look at the line and at the peer"


class PeerEnded(PeerError):
    """The peer ended the session with a reason of its own."""

    code = "peer.ended"
    advice = "see the detail, and the peer's log"


class RoomReturned(PeerError):
    """There is room again for what the peer offered before: the next session begins there."""

    code = "room.returned"
    advice = "nothing: the next session fetches what had no room"


class PathChanged(PeerError):
    """This machine sends to the far peer from another address than the session's."""

    code = "path.changed"
    advice = "nothing: the new session carries on"


class NodeStarting(WorldError):
    """This node has not opened its store yet."""

    code = "node.starting"
    advice = "try again shortly; if it lasts, `meshbox status` there tells what it waits for"


class NodeStopping(WorldError):
    """This node is being stopped."""

    code = "node.stopping"
    advice = "ask another node, or this one when it runs again"


class NameUnresolved(WorldError):
    """The name of a far peer has no address that is to be learnt now."""

    code = "name.unresolved"
    advice = "wait for the internet, or look at the name and at DNS"


class PeerUnreachable(WorldError):
    """Nobody takes a connection at the address of a far peer."""

    code = "peer.unreachable"
    advice = "wait: it is tried every 2 s; or look at the address and at a firewall between"


class DiscoveryFailed(WorldError):
    """mDNS cannot be spoken here: its port is taken, or the network refused."""

    code = "discovery.failed"
    advice = "free UDP port 5353, or use --no-mdns and --peer"


class CertificateWrong(PeerError):
    """A mailbox server does not prove its name: nobody whom this machine trusts vouches for it."""

    code = "certificate.wrong"
    advice = "look at this machine's clock, at the name, and for a proxy between"


class ServerUnspoken(PeerError):
    """What answers is no mailbox server of a generation that is spoken here."""

    code = "server.unspoken"
    advice = "look at the URL, and at it in a browser: a portal may want you to sign in"


class ServerRefused(PeerError):
    """A mailbox server answered with a status that is no success."""

    code = "server.refused"
    advice = "wait: it is tried again; if it stays, ask whoever runs the server"

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
    advice = "look at the URL and for a proxy between; else ask whoever runs the server"


class ServerSlow(PeerError):
    """A mailbox server did not answer, or not fast enough to be waited for."""

    code = "server.slow"
    advice = "wait: it is tried again; if it stays, look at the line"


class AnswerTooLarge(PeerError):
    """An answer of a mailbox server has more than may be read into memory."""

    code = "answer.too_large"
    advice = "ask whoever runs the server; all other topics go on"
