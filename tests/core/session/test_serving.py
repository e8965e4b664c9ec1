"""Answers to wants: of one log what was asked for together ascends, in frames that ascend."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.errors import BlobUnasked, FrameTooLarge
from meshbox.core.ids import BlobClass, LogId, Namespace, Origin, parse_author, parse_topic
from meshbox.core.limits import FRAME_BLOBS_MAX, FRAME_BYTES_MAX, KIB, WANT_SEQS_LOG_MAX
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.core.session.effects import BlobsRead, Effect, HeldBlob, ReadBlobs, ReadPart, Send
from meshbox.core.session.frames import Begun, BlobPart, Blobs, Frame, Gone, PageRanges, Want
from meshbox.core.session.lanes import SEQS_ALL_MAX
from meshbox.core.session.offering import OfferedPage
from meshbox.core.session.serving import FRAMES_UNSENT_MAX, WantServer

PAGE = 3
STEPS_MAX = 10_000
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
        assert len(frames) < STEPS_MAX, "it sends for ever"
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


Sizes = Mapping[tuple[int, int], int]
NOTHING: Sizes = {}
LARGE_BYTES = 2 * FRAME_BYTES_MAX + 1


class Serving:
    """A want server, whose requests are answered from `held`, place and number → size; what of it
    is `gone` is so at an offset. The store reads `most` blobs at a time."""

    def __init__(self, held: Sizes, gone: Sizes = NOTHING, *, most: int = STEPS_MAX) -> None:
        self.server = WantServer()
        self.most = most
        self.held = held
        self.gone = gone
        self.asked: list[Effect] = []
        """What the store was asked for and has not answered."""
        self.sent: list[Frame] = []
        """What waits to be written."""

    def want(self, place: int, *seqs: int, credit: int = 0, begun: tuple[Begun, ...] = ()) -> None:
        ranges = SeqRanges((seq, seq + 1) for seq in seqs)
        frame = Want(PAGE, (PageRanges(place, ranges),), begun, credit)
        self.do(self.server.want(frame, OFFERED))

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append(effect.frame)
            else:
                self.asked.append(effect)

    def answer(self) -> None:
        """Answers all that the store is asked for, as long as that goes on."""
        for _ in range(STEPS_MAX):
            if not self.asked:
                return
            request = self.asked.pop(0)
            if isinstance(request, ReadPart):
                at = (LOGS.index(request.blob.log), request.blob.seq)
                is_held = request.offset < self.gone.get(at, SEQ_END)
                data = bytes(request.size) if is_held else None
                self.do(self.server.part_read(request, data))
            else:
                assert isinstance(request, ReadBlobs)
                self.do(self.server.blobs_read(request, self._read(request)))
        raise AssertionError("it asks for ever")

    def write(self) -> list[Frame]:
        """Answers and writes until nothing is left to do; what was written."""
        written: list[Frame] = []
        self.answer()
        while self.sent:
            assert len(written) < STEPS_MAX, "it sends for ever"
            written.append(self.sent.pop(0))
            self.do(self.server.sent())
            self.answer()
        return written

    def _read(self, request: ReadBlobs) -> BlobsRead:
        found = []
        for log, ranges in request.wanted:
            for seq in ranges.numbers():
                size_bytes = self.held.get((LOGS.index(log), seq))
                if size_bytes is not None:
                    data = bytes(size_bytes) if size_bytes <= request.whole_bytes_max else None
                    found.append(blob(log, seq)._replace(size_bytes=size_bytes, data=data))
        return BlobsRead(tuple(found[: self.most]), more=len(found) > self.most)


def parts_of(frames: list[Frame]) -> list[tuple[int, int, int, int]]:
    """Place, number, offset and length of each blob or part of one."""
    return [
        (part.log, part.seq, part.offset, len(part.data))
        for frame in frames
        if isinstance(frame, Blobs)
        for part in frame.parts
    ]


def test_a_large_blob_goes_in_parts_that_fill_a_frame_and_counts_once() -> None:
    serving = Serving({(0, 4): LARGE_BYTES, (0, 5): 7, (1, 0): LARGE_BYTES})
    serving.want(0, 4, 5)
    serving.want(1, 0)
    assert parts_of(serving.write()) == [
        (0, 4, 0, FRAME_BYTES_MAX),
        (0, 4, FRAME_BYTES_MAX, FRAME_BYTES_MAX),
        (0, 4, 2 * FRAME_BYTES_MAX, 1),
        (0, 5, 0, 7),
        (1, 0, 0, FRAME_BYTES_MAX),
        (1, 0, FRAME_BYTES_MAX, FRAME_BYTES_MAX),
        (1, 0, 2 * FRAME_BYTES_MAX, 1),
    ]
    assert serving.server.blobs_out == 3


def test_while_answers_wait_to_be_written_no_part_is_read() -> None:
    serving = Serving({(0, 0): 10 * FRAME_BYTES_MAX})
    serving.want(0, 0)
    serving.answer()
    assert len(serving.sent) == FRAMES_UNSENT_MAX
    serving.sent.pop()
    serving.do(serving.server.sent())
    (request,) = serving.asked
    assert isinstance(request, ReadPart)
    assert request.offset == FRAMES_UNSENT_MAX * FRAME_BYTES_MAX


def test_what_is_gone_waits_to_be_written_like_what_is_held() -> None:
    serving = Serving({})
    for place in (0, 1, 2):
        serving.want(place, 0)
        serving.answer()
    assert len(serving.sent) == FRAMES_UNSENT_MAX + 1
    serving.want(0, 1)
    assert serving.asked == []
    serving.do(serving.server.sent())
    assert len(serving.asked) == 1


def test_a_large_blob_that_goes_in_the_midst_is_told_gone_and_the_next_begins_anew() -> None:
    held = {(0, 4): LARGE_BYTES, (1, 0): LARGE_BYTES}
    serving = Serving(held, gone={(0, 4): FRAME_BYTES_MAX})
    serving.want(0, 4)
    serving.want(1, 0)
    written = serving.write()
    assert Gone(PAGE, (PageRanges(0, SeqRanges.single(4)),)) in written
    assert parts_of(written)[:2] == [(0, 4, 0, FRAME_BYTES_MAX), (1, 0, 0, FRAME_BYTES_MAX)]
    assert serving.server.blobs_out == 1


def test_what_comes_in_parts_goes_as_far_as_its_credit() -> None:
    serving = Serving({(0, 0): 100 * KIB, (1, 0): 3})
    serving.want(0, 0, credit=16 * KIB)
    assert parts_of(serving.write()) == [(0, 0, 0, 8 * KIB), (0, 0, 8 * KIB, 8 * KIB)]
    serving.want(1, 0)
    assert parts_of(serving.write()) == [(1, 0, 0, 3)], "small blobs need none"
    serving.do(serving.server.want(Want(PAGE, (), credit=16 * KIB + 1), OFFERED))
    assert [offset for _, _, offset, _ in parts_of(serving.write())] == [
        16 * KIB,
        24 * KIB,
        32 * KIB,
    ], "of what is left, one byte suffices for a part"
    serving.do(serving.server.want(Want(PAGE, (), credit=16 * KIB), OFFERED))
    assert len(parts_of(serving.write())) == 2, "what went beyond it is taken from the next"


def test_a_blob_that_the_peer_has_the_beginning_of_goes_on_from_there() -> None:
    for begun, first in (
        (Begun(0, 0, b"h" * 32, 9), 9),
        (Begun(0, 0, b"other", 9), 0),
        (Begun(0, 1, b"h" * 32, 9), 0),
        (Begun(1, 0, b"h" * 32, 9), 0),
        (Begun(0, 0, b"h" * 32, LARGE_BYTES), 0),
    ):
        serving = Serving({(0, 0): LARGE_BYTES})
        serving.want(0, 0, begun=(begun,))
        assert parts_of(serving.write())[0] == (0, 0, first, FRAME_BYTES_MAX)


def test_in_a_log_nothing_overtakes_a_large_blob_and_of_other_logs_all_does() -> None:
    serving = Serving({(0, 0): 5, (0, 1): LARGE_BYTES, (0, 2): 6, (1, 0): 7, (1, 1): 8})
    serving.want(0, 0, 1)
    serving.answer()
    serving.want(0, 2)
    serving.want(1, 0, 1)
    assert [(place, seq) for place, seq, offset, _ in parts_of(serving.write()) if not offset] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (0, 2),
    ]


def test_what_a_read_left_out_is_read_next() -> None:
    serving = Serving({(0, seq): 1 for seq in range(5)} | {(1, 0): 1}, most=2)
    serving.want(0, *range(5))
    serving.want(1, 0, 1)
    written = serving.write()
    assert [(place, seq) for place, seq, _, _ in parts_of(written)] == [
        *((0, seq) for seq in range(5)),
        (1, 0),
    ]
    assert [frame for frame in written if isinstance(frame, Gone)] == [
        Gone(PAGE, (PageRanges(1, SeqRanges.single(1)),))
    ]


def test_a_read_that_came_to_nothing_is_made_again() -> None:
    serving = Serving({})
    serving.want(0, 0, 1)
    (request,) = serving.asked
    assert isinstance(request, ReadBlobs)
    (again,) = serving.server.blobs_read(request, BlobsRead((), more=True))
    assert isinstance(again, ReadBlobs)
    assert again.wanted == request.wanted


def test_a_blob_is_sent_with_all_that_is_known_of_it() -> None:
    serving = Serving({(1, 4): 3})
    serving.want(1, 4)
    (frame,) = serving.write()
    held = blob(LOGS[1], 4)
    assert frame == Blobs(
        (
            BlobPart(
                *(PAGE, 1, 4, held.blob_class, held.age_ms, held.origin, held.content_hash),
                *(3, 0, bytes(3)),
            ),
        )
    )


def test_a_frame_is_full_of_bytes_or_of_blobs() -> None:
    half = FRAME_BYTES_MAX // 2
    serving = Serving({(0, seq): half for seq in range(6)})
    serving.want(0, *range(6))
    serving.answer()
    assert len(serving.sent) == FRAMES_UNSENT_MAX
    assert [len(parts_of([frame])) for frame in serving.write()] == [2, 2, 2]
    uneven = Serving({(0, 0): half, (0, 1): half + 1, (0, 2): 1})
    uneven.want(0, 0, 1, 2)
    assert [len(parts_of([frame])) for frame in uneven.write()] == [1, 2]
    many = Serving({(0, seq): 1 for seq in range(FRAME_BLOBS_MAX + 1)})
    many.want(0, *range(FRAME_BLOBS_MAX + 1))
    assert [len(parts_of([frame])) for frame in many.write()] == [FRAME_BLOBS_MAX, 1]


def test_more_than_may_be_in_flight_is_a_breach() -> None:
    serving = Serving({})
    with pytest.raises(BlobUnasked):
        serving.want(len(LOGS), 0)
    with pytest.raises(FrameTooLarge):
        serving.want(0, *range(WANT_SEQS_LOG_MAX + 1))
    serving = Serving({})
    for _ in range(SEQS_ALL_MAX // WANT_SEQS_LOG_MAX):
        serving.want(0, *range(WANT_SEQS_LOG_MAX))
    with pytest.raises(FrameTooLarge):
        serving.want(0, 0)


def test_what_was_answered_is_not_in_flight() -> None:
    serving = Serving({(0, seq): 1 for seq in range(10)})
    for _ in range(2 * SEQS_ALL_MAX // WANT_SEQS_LOG_MAX):
        serving.want(0, *range(WANT_SEQS_LOG_MAX))
        serving.write()


def test_what_is_asked_for_of_a_log_with_a_large_blob_on_its_way_waits_for_it() -> None:
    serving = Serving({(0, 0): 5 * FRAME_BYTES_MAX, (0, 1): 6, (1, 0): 7})
    serving.want(0, 0)
    serving.answer()
    serving.want(0, 1)
    serving.want(1, 0)
    order = [(place, seq) for place, seq, _, _ in parts_of(serving.write())]
    assert order[-1] == (0, 1)
    assert order.index((1, 0)) < 4


def test_a_large_blob_waits_for_what_goes_before_it_in_its_log() -> None:
    serving = Serving({(1, 0): 1, (1, 1): 1, (0, 0): 5, (0, 1): LARGE_BYTES})
    for seq in range(FRAMES_UNSENT_MAX):
        serving.want(1, seq)
        serving.answer()
    serving.want(0, 0, 1)
    order = [(place, seq) for place, seq, _, _ in parts_of(serving.write())]
    assert order[FRAMES_UNSENT_MAX:] == [(0, 0), *[(0, 1)] * 3]


def test_what_was_read_of_a_log_after_a_large_blob_of_it_follows_that() -> None:
    """Also where it was asked for apart, and read together."""
    serving = Serving({(0, 0): LARGE_BYTES, (0, 1): 5, (1, 0): 6})
    serving.want(1, 0)
    serving.want(0, 0)
    serving.want(0, 1)
    order = [(place, seq) for place, seq, _, _ in parts_of(serving.write())]
    assert order == [(1, 0), *[(0, 0)] * 3, (0, 1)]
    assert serving.server.blobs_out == 3


def test_each_answer_that_was_written_makes_room_for_one() -> None:
    half = FRAME_BYTES_MAX // 2 + 1
    serving = Serving({(0, seq): half for seq in range(9)})
    serving.want(0, *range(9))
    serving.answer()
    for _ in range(4):
        serving.sent.pop(0)
        serving.do(serving.server.sent())
        serving.answer()
        assert len(serving.sent) == FRAMES_UNSENT_MAX
