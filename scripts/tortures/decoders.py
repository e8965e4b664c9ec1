"""The decoders of all that strangers send, asked directly: a value or a documented error."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

from meshbox.core.errors import CallerError, FrameMalformed, FrameTooLarge
from meshbox.core.ids import BlobClass, LogId, Namespace, Origin, parse_author, parse_topic
from meshbox.core.ranges import SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.session.frames import (
    AskSketch,
    BlobPart,
    Blobs,
    End,
    Frame,
    Gone,
    Hello,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    Proof,
    Resume,
    Settled,
    Sketch,
    Totals,
    Want,
)
from meshbox.wire import json_base64, json_logs, json_media, json_messages
from meshbox.wire.decoding import FrameDecoder
from meshbox.wire.encoding import FrameEncoder
from scripts.tortures import mutations

_FAULTS_MAX: Final = 20
_FRAMES_OF_A_SESSION: Final = 6


def _store(body: bytes) -> None:
    """All that a store request is put through."""
    tree = json_logs.STORE_BLIPS_BODY.decode(body).blips
    json_logs.count_blobs(tree)
    for blob in json_logs.blobs_of(tree):
        b"".join(json_base64.decode_slices(json_logs.unwrapped(blob.text)))


def _store_message(body: bytes) -> None:
    text = json_messages.STORE_MESSAGE_BODY.decode(body).message
    b"".join(json_base64.decode_slices(text))


_DECODERS: Final[tuple[Callable[[bytes], object], ...]] = (
    *(_store, _store, _store_message, json_logs.decode_heights, json_logs.STORE_BODY.decode),
    *(json_messages.GET_MESSAGES_BODY.decode, json_media.REGISTER_HASHES_BODY.decode),
    *(json_media.REGISTER_PEER_BODY.decode, json_media.REPORT_BODY.decode),
)


class Found(NamedTuple):
    """What was asked, and what else than a value or a documented error came of it."""

    bodies: int
    frames: int
    faults: list[tuple[str, bytes]]


def ask(chance: random.Random, *, count: int) -> Found:
    """`count` bodies, and as many frames, in sessions of a few."""
    faults: list[tuple[str, bytes]] = []
    for _ in range(count):
        faults += ask_body(mutations.body(chance), chance)
    frames = 0
    while frames < count:
        session = _session(chance)
        frames += len(session)
        faults += ask_frames(session)
        if len(faults) > _FAULTS_MAX:
            break
    return Found(count, frames, faults)


def ask_body(body: bytes, chance: random.Random) -> list[tuple[str, bytes]]:
    """Gives one body to one of the decoders."""
    try:
        chance.choice(_DECODERS)(body)
    except CallerError:
        pass
    except Exception:  # noqa: BLE001 - whatever else it is, is what is looked for
        return [(traceback.format_exc(limit=-2), body)]
    return []


def ask_frames(session: list[bytes]) -> list[tuple[str, bytes]]:
    """Gives frames to a decoder until it refuses one, as a session would."""
    decoder, encoder, again = FrameDecoder(), FrameEncoder(), FrameDecoder()
    for raw in session:
        try:
            frame = decoder.decode(raw)
            if again.decode(encoder.encode(frame)) != frame:
                return [("not the same when written and read again", raw)]
        except (FrameMalformed, FrameTooLarge):
            return []
        except Exception:  # noqa: BLE001 - whatever else it is, is what is looked for
            return [(traceback.format_exc(limit=-2), raw)]
    return []


def _session(chance: random.Random) -> list[bytes]:
    encoder = FrameEncoder()
    raws = [encoder.encode(_frame(chance)) for _ in range(_FRAMES_OF_A_SESSION)]
    at = chance.randrange(len(raws))
    raws[at] = mutations.scrambled(raws[at], chance)
    return raws


def _frame(chance: random.Random) -> Frame:
    number = chance.choice([0, 1, 127, 2**31, 2**32 - 1])
    small = chance.randint(0, 5)
    frames: list[Frame] = [
        Hello(chance.randbytes(32), bytes(32), bytes(16), totals=Totals(1, 2, number)),
        Proof(bytes(64)),
        Resume(tuple(chance.randbytes(60) for _ in range(chance.randint(0, 4)))),
        AskSketch(number),
        Sketch(Digest(number, small), small, bytes(SYMBOL_BYTES * small)),
        Offers(number, tuple(_offered(chance) for _ in range(small)), chance.randbytes(60)),
        Want(number, _ranges(chance)),
        Blobs(tuple(_part(chance) for _ in range(chance.randint(0, 3)))),
        Gone(number, _ranges(chance)),
        Settled(number),
        End("peer.stalled", "said why"),
    ]
    return chance.choice(frames)


def _offered(chance: random.Random) -> OfferedLog:
    topic, author = (f"{chance.randrange(4):064x}" for _ in range(2))
    log = LogId(chance.choice(list(Namespace)), parse_topic(topic), parse_author(author))
    first = chance.choice([0, 5, 2**63])
    return OfferedLog(log, (OfferedRun(first, first + 9, BlobClass.OPAQUE, 900, 200, 7),))


def _ranges(chance: random.Random) -> tuple[PageRanges, ...]:
    pairs = [(0, 3), (10, 11), (2**63, 2**64)]
    return tuple(PageRanges(at, SeqRanges(pairs)) for at in range(chance.randint(0, 3)))


def _part(chance: random.Random) -> BlobPart:
    data = chance.randbytes(chance.randint(1, 100))
    origin = Origin(bytes(32), chance.randbytes(4))
    return BlobPart(1, 0, 5, BlobClass.OPAQUE, 3, origin, bytes(32), len(data), 0, data)
