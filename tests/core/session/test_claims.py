"""What a peer claims to hold is not offered to it, whatever its runs look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.core.ids import BlobClass, LogId, Namespace, parse_author, parse_topic
from meshbox.core.inventory import Run
from meshbox.core.limits import CLAIMED_RANGES_MAX, LOG_RANGES_MAX
from meshbox.core.session.claims import PeerClaims
from meshbox.core.session.frames import OfferedLog, OfferedRun

Held = dict[int, BlobClass]

held = st.dictionaries(st.integers(0, 20), st.sampled_from(BlobClass))


def log_of(number: int) -> LogId:
    return LogId(Namespace.LOGS, parse_topic("topic"), parse_author(f"a{number}"))


def runs_of(numbers: Held, *, length: int = 3) -> list[Run]:
    """Runs of at most `length` numbers."""
    runs: list[Run] = []
    for seq in sorted(numbers):
        last = runs[-1] if runs else None
        joins = last and (last.end, last.blob_class) == (seq, numbers[seq])
        if last and joins and seq - last.first < length:
            runs[-1] = last._replace(end=seq + 1)
        else:
            runs.append(Run(seq, seq + 1, 0, numbers[seq], 1, 1))
    return runs


def offer(number: int, numbers: Held) -> OfferedLog:
    runs = runs_of(numbers, length=5)
    return OfferedLog(
        log_of(number), tuple(OfferedRun(r.first, r.end, r.blob_class, 1, 1, 0) for r in runs)
    )


@given(st.lists(held, max_size=3), held)
def test_a_run_is_left_out_when_all_of_it_was_claimed_as_good(
    claimed: list[Held], ours: Held
) -> None:
    claims = PeerClaims()
    best: Held = {}
    for numbers in claimed:
        claims.offered([offer(0, numbers)])
        for seq, blob_class in numbers.items():
            best[seq] = max(best.get(seq, blob_class), blob_class)
    runs = runs_of(ours)
    expected = [
        run
        for run in runs
        if any(best.get(seq, -1) < run.blob_class for seq in range(run.first, run.end))
    ]
    assert list(claims.unclaimed(log_of(0), runs)) == expected
    assert list(claims.unclaimed(log_of(1), runs)) == runs
    claims.forget([log_of(0).key])
    assert list(claims.unclaimed(log_of(0), runs)) == runs


def test_what_was_claimed_longest_ago_is_forgotten() -> None:
    claims = PeerClaims()
    holes = {2 * n: BlobClass.OPAQUE for n in range(LOG_RANGES_MAX)}
    logs = CLAIMED_RANGES_MAX // LOG_RANGES_MAX + 1
    for number in range(logs):
        claims.offered([offer(number, holes)])
    runs = runs_of(holes)
    assert len(claims.unclaimed(log_of(0), runs)) == LOG_RANGES_MAX
    assert all(claims.unclaimed(log_of(number), runs) == () for number in range(1, logs))


def test_a_log_of_too_many_ranges_is_not_remembered() -> None:
    claims = PeerClaims()
    for shift in (0, 2 * LOG_RANGES_MAX):
        claims.offered([offer(0, {shift + 2 * n: BlobClass.OPAQUE for n in range(LOG_RANGES_MAX)})])
    assert len(claims.unclaimed(log_of(0), runs_of({0: BlobClass.OPAQUE}))) == 1
