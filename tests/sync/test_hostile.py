"""Peers that break the protocol: ended with a reason, told to nobody else's cost.

Every test has an honest peer beside the hostile one, which must go on as if nothing were.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from meshbox.core.ids import BlobClass, LogId, Origin, node_key_of
from meshbox.core.limits import (
    BLOB_BYTES_MAX,
    FRAME_BYTES_LIMIT,
    FRAME_BYTES_MAX,
    GONE_PROMISES_MAX,
    MIB,
    PAGE_LOGS_MAX,
    RECEIVED_BYTES_MAX,
    SEQ_MAX,
    SKETCH_SYMBOLS_MAX,
)
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.reconcile import SYMBOL_BYTES, Digest
from meshbox.core.retention import RETENTION_MAX_MS
from meshbox.core.session.assembly import content_hash
from meshbox.core.session.comparing import SYMBOLS_SECOND
from meshbox.core.session.frames import (
    AskSketch,
    BlobPart,
    Blobs,
    End,
    Frame,
    Gone,
    OfferedLog,
    OfferedRun,
    Offers,
    PageRanges,
    Proof,
    Resume,
    Settled,
    Sketch,
    Want,
)
from meshbox.identity.key import Identity, mint
from meshbox.sync.backoff import OFFENCE_FIRST_S
from meshbox.sync.runner import SessionRunner
from tests.contract.material import log_of
from tests.sync.nodes import MemoryDisk, Node, equal, joined, running
from tests.sync.stranger import Stranger
from tests.waiting import a_while, eventually

ORIGIN = Origin(b"\1" * 32, b"\2" * 4)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node that holds ten blobs and has an honest peer, which is given more at the end."""
    async with running(MemoryDisk()) as node, running(MemoryDisk()) as honest:
        await node.put(range(10))
        honest.knows(node)
        await joined(node, honest)
        await equal(node, honest)
        yield node
        assert node.connected(honest), node.events
        await node.put(range(10, 12))
        await honest.put(range(3), author="of the honest peer")
        await equal(node, honest, within_s=5)
        assert len(node.seen("peer.connected")) - len(node.seen("peer.ended")) == 1


def offer(*runs: tuple[int, int], page: int = 1, author: str = "hostile", size: int = 1) -> Offers:
    offered = tuple(
        OfferedRun(first, end, BlobClass.OPAQUE, min((end - first) * size, SEQ_MAX), size, 0)
        for first, end in runs
    )
    return Offers(page, (OfferedLog(log_of(author), offered),), b"cursor")


def part(data: bytes = b"x", **changes: Any) -> BlobPart:
    whole = BlobPart(1, 0, 0, BlobClass.OPAQUE, 0, ORIGIN, content_hash(data), len(data), 0, data)
    return whole._replace(**changes)


def ended(node: Node, stranger: Stranger) -> list[str]:
    """The reasons for which the stranger's proven sessions ended."""
    return [f["reason"] for f in node.seen("peer.ended") if f["peer"] == stranger.node_id]


