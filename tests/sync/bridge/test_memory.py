"""What is remembered of a log comes back, also through a new start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.bridging import UNKNOWN, FarLog
from meshbox.core.limits import NOTE_BYTES_MAX
from meshbox.core.ranges import SEQ_END, SeqRanges
from meshbox.storage.interface import Deposit, Note
from meshbox.sync.bridge.memory import Memory
from tests.contract.harness import MemoryHarness
from tests.contract.material import LOG, log_of

URL = "https://mailbox.example"

numbers = st.lists(st.integers(0, SEQ_END - 1), unique=True, max_size=300)


async def test_it_comes_back(harness: MemoryHarness) -> None:
    store = await harness.open()
    far = FarLog(
        SeqRanges([(0, 9), (SEQ_END - 1, SEQ_END)]), SeqRanges.of(3, 4), SeqRanges.of(0, 2)
    )
    memory = Memory(store, url=URL, server_id=None)
    await store.commit(Deposit(notes=memory.notes({LOG: far})))
    store = await harness.reopen()
    other = log_of("never exchanged")
    again = Memory(store, url=URL, server_id=None)
    assert await again.of([LOG, other]) == {LOG: far, other: UNKNOWN}
    for url, server_id in ((URL, "another id"), ("https://another.example", None)):
        assert await Memory(store, url=url, server_id=server_id).of([LOG]) == {LOG: UNKNOWN}


@given(numbers, numbers)
def test_a_note_is_never_too_long(first: list[int], second: list[int]) -> None:
    sets = [SeqRanges((n, n + 1) for n in many) for many in (first, second)]
    memory = Memory(None, url=URL, server_id=None)  # type: ignore[arg-type]
    (note,) = memory.notes({LOG: FarLog(sets[0], sets[1], sets[0])})
    assert len(note.text) <= NOTE_BYTES_MAX


async def test_what_another_version_wrote_is_nothing(harness: MemoryHarness) -> None:
    store = await harness.open()
    memory = Memory(store, url=URL, server_id=None)
    (note,) = memory.notes({LOG: UNKNOWN})
    for text in (b"", b"\xff", b"\x93\x91\x05\x90\x90", b"\x93\x92\x05\x04\x90\x90"):
        await store.commit(Deposit(notes=[Note(note.keeper, LOG.key, text)]))
        assert await memory.of([LOG]) == {LOG: UNKNOWN}
