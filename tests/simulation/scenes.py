"""Scenes: what some seeds have beside the rest of their schedule, each drawn from its own source.

- Little room: what some nodes may store is bounded, for a while or to the end, and phones upload
  what mailboxes miss.
- Strangers: two that hold the same logs but for a few pages of them meet for the first time, and
  are cut while what differs is told.
- Plots: strangers break a rule that takes more than a speech, and some of them together.
- Starved: some nodes have little time, and find at once what came meanwhile.
- Lively: some nodes all know each other, and at each of them phones write all the time.
- A way out: all but the first have that one as their internet mailbox, and share the way there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Final

from meshbox.core.ranges import SeqRanges
from tests.simulation.links import Cuts, Leaves, Meets
from tests.simulation.machines import Allows, Starves
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
LOOKS_S: Final = (0.02, 0.05, 0.2, 0.5)
"""Seconds between two looks of a node with little time."""
STARVED: Final = 0.25
"""How many of the seeds have nodes with little time."""
LIVELY: Final = 0.15
"""How many of the seeds have phones that write all the time."""
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


def starved(seed: int, *, nodes: int, end_s: float) -> list[Event]:
    """Some nodes that look only now and then, for a while; most often at the same moments."""
    rng = random.Random(f"starved {seed}")
    if rng.random() >= STARVED:
        return []
    looks_s = rng.choice(LOOKS_S)
    return [
        Starves(round(rng.uniform(0, end_s / 2), 3), node, looks_s, round(rng.uniform(1, end_s), 3))
        for node in rng.sample(range(nodes), rng.randint(1, nodes))
    ]


def lively(seed: int, *, nodes: int) -> list[Event]:
    """Up to four nodes that all know each other, at each of which two phones write, for a second
    or several; they may have little time for that."""
    rng = random.Random(f"lively {seed}")
    if rng.random() >= LIVELY:
        return []
    among = rng.sample(range(nodes), min(nodes, 4))
    events: list[Event] = [Meets(0.0, pair) for pair in combinations(among, 2)]
    if rng.random() < 0.7:
        looks_s = rng.choice(LOOKS_S)
        events += (Starves(0.5, node, looks_s, 10.0) for node in among)
    written = dict.fromkeys(((node, phone) for node in among for phone in range(2)), 0)
    at_s, pause_s = 1.0, rng.choice((0.002, 0.01, 0.05))
    for _ in range(rng.randint(20, 80)):
        node, phone = rng.choice(list(written))
        one = SeqRanges.single(written[node, phone])
        written[node, phone] += 1
        events.append(Deposits(round(at_s, 3), node, 60 + 2 * node + phone, one))
        at_s += rng.uniform(0, 2 * pause_s)
    return events
