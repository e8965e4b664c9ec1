"""When one mailbox asks, answers and keeps silent on one network: swarm-discovery's algorithm.

Pure: time comes in as `now_ms`, randomness as `chance` in [0, 1), the number of mailboxes as
`size`. All who speak this dialect share one conversation: whoever's timer ends first asks, then
two answer, and whoever heard them is silent. So traffic does not grow with the number of
mailboxes, and one that answered every question at once would silence all others (seen, see
../shared/dash-chat-discovery.md).

    WAITING ──question heard, or 0.7 s + chance · 0.07 s · size (then ASK)──> ANSWERING
    ANSWERING ──chance · 50 ms · size + extra (then ANSWER)──> WAITING
    ANSWERING ──two answers heard──> WAITING
    extra: 100 ms · min(size/2, 10) after an answer of ours; 100 ms less after each silence

Where we differ from the library, each against somebody who does not play by the rules:

- Who is overdue answers like the only one, whatever it hears, and takes an answer that it hears for
  a question: after 2/3 of the silence for which clients drop it, or 10 s; when another answered in
  its name; and while more answers are heard than the rules allow, since then somebody forges them.
  (The library's browsers ask the more seldom, the more mailboxes they believe in.)
- No two answers come within half a second: questions alone never make us shout.
- We ask only if we want to know (`asks`): clients ask for themselves.
"""

from __future__ import annotations

import math
from enum import Enum

from meshbox.core.limits import SWARM_SIZE_MAX

CADENCE_MS = 700.0
ANSWER_DELAY_MS = 100.0
HEARD_MAX = 2
"""Answers in a cycle after which the others keep silent."""
LAPSE_CYCLES = 3.0
"""Cycles of one's own share without an answer after which clients drop a mailbox."""

EXTRA_FACTOR_MAX = 10
OVERDUE_SHARE = 2 / 3
OVERDUE_MS_MAX = 10_000.0
FLOOD_ANSWERS_MAX = 20
"""Answers heard in a second; the rules make 3, and a few more on a slow Wi-Fi."""
FLOOD_WINDOW_MS = 1_000.0
ANSWER_INTERVAL_MS_MIN = 500.0


class Act(Enum):
    """What is to be sent now."""

    NOTHING = "nothing"
    ASK = "ask"
    ANSWER = "answer"


def lapse_ms(size: int) -> float:
    """Silence after which clients that know `size` mailboxes drop one; 2.1 s for one or two."""
    return LAPSE_CYCLES * CADENCE_MS * max(size, 1) / min(max(size, 1), HEARD_MAX)


class Cycle:
    """One mailbox's part. Its owner calls `due` at `next_ms`, and says what it hears meanwhile."""

    def __init__(self, *, now_ms: float, chance: float, asks: bool) -> None:
        self._asks = asks
        self._is_answering = False
        self._heard = 0
        self._extra_ms = 0.0
        self._has_answered = False
        self._answered_ms = -math.inf
        self._is_contested = False
        self._window_ms = now_ms
        self._window_answers = 0
        self._flooded_until_ms = -math.inf
        self.next_ms = math.inf
        """When `due` is to be called; infinity for not before something is heard."""
        self._wait(now_ms, chance, size=1)

    def question_heard(self, *, now_ms: float, chance: float, size: int) -> None:
        """Somebody asked, us included."""
        if not self._is_answering:
            self._begin_to_answer(now_ms, chance, size)

    def answers_heard(self, count: int, *, now_ms: float, chance: float, size: int) -> None:
        """A packet told of `count` other mailboxes."""
        if now_ms - self._window_ms >= FLOOD_WINDOW_MS:
            self._window_ms, self._window_answers = now_ms, 0
        self._window_answers += count
        if self._window_answers > FLOOD_ANSWERS_MAX:
            self._flooded_until_ms = now_ms + 2 * FLOOD_WINDOW_MS
        self._heard += count
        if self._is_overdue(now_ms, size):
            self.question_heard(now_ms=now_ms, chance=chance, size=size)
        elif self._is_answering and self._heard >= HEARD_MAX:
            self._has_answered = False
            self._wait(now_ms, chance, size)

    def answered_for(self, *, now_ms: float, chance: float, size: int) -> None:
        """Those who asked were told of us by ourselves, on another interface to this network."""
        self._answered_ms = now_ms
        if self._is_answering:
            self._has_answered = False
            self._wait(now_ms, chance, size)

    def contested(self) -> None:
        """Another answered in our name: what clients hold is to be put right in this cycle."""
        self._is_contested = True

    def due(self, *, now_ms: float, chance: float, size: int) -> Act:
        """What to send at `next_ms`; call it again at the new one."""
        if not self._is_answering:
            self._begin_to_answer(now_ms, chance, size)
            return Act.ASK
        self._has_answered = now_ms - self._answered_ms >= ANSWER_INTERVAL_MS_MIN
        self._wait(now_ms, chance, size)
        if not self._has_answered:
            return Act.NOTHING
        self._answered_ms = now_ms
        self._is_contested = False
        return Act.ANSWER

    def _wait(self, now_ms: float, chance: float, size: int) -> None:
        self._is_answering = False
        jitter_ms = chance * CADENCE_MS / 10 * min(size, SWARM_SIZE_MAX)
        self.next_ms = now_ms + CADENCE_MS + jitter_ms if self._asks else math.inf

    def _begin_to_answer(self, now_ms: float, chance: float, size: int) -> None:
        self._is_answering = True
        self._heard = 0
        size = min(size, SWARM_SIZE_MAX)
        if self._has_answered:
            self._extra_ms = ANSWER_DELAY_MS * min(size // HEARD_MAX, EXTRA_FACTOR_MAX)
        else:
            self._extra_ms = max(0.0, self._extra_ms - ANSWER_DELAY_MS)
        if self._is_overdue(now_ms, size):
            self.next_ms = now_ms + chance * ANSWER_DELAY_MS
        else:
            self.next_ms = now_ms + chance * ANSWER_DELAY_MS * size / HEARD_MAX + self._extra_ms

    def _is_overdue(self, now_ms: float, size: int) -> bool:
        patience_ms = min(lapse_ms(size) * OVERDUE_SHARE, OVERDUE_MS_MAX)
        is_silent_for_long = now_ms - self._answered_ms >= patience_ms
        return is_silent_for_long or self._is_contested or now_ms < self._flooded_until_ms