GARBAGE: dict[str, bytes] = {
    "not protobuf": b"\xff" * 50,
    "noise": secrets.token_bytes(1_000),
    "empty": b"",
    "half a frame": b"\x0a\x7f\x08\x01",
    "an unknown body": b"\xfa\x01\x02ab",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_in_place_of_hello(node: Node, raw: bytes) -> None:
    async with Stranger(node) as stranger:
        await stranger.say(raw)
        assert await stranger.told() == "frame.malformed"
    await eventually(
        lambda: [f["reason"] for f in node.seen("peer.refused")] == ["frame.malformed"]
    )


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_in_an_open_session(node: Node, raw: bytes) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.say(raw)
        assert await stranger.told() == "frame.malformed"
    await eventually(lambda: ended(node, stranger) == ["frame.malformed"])


async def test_who_misbehaved_is_counted_and_kept_out_for_a_while(node: Node) -> None:
    identity = mint()
    async with Stranger(node, identity=identity) as stranger:
        await stranger.shake_hands()
        await stranger.say(Settled(9))
        assert await stranger.told() == "frame.unexpected"
    await eventually(lambda: ended(node, stranger) == ["frame.unexpected"])
    async with Stranger(node, identity=identity) as again:
        await again.say(again.hello())
        await again.say(await again.prove())
        assert await again.told() == "peer.backed_off"
    (status,) = [s for s in node.service.peers() if s.node_id == identity.node_id]
    assert (status.reason, status.misbehaved) == ("frame.unexpected", 1)
    assert OFFENCE_FIRST_S - 5 < barred_s(node, identity) <= OFFENCE_FIRST_S
    assert [f["reason"] for f in node.seen("peer.refused")] == ["peer.backed_off"]


async def test_a_misfortune_keeps_nobody_out(node: Node) -> None:
    identity = mint()
    for _ in range(2):
        async with Stranger(node, identity=identity) as stranger:
            await stranger.shake_hands()
        await eventually(lambda: not node.service.connected(identity.node_id))
    assert barred_s(node, identity) == 0


def barred_s(node: Node, identity: Identity) -> float:
    """Seconds for which the node wants no session with a peer."""
    peer = node.service._peers.get(identity.node_id)
    assert peer is not None
    return peer.backoff.barred_s(now_s=asyncio.get_running_loop().time())


async def test_an_oversized_frame(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.say(b"\0" * (FRAME_BYTES_LIMIT + 1))
        await stranger.told()
    await eventually(lambda: ended(node, stranger) == ["peer.lost"])


async def wrong_proof(stranger: Stranger) -> Frame:
    await stranger.prove()
    return Proof(secrets.token_bytes(64))


async def replayed_proof(stranger: Stranger) -> Frame:
    proof = await stranger.prove()
    return proof._replace(signature=proof.signature[::-1])


async def no_proof(stranger: Stranger) -> Frame:
    return Resume()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (wrong_proof, "proof.wrong"),
        (replayed_proof, "proof.wrong"),
        (no_proof, "frame.unexpected"),
    ],
)
async def test_a_dialler_that_proves_nothing(
    node: Node, make: Callable[[Stranger], Awaitable[Frame]], reason: str
) -> None:
    async with Stranger(node) as stranger:
        await stranger.say(stranger.hello())
        await stranger.say(await make(stranger))
        assert await stranger.told() == reason
    await eventually(lambda: [f["reason"] for f in node.seen("peer.refused")] == [reason])
    assert node.service.connected(stranger.node_id) is False


async def test_a_proof_of_another_session_is_worth_nothing(node: Node) -> None:
    identity = mint()
    async with Stranger(node, identity=identity) as first:
        await first.say(first.hello())
        old = await first.prove()
    async with Stranger(node, identity=identity) as second:
        second.nonce = first.nonce
        await second.say(second.hello())
        await second.say(old)
        assert await second.told() == "proof.wrong"


async def test_nobody_speaks_for_another(node: Node) -> None:
    victim = mint()
    async with Stranger(node) as stranger:
        await stranger.say(stranger.hello(node_key=node_key_of(victim.node_id)))
        await stranger.say(await stranger.prove())
        assert await stranger.told() == "proof.wrong"
    async with Stranger(node) as stranger:
        await stranger.say(stranger.hello(node_key=node_key_of(node.node_id)))
        assert await stranger.told() == "identity.mismatch"


async def test_whoever_speaks_for_another_does_not_end_its_session(node: Node) -> None:
    async with running(MemoryDisk()) as friend:
        friend.knows(node)
        await joined(node, friend)
        async with Stranger(node) as stranger:
            await stranger.say(stranger.hello(node_key=node_key_of(friend.node_id)))
            await stranger.say(await stranger.prove())
            assert await stranger.told() == "proof.wrong"
        assert node.connected(friend)
        assert friend.seen("peer.ended") == []
    await eventually(lambda: not node.connected(friend))


