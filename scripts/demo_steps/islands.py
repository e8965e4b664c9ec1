"""Two islands, each a LAN of two mailboxes, and a mailbox on the internet between them.

alder ─┬─ ash          alder, ash and birch know the mailbox on the internet: each has a line of
   │   │               its own, which all are cut and healed together. Of alder and ash, which
═══╪═══╪═══ harbour    share the way out, each may carry a message. beech has no line.
   │
birch ─── beech
"""

from __future__ import annotations

from typing import Protocol

from scripts.demo_steps.mesh import Mesh

ISLAND_A = ("alder", "ash")
ISLAND_B = ("birch", "beech")
HARBOUR = "harbour"
GATEWAYS = ("alder", "ash", "birch")
ALL = (*ISLAND_A, *ISLAND_B, HARBOUR)


class IslandMesh(Mesh, Protocol):
    """The five nodes. The lines to the internet are cut when they have started."""

    def cut(self) -> None:
        """Nothing passes between the islands and the internet any more."""

    def heal(self) -> None:
        """The internet is back."""
