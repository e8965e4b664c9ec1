"""What peers brought waits where it is no news, and what clients deposit does not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, NodeId, parse_author, parse_topic
from meshbox.core.inventory import LogRecord
from meshbox.core.limits import RELAYS_VAIN, RELAYS_WAIT_LONG_MS, RELAYS_WAIT_MS
from meshbox.core.ranges import SeqRanges
from meshbox.core.session.effects import AwaitChange
from meshbox.core.session.offering import OfferedPage
from meshbox.core.session.relaying import Relaying
from meshbox.core.wants import WantLedger
from tests.core.session.model import ModelNode, Pair


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"a{number}"))


class World:
    """Two nodes, of which the left one is brought blobs by a third, and given some by clients."""

    def __init__(self) -> None:
        self.left, self.right, self.third = ModelNode(1), ModelNode(2), ModelNode(3)
        self.pair = Pair(self.left, self.right)
        self.pair.run()
        self.seq = 0

    @property
    def waits(self) -> bool:
        """Whether the left one lets what it is brought wait."""
        asked = self.pair.sides[0].requests
        return any(isinstance(each, AwaitChange) and each.relays_wait_ms for each in asked)

    def deposit(self, number: int) -> None:
        self.seq += 1
        self.left.put(log_of(number), self.seq, b"x", BlobClass.OPAQUE)

    def bring(self, number: int, *, to_both: bool = False) -> None:
        self.seq += 1
        for node in (self.left, self.right) if to_both else (self.left,):
            node.put(log_of(number), self.seq, b"x", BlobClass.OPAQUE, brought=True)
            gained = SeqRanges.single(self.seq)
            node.ledger.answered(self.third.node_id, log_of(number), gained=gained, now_ms=1_000)

    def learn(self) -> None:
        """The third one brings everything to both, until the left one knows."""
        for number in range(100):
            if self.waits:
                return
            self.bring(number, to_both=True)
            self.pair.run()
        raise AssertionError("it offers for ever what nobody wants")

    def cut(self) -> None:
        for side in self.pair.sides:
            side.do(side.session.close("node.stopping"))
        self.pair = Pair(self.left, self.right)

    def right_has(self, number: int) -> bool:
        return (log_of(number), self.seq) in self.right.blobs


def test_what_a_peer_gets_from_elsewhere_waits_and_what_is_new_does_not() -> None:
    world = World()
    world.learn()
    world.left.holds_relays = True
    world.bring(500)
    world.pair.run()
    assert not world.right_has(500)
    world.deposit(501)
    world.pair.run()
    assert world.right_has(501)
    assert (log_of(500), world.seq - 1) not in world.right.blobs
    for _ in range(2):
        world.pair.tick(RELAYS_WAIT_LONG_MS)
    world.pair.run()
    assert world.right.blobs == world.left.blobs


def test_who_wants_what_was_brought_is_told_at_once_soon_after() -> None:
    world = World()
    world.learn()
    for number in (500, 501):
        world.bring(number)
        world.pair.run()
        assert world.right_has(number)
    assert not world.waits


steps = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "bring", "bring", "to both", "tick", "step", "run", "cut"]),
        st.integers(0, 5),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(steps, st.booleans())
def test_nothing_is_passed_whatever_waits_and_whenever_it_is_cut(
    schedule: list[tuple[str, int]], holds: bool
) -> None:
    world = World()
    world.learn()
    world.left.holds_relays = holds
    for step, number in schedule:
        match step:
            case "deposit":
                world.deposit(number)
            case "bring" | "to both":
                world.bring(number, to_both=step == "to both")
            case "tick":
                world.pair.tick(RELAYS_WAIT_LONG_MS // 2)
            case "step":
                world.pair.step()
            case "run":
                world.pair.run()
            case "cut":
                world.cut()
    world.left.holds_relays = False
    world.pair.rest()
    assert world.right.blobs == world.left.blobs
    assert len(set(world.right.received)) == len(world.right.received)
    assert world.pair.sides[0].session.is_settled
    before = len(world.right.received)
    world.cut()
    world.pair.rest()
    assert len(world.right.received) == before


def test_a_cut_while_something_is_held_back_loses_nothing() -> None:
    world = World()
    world.learn()
    world.left.holds_relays = True
    world.bring(500)
    world.deposit(501)
    world.pair.run()
    assert world.right_has(501)
    world.cut()
    world.pair.rest()
    assert world.right.blobs == world.left.blobs


PAGE_RELAYED = OfferedPage((), fresh=False, blobs=1, bytes=1, relayed=True)


def relaying(*, is_dialler: bool = True) -> tuple[Relaying, WantLedger]:
    ledger = WantLedger()
    return Relaying(ledger, is_dialler=is_dialler), ledger


def offered_in_vain(relays: Relaying, pages: int) -> None:
    for _ in range(pages):
        relays.settled(replace(PAGE_RELAYED))


def test_so_many_pages_in_vain_make_what_others_brought_wait() -> None:
    for is_dialler, wait_ms in ((True, RELAYS_WAIT_MS), (False, RELAYS_WAIT_LONG_MS)):
        relays, _ = relaying(is_dialler=is_dialler)
        offered_in_vain(relays, RELAYS_VAIN - 1)
        assert relays.wait_ms == 0
        relays.settled(replace(PAGE_RELAYED, relayed=False))
        assert relays.wait_ms == 0
        offered_in_vain(relays, 1)
        assert relays.wait_ms == wait_ms


def test_a_page_of_which_something_was_wanted_was_not_in_vain() -> None:
    relays, _ = relaying()
    offered_in_vain(relays, RELAYS_VAIN - 1)
    page = replace(PAGE_RELAYED)
    relays.wanted(page)
    relays.settled(page)
    offered_in_vain(relays, RELAYS_VAIN - 1)
    assert relays.wait_ms == 0
    relays.wanted(replace(PAGE_RELAYED, relayed=False))
    offered_in_vain(relays, 1)
    assert relays.wait_ms > 0, "what our clients deposited says nothing of what others brought"


def test_where_it_need_not_wait_everything_is_told() -> None:
    relays, ledger = relaying()
    ledger.answered(NodeId("b" * 43), log_of(0), gained=SeqRanges.single(0), now_ms=0)
    record = LogRecord(log_of(0), 1)
    for deposited in (True, False):
        relays.moved(deposited=deposited)
        assert relays.sift([record], after=b"c") == ([record], not deposited)
    assert relays.fresh([record]) == [record]
    assert (relays.held, relays.begin(b"d")) == (None, b"d")


def test_what_waits_is_told_after_its_time_from_when_it_was_first_seen() -> None:
    relays, ledger = relaying()
    offered_in_vain(relays, RELAYS_VAIN)
    ledger.answered(NodeId("b" * 43), log_of(0), gained=SeqRanges.single(0), now_ms=0)
    relays.moved(deposited=True)
    other = LogRecord(log_of(1), 1)
    assert relays.sift([LogRecord(log_of(0), 1), other], after=b"c") == ([other], False)
    assert relays.held == b"c"
    for passed_ms, is_over in ((0, False), (RELAYS_WAIT_MS - 1, False), (RELAYS_WAIT_MS, True)):
        assert relays.tick(1_000 + passed_ms) is is_over
    assert relays.begin(b"later") == b"c"
    assert relays.held is None
    assert not relays.tick(9_000)


def test_what_is_fresh_waits_as_well_where_others_brought_it() -> None:
    relays, ledger = relaying()
    offered_in_vain(relays, RELAYS_VAIN)
    brought, deposited = LogRecord(log_of(0), 1), LogRecord(log_of(1), 1)
    ledger.answered(NodeId("b" * 43), log_of(0), gained=SeqRanges.single(0), now_ms=0)
    assert relays.fresh([brought, deposited]) == [deposited]
    assert relays.fresh([brought]) == [brought], "once; the feed had it meanwhile"


def test_where_nothing_is_left_out_nothing_is_held_back() -> None:
    relays, _ = relaying()
    offered_in_vain(relays, RELAYS_VAIN)
    relays.moved(deposited=True)
    record = LogRecord(log_of(0), 1)
    assert relays.sift([record], after=b"c") == ([record], False)
    assert relays.held is None
    assert relays.sift([record], after=b"c") == ([record], False), "a page is sifted once"


def test_what_is_held_back_first_is_where_it_begins_again() -> None:
    relays, ledger = relaying()
    offered_in_vain(relays, RELAYS_VAIN)
    for number, after in enumerate((b"c", b"d")):
        ledger.answered(NodeId("b" * 43), log_of(number), gained=SeqRanges.single(0), now_ms=0)
        relays.moved(deposited=True)
        assert relays.begin(after) == after
        assert relays.sift([LogRecord(log_of(number), 1)], after=after) == ([], False)
    assert relays.held == b"c"