WRONG: dict[str, tuple[list[Frame], str]] = {
    "resume twice": ([Resume()], "frame.unexpected"),
    "settled before any offer": ([Settled(9)], "frame.unexpected"),
    "want of no page": ([Want(9, (PageRanges(0, SeqRanges.single(0)),))], "frame.unexpected"),
    "page out of order": ([offer((0, 4), page=2)], "frame.unexpected"),
    "blobs that nobody asked for": ([Blobs((part(),))], "blob.unasked"),
    "gone that nobody asked for": (
        [Gone(1, (PageRanges(0, SeqRanges.single(0)),))],
        "blob.unasked",
    ),
    "a sketch nobody can make": ([AskSketch(SKETCH_SYMBOLS_MAX + 1)], "frame.unexpected"),
    "a shorter sketch": ([Sketch(Digest(), 0, bytes(SYMBOL_BYTES))], "frame.unexpected"),
    "proof again": ([Proof(b"\0" * 64)], "frame.unexpected"),
}


@pytest.mark.parametrize(("frames", "reason"), WRONG.values(), ids=WRONG.keys())
async def test_frames_in_the_wrong_order(node: Node, frames: list[Frame], reason: str) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.say(*frames)
        assert await stranger.told() == reason
    await eventually(lambda: ended(node, stranger) == [reason])


async def test_false_sketches_are_followed_by_a_listing(node: Node) -> None:
    """Symbols that decode to nothing are asked for up to what a listing costs."""
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        digest, sent = Digest(7, 9), 0
        while isinstance(frame := await stranger.hear_a((AskSketch, Offers)), AskSketch):
            symbols = secrets.token_bytes((frame.symbols - sent) * SYMBOL_BYTES)
            await stranger.say(Sketch(digest, sent, symbols))
            sent = frame.symbols
        assert log_of() in [log.log for log in frame.logs]
    assert sent <= SYMBOLS_SECOND


async def asked_for(stranger: Stranger, offers: Offers) -> SeqRanges:
    """What the node asks for of an offer with one log."""
    await stranger.say(offers)
    want: Want = await stranger.hear_a(Want)
    return want.logs[0].ranges


@pytest.mark.parametrize(
    ("blobs", "reason"),
    [
        ((part(seq=9),), "blob.unasked"),
        ((part(log=1),), "blob.unasked"),
        ((part(page=2),), "blob.unasked"),
        ((part(), part()), "blob.unasked"),
        ((part(size_bytes=2), part(size_bytes=2, offset=1)), "blob.corrupt"),
        ((part(size_bytes=2, data=b"xyz"),), "blob.corrupt"),
        ((part(size_bytes=3, offset=1),), "blob.unasked"),
        ((part(size_bytes=3), part(seq=1)), "blob.unasked"),
    ],
)
async def test_blobs_other_than_asked_for(
    node: Node, blobs: tuple[BlobPart, ...], reason: str
) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        assert await asked_for(stranger, offer((0, 4))) == SeqRanges.of(0, 4)
        await stranger.say(Blobs(blobs))
        assert await stranger.told() == reason
    assert (await node.store.logs([log_of("hostile")])) == (None,)


