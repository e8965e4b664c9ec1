"""Scenes: what some seeds have beside the rest of their schedule, each drawn from its own source.

- Little room: what some nodes may store is bounded, for a while or to the end, and phones upload
  what mailboxes miss.
- Strangers: two that hold the same logs but for a few pages of them meet for the first time, and
  are cut while what differs is told.
- Plots: strangers break a rule that takes more than a speech, and some of them together.
- A way out: all but the first have that one as their internet mailbox, and share the way there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from meshbox.core.ranges import SeqRanges
from tests.simulation.links import Cuts, Leaves, Meets
from tests.simulation.machines import Allows
from tests.simulation.schedule import Ends, Event
from tests.simulation.traffic import Deceives, Deposits, Polls

LITTLE_ROOM: Final = 0.2
"""How many of the seeds have nodes with little room."""
CAPACITIES_BYTES: Final = (1_200, 2_000, 3_000, 5_000, 8_000, 12_000)
"""From next to nothing to most of what a seed's phones bring."""
STRANGERS: Final = 0.1
"""How many of the seeds have two strangers."""
PLOTTED: Final = 0.25
"""How many of the seeds have a node with plots against it."""

WAY_OUT: Final = 0.2
"""How many of the seeds have a way out that is shared."""


def way_out(seed: int) -> bool:
    """Whether the first node is the internet mailbox of all others."""
    return random.Random(f"way out {seed}").random() < WAY_OUT


def little_room(seed: int, *, nodes: int, end_s: float) -> list[Event]:
    """Nodes with little room, and phones that upload; most often one node at least has enough."""
    rng = random.Random(f"room {seed}")
    if rng.random() >= LITTLE_ROOM:
        return []
    limited = rng.sample(range(nodes), rng.randint(1, max(1, nodes - rng.choice((0, 1, 1, 1)))))
    events: list[Event] = []
    for node in limited:
        events.append(Allows(0.0, node, rng.choice(CAPACITIES_BYTES)))
        for _ in range(rng.choice((0, 1, 1, 2))):
            at_s = round(rng.uniform(0, end_s), 3)
            events.append(Allows(at_s, node, rng.choice((None, *CAPACITIES_BYTES))))
    for phone in range(3):
        for _ in range(rng.randint(1, 4)):
            at_s = round(rng.uniform(0, end_s), 3)
            events.append(Polls(at_s, phone, rng.randrange(nodes), uploads=True))
    return events


def strangers(seed: int, *, links: Sequence[Ends]) -> list[Event]:
    """Two of a mesh that do not know each other before some logs lie at both, and some at one."""
    rng = random.Random(f"strangers {seed}")
    if rng.random() >= STRANGERS:
        return []
    link = rng.choice(links)
    same = range(20, 20 + rng.randint(3, 6))
    other = range(40, 40 + rng.randint(4, 8))
    holder = rng.choice(link)
    one = SeqRanges.of(0, 1)
    return [
        Leaves(0.0, link),
        Cuts(0.0, link),
        *(Deposits(0.5, end, log, one) for log in same for end in link),
        *(Deposits(0.5, holder, log, one, size_bytes=rng.choice((40, 3_000))) for log in other),
        Meets(2.0, link),
        *(Cuts(at_s, link, rng.randint(4, 24)) for at_s in (2.0, 3.0)),
    ]


def plots(seed: int, *, nodes: int, end_s: float) -> list[Event]:
    """Some plots against one node."""
    rng = random.Random(f"plots {seed}")
    if rng.random() >= PLOTTED:
        return []
    node = rng.randrange(nodes)
    times_s = [round(rng.uniform(0, end_s), 3) for _ in range(rng.randint(1, 4))]
    return [Deceives(at_s, node, rng.randrange(10_000)) for at_s in times_s]
