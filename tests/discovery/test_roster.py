"""The roster against a naive model, and its rules one by one."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from meshbox.core.address import Endpoint
from meshbox.discovery.found import Mailbox
from meshbox.discovery.roster import SILENCE_MS, TRIES_MAX, TRY_INTERVAL_MS, Roster

NAMES_MAX = 4


def mailbox(key: str, *ports: int) -> Mailbox:
    return Mailbox(mailbox_id=key, endpoints=tuple(Endpoint("10.0.0.1", port) for port in ports))


def roster(*names: str) -> Roster[Mailbox]:
    made: Roster[Mailbox] = Roster(names_max=NAMES_MAX)
    for port, name in enumerate(names):
        assert made.note(name, mailbox(name.split(".")[0], port), now_ms=0)
    made.take_changes()
    return made


def keys(found: Roster[Mailbox]) -> list[str]:
    return [item.key for item in found.current()]


def test_what_is_found_changed_and_gone_is_told_once() -> None:
    found: Roster[Mailbox] = Roster(names_max=NAMES_MAX)
    found.note("a.x", mailbox("a", 1), now_ms=0)
    assert found.take_changes() == [(None, mailbox("a", 1))]
    found.note("a.x", mailbox("a", 1), now_ms=0)
    assert found.take_changes() == []
    found.note("a.x", mailbox("a", 2), now_ms=0)
    assert found.take_changes() == [(mailbox("a", 1), mailbox("a", 2))]
    found.forget("A.X")
    assert found.take_changes() == [(mailbox("a", 2), None)]


def test_what_came_and_went_untold_is_not_told() -> None:
    found: Roster[Mailbox] = Roster(names_max=NAMES_MAX)
    found.note("a.x", mailbox("a", 1), now_ms=0)
    found.forget("a.x")
    assert found.take_changes() == []


def test_another_name_of_a_key_adds_endpoints_and_takes_none() -> None:
    found: Roster[Mailbox] = Roster(names_max=NAMES_MAX)
    found.note("liar.x", mailbox("a", 9), now_ms=0)
    found.note("a.x", mailbox("a", 1), now_ms=0)
    assert found.current() == [mailbox("a", 1, 9)]
    found.forget("liar.x")
    assert found.current() == [mailbox("a", 1)]


def test_a_name_that_claims_another_key_leaves_the_first() -> None:
    found = roster("a.x")
    found.note("a.x", mailbox("b", 1), now_ms=0)
    assert found.take_changes() == [(mailbox("a", 0), None), (None, mailbox("b", 1))]


def test_the_oldest_unproven_makes_room() -> None:
    found = roster("a.x", "b.x", "c.x", "d.x")
    found.prove("a.x", now_ms=0)
    assert found.note("e.x", mailbox("e", 1), now_ms=0)
    assert keys(found) == ["a", "c", "d", "e"]


def test_nobody_proven_makes_room() -> None:
    found = roster("a.x", "b.x", "c.x", "d.x")
    for name, _ in found.entries():
        found.prove(name, now_ms=0)
    assert not found.note("e.x", mailbox("e", 1), now_ms=0)
    assert keys(found) == ["a", "b", "c", "d"]


def test_the_silent_are_asked_thrice_and_then_dead() -> None:
    found = roster("a.x")
    assert found.silence(now_ms=SILENCE_MS - 1) == ([], [])
    now = float(SILENCE_MS)
    for _ in range(TRIES_MAX):
        assert found.silence(now_ms=now) == (["a.x"], [])
        assert found.silence(now_ms=now + TRY_INTERVAL_MS - 1) == ([], [])
        now += TRY_INTERVAL_MS
    assert now < 10_000
    assert found.silence(now_ms=now) == ([], ["a.x"])


def test_an_answer_gives_all_tries_back() -> None:
    found = roster("a.x")
    assert found.silence(now_ms=SILENCE_MS).ask == ["a.x"]
    found.heard("a.x", at_ms=SILENCE_MS + 1)
    assert found.silence(now_ms=SILENCE_MS + 2) == ([], [])
    later = 2 * SILENCE_MS + 1
    asked = [found.silence(now_ms=later + i * TRY_INTERVAL_MS).ask for i in range(TRIES_MAX + 1)]
    assert asked == [["a.x"]] * TRIES_MAX + [[]]


def test_beyond_a_few_strangers_only_who_was_heard_again_is_told() -> None:
    found: Roster[Mailbox] = Roster(names_max=NAMES_MAX, strangers_max=1)
    for name in ("a", "b", "c"):
        found.note(f"{name}.x", mailbox(name, 1), now_ms=0)
    assert keys(found) == ["a"]
    assert [after and after.key for _, after in found.take_changes()] == ["a"]
    assert found.has_strangers
    assert found.credible_names() == ["a.x"]
    found.heard("b.x", at_ms=0)
    assert not found.has_changes
    found.heard("b.x", at_ms=200)
    assert found.has_changes
    assert [after and after.key for _, after in found.take_changes()] == ["b"]
    found.prove("c.x", now_ms=0)
    assert keys(found) == ["a", "b", "c"]
    assert not found.has_strangers


def test_who_is_gone_or_known_lets_another_be_believed_at_once() -> None:
    found: Roster[Mailbox] = Roster(names_max=NAMES_MAX, strangers_max=1)
    found.note("a.x", mailbox("a", 1), now_ms=0)
    found.heard("a.x", at_ms=1)
    found.note("b.x", mailbox("b", 1), now_ms=0)
    found.forget("b.x")
    found.note("c.x", mailbox("c", 1), now_ms=0)
    assert keys(found) == ["a", "c"]


def test_who_was_believed_at_once_does_not_make_room_for_inventions() -> None:
    found: Roster[Mailbox] = Roster(names_max=2, strangers_max=1)
    for name in ("a", "b", "c"):
        found.note(f"{name}.x", mailbox(name, 1), now_ms=0)
    assert [name for name, _ in found.entries()] == ["a.x", "c.x"]
    assert keys(found) == ["a"]


def test_who_was_heard_again_meanwhile_is_not_who_makes_room() -> None:
    again = {"a.x": 200.0}
    found: Roster[Mailbox] = Roster(
        names_max=2, strangers_max=0, last_heard=lambda name: again.get(name, 0.0)
    )
    for name in ("a", "b", "c"):
        found.note(f"{name}.x", mailbox(name, 1), now_ms=0)
    assert [name for name, _ in found.entries()] == ["a.x", "c.x"]


class AgainstModel(RuleBasedStateMachine):
    """Names and keys in any order: the roster holds what a dict would, and tells every change."""

    def __init__(self) -> None:
        super().__init__()
        self.roster: Roster[Mailbox] = Roster(names_max=NAMES_MAX)
        self.model: dict[str, Mailbox] = {}
        self.proven: set[str] = set()
        self.told: dict[str, Mailbox] = {}

    @rule(name=st.sampled_from("abcdefg"), key=st.sampled_from("abc"), port=st.integers(1, 3))
    def note(self, name: str, key: str, port: int) -> None:
        item = mailbox(key, port)
        if name not in self.model and len(self.model) == NAMES_MAX:
            unproven = [other for other in self.model if other not in self.proven]
            assert self.roster.note(name, item, now_ms=0) == bool(unproven)
            if not unproven:
                return
            del self.model[unproven[0]]
        else:
            assert self.roster.note(name, item, now_ms=0)
        self.model[name] = item

    @rule(name=st.sampled_from("abcdefg"))
    def forget(self, name: str) -> None:
        self.roster.forget(name)
        self.model.pop(name, None)
        self.proven.discard(name)

    @rule(name=st.sampled_from("abcdefg"))
    def prove(self, name: str) -> None:
        if name in self.model:
            self.roster.prove(name, now_ms=0)
            self.proven.add(name)

    @rule()
    def tell(self) -> None:
        for before, after in self.roster.take_changes():
            assert before != after
            either = after or before
            assert either is not None
            assert self.told.pop(either.key, None) == before
            if after is not None:
                self.told[after.key] = after
        assert sorted(self.told) == sorted({item.key for item in self.model.values()})

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert dict(self.roster.entries()) == self.model
        for item in self.roster.current():
            claimed = {e for m in self.model.values() if m.key == item.key for e in m.endpoints}
            assert set(item.endpoints) == claimed


TestAgainstModel = AgainstModel.TestCase