async def test_endless_gone(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.say(offer((0, SEQ_END)))
        gone = 0
        while isinstance(frame := await stranger.hear_a((Want, End)), Want):
            asked = frame.logs[0].ranges
            odd = SeqRanges((n, n + 1) for n in asked.numbers() if n % 2)
            for ranges in (odd, asked - odd):
                await stranger.say(Gone(1, (PageRanges(0, ranges),)))
                gone += len(ranges)
        assert frame.reason == "promise.broken"
        assert gone < 3 * GONE_PROMISES_MAX
    await eventually(lambda: ended(node, stranger) == ["promise.broken"])


async def test_offers_of_everything_do_not_break_what_is_told(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        runs = (OfferedRun(0, SEQ_END, BlobClass.OPAQUE, 2**64 - 1, 2**64 - 1, 0),)
        logs = tuple(OfferedLog(log_of(f"hostile {at}"), runs) for at in range(3))
        await stranger.say(Offers(1, logs, b"c"))
        await stranger.hear_a(Want)
        for status in node.service.peers():
            msgspec.json.encode(status.lag)


async def test_small_offers_and_large_blobs_fill_no_memory(node: Node) -> None:
    data = bytes(MIB - 1_000)
    count = 30
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        assert await asked_for(stranger, offer((0, count))) == SeqRanges.of(0, count)
        disk = node.disk
        assert isinstance(disk, MemoryDisk)
        disk.opened.hold_syncs()
        blobs = [Blobs((part(data, seq=seq),)) for seq in range(count)]
        sending = asyncio.create_task(stranger.say(*blobs))
        (session,) = [
            r.session for r in node.service._runners if r.session.peer == stranger.node_id
        ]
        await eventually(lambda: not session.reads_on)
        held_most = await most_uncommitted(session)
        disk.opened.release_syncs()
        await sending
        await stranger.hear_a(Settled)
    assert RECEIVED_BYTES_MAX < held_most <= RECEIVED_BYTES_MAX + len(data)
    held = await node.content()
    assert sum(key == log_of("hostile").key for key, _ in held) == count


async def test_beginnings_of_large_blobs_of_many_strangers_fill_no_memory(node: Node) -> None:
    """Each offers one: one is asked, and sends but a part; another when that one is gone."""
    large = offer((0, 1), size=BLOB_BYTES_MAX)
    turns = node.service.ledger.turns
    async with contextlib.AsyncExitStack() as stack:
        first, *others = [await stack.enter_async_context(Stranger(node)) for _ in range(5)]
        for stranger in (first, *others):
            await stranger.shake_hands()
        assert await asked_for(first, large) == SeqRanges.single(0)
        beginning = bytes(FRAME_BYTES_MAX)
        await first.say(Blobs((part(beginning, size_bytes=BLOB_BYTES_MAX),)))
        asked = [
            asyncio.create_task(asked_for(stranger, offer((0, 1), author=f"{at}", size=10 * MIB)))
            for at, stranger in enumerate(others)
        ]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert sum(task.done() for task in asked) == 1
        assert turns.bytes == BLOB_BYTES_MAX + 10 * MIB
        await first.say(End("node.stopping", ""))
        await asyncio.gather(*asked)
        assert turns.bytes == len(others) * 10 * MIB
    await eventually(lambda: turns.bytes == 0)


async def most_uncommitted(session: Any) -> int:
    """The most that is held uncommitted of a session within half a second."""
    most = 0
    for _ in range(50):
        await a_while(0.01)
        most = max(most, session._reader.bytes_uncommitted)
    return most


async def test_wants_of_nothing_whose_answers_are_never_read(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.hold_nothing()
        offers: Offers = await stranger.hear_a(Offers)
        place = next(at for at, log in enumerate(offers.logs) if log.log == log_of())
        nothing = PageRanges(place, SeqRanges.of(1_000_000, 1_000_001))
        want = Want(offers.page, (nothing,) * PAGE_LOGS_MAX)
        (runner,) = [r for r in node.service._runners if r.session.peer == stranger.node_id]
        while not runner.ended:
            await stranger.say(want)
            assert runner._outbox.qsize() < 200
    await eventually(lambda: ended(node, stranger) == ["frame.too_large"])


@pytest.mark.slow
async def test_silence_holds_nobody_up(node: Node) -> None:
    """Connections that say nothing, at each stage, are ended in time; others sync meanwhile."""
    began = time.monotonic()
    silent = [
        asyncio.create_task(silent_tcp(node)),
        asyncio.create_task(silent_tls(node)),
        asyncio.create_task(silent_stream(node)),
        asyncio.create_task(silent_after_hello(node)),
    ]
    async with running(MemoryDisk()) as friend:
        friend.knows(node)
        for seq in range(20, 25):
            await friend.put(range(seq, seq + 1))
            await equal(node, friend, within_s=2)
    assert [await task for task in silent] == [None, None, *["handshake.timeout"] * 2]
    assert 9 < time.monotonic() - began < 15
    await eventually(lambda: len(node.seen("peer.refused")) == 2)


async def silent_tcp(node: Node) -> None:
    reader, writer = await asyncio.open_connection(*node.endpoint)
    await until_closed(reader)
    writer.close()


async def silent_tls(node: Node) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(*node.endpoint, ssl=context)
    await until_closed(reader)
    writer.close()


async def until_closed(reader: asyncio.StreamReader) -> None:
    """Reads what a server says of its own accord, until it closes or resets."""
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 15)


async def silent_stream(node: Node) -> str | None:
    async with Stranger(node) as stranger:
        return await stranger.told()


async def silent_after_hello(node: Node) -> str | None:
    async with Stranger(node) as stranger:
        await stranger.say(stranger.hello())
        return await stranger.told()


async def test_a_hundred_thousand_expired_blobs_are_neither_fetched_nor_stored(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        runs = (OfferedRun(0, 100_000, BlobClass.OPAQUE, 100_000, 1, RETENTION_MAX_MS),)
        logs = tuple(OfferedLog(log_of(f"expired {at}"), runs) for at in range(10))
        await stranger.say(Offers(1, logs, b"cursor"))
        frame = await stranger.hear_a((Want, Settled))
        assert frame == Settled(1)
    assert await node.store.logs([log.log for log in logs]) == (None,) * 10
    assert [kept.cursor[-6:] for kept in await node.store.cursors(stranger.node_id)] == [b"cursor"]


async def test_blobs_that_turn_out_to_be_expired_are_not_stored_and_no_fault(node: Node) -> None:
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        assert await asked_for(stranger, offer((0, 3))) == SeqRanges.of(0, 3)
        await stranger.say(Blobs(tuple(part(seq=seq, age_ms=RETENTION_MAX_MS) for seq in range(3))))
        await stranger.hear_a(Settled)
    held = await node.content()
    assert all(key != log_of("hostile").key for key, _ in held)


@pytest.mark.parametrize("versions", [(2, 9), (0, 0)])
async def test_a_peer_of_another_version_gets_a_clear_answer(
    node: Node, versions: tuple[int, int]
) -> None:
    async with Stranger(node) as stranger:
        hello = stranger.hello()._replace(version_min=versions[0], version_max=versions[1])
        await stranger.say(hello)
        end: End = await stranger.hear_a(End)
    assert end.reason == "version.unsupported"
    assert f"{versions[0]} to {versions[1]}, this node 1 to 1" in end.detail


async def test_who_never_reads_costs_what_a_read_costs_and_nobody_else_anything(node: Node) -> None:
    count = 100
    await node.put(range(count), author="bulky", size_bytes=100_000)
    async with Stranger(node) as stranger:
        await stranger.shake_hands()
        await stranger.hold_nothing()
        places: dict[LogId, int] = {}
        while log_of("bulky") not in places:
            offers: Offers = await stranger.hear_a(Offers)
            places = {log.log: place for place, log in enumerate(offers.logs)}
        wanted = PageRanges(places[log_of("bulky")], SeqRanges.of(0, count))
        await stranger.say(Want(offers.page, (wanted,)))
        (runner,) = [r for r in node.service._runners if r.session.peer == stranger.node_id]
        await eventually(lambda: runner._outbox.qsize() > 0)
        most_bytes = 0
        for seq in range(40, 45):
            async with running(MemoryDisk()) as friend:
                friend.knows(node)
                await node.put(range(seq, seq + 1))
                await equal(node, friend, within_s=5)
            most_bytes = max(most_bytes, unwritten_bytes(runner))
        assert 0 < most_bytes <= 4 * FRAME_BYTES_MAX
        assert not runner.ended


def unwritten_bytes(runner: SessionRunner) -> int:
    """Bytes of blobs that a session read and has not written to its stream."""
    frames = [frame for frame in runner._outbox._queue if isinstance(frame, Blobs)]  # type: ignore[attr-defined]
    ready = [
        blob.data or b"" for q in runner.session._server._queues.values() for _, blob in q.ready
    ]
    return sum(len(part.data) for frame in frames for part in frame.parts) + sum(map(len, ready))
