"""Answers to wants: of one log what was asked for together ascends, in frames that ascend."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, Origin, parse_author, parse_topic
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.effects import BlobsRead, Effect, HeldBlob, ReadBlobs, Send
from meshbox.core.session.frames import Blobs, PageRanges, Want
from meshbox.core.session.offering import OfferedPage
from meshbox.core.session.serving import WantServer

PAGE = 3
LOGS = tuple(LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"a{n}")) for n in range(3))
OFFERED = OfferedPage(LOGS, fresh=False, blobs=99, bytes=99, relayed=False)

wants = st.lists(
    st.tuples(st.integers(0, 2), st.sets(st.integers(0, 9), min_size=1)), min_size=1, max_size=8
)


def blob(log: LogId, seq: int) -> HeldBlob:
    origin = Origin(b"n" * 32, b"tag!")
    return HeldBlob(log, seq, BlobClass.OPAQUE, 0, origin, b"h" * 32, 1, b"x", None)


def served(asked: list[tuple[int, set[int]]]) -> list[Blobs]:
    """The frames that answer `asked`, places and numbers, all of which are held."""
    server = WantServer()
    effects: list[Effect] = []
    for place, seqs in asked:
        ranges = SeqRanges((seq, seq + 1) for seq in seqs)
        effects += server.want(Want(PAGE, (PageRanges(place, ranges),)), OFFERED)
    frames: list[Blobs] = []
    while effects:
        effect = effects.pop(0)
        if isinstance(effect, Send):
            assert isinstance(effect.frame, Blobs)
            frames.append(effect.frame)
            effects += server.sent()
        else:
            assert isinstance(effect, ReadBlobs)
            held = tuple(
                blob(log, seq)
                for log, ranges in effect.wanted
                for first, end in ranges
                for seq in range(first, end)
            )
            effects += server.blobs_read(effect, BlobsRead(held, more=False))
    return frames


@given(wants)
def test_in_a_frame_the_numbers_of_a_log_ascend_whatever_was_asked_for_first(
    asked: list[tuple[int, set[int]]],
) -> None:
    frames = served(asked)
    for frame in frames:
        for place in range(len(LOGS)):
            seqs = [part.seq for part in frame.parts if part.log == place]
            assert seqs == sorted(set(seqs))
    for place in range(len(LOGS)):
        answers = [part.seq for frame in frames for part in frame.parts if part.log == place]
        assert answers == [seq for at, seqs in asked if at == place for seq in sorted(seqs)]


def test_a_lower_number_that_is_asked_for_again_begins_a_frame_and_a_higher_one_does_not() -> None:
    frames = served([(0, {9}), (0, {1, 2}), (0, {4}), (1, {0}), (0, {3})])
    assert [[(part.log, part.seq) for part in frame.parts] for frame in frames] == [
        [(0, 9)],
        [(0, 1), (0, 2), (0, 4), (1, 0)],
        [(0, 3)],
    ]
