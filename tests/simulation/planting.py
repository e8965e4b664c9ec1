"""Planting a defect: one function of the product is replaced for a while."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

Make = Callable[[Any], Any]
"""From what is there to what takes its place."""


class Defect(NamedTuple):
    """A rule left out, or broken."""

    name: str
    owner: Any
    """The class or module whose attribute is replaced."""
    attribute: str
    make: Make


class Defects(list[Defect]):
    """Those of one idea, gathered as they are written down."""

    def defect(self, name: str, owner: Any, attribute: str) -> Callable[[Make], Make]:
        """The function below makes what is put in the place of `owner.attribute`."""
        assert attribute in vars(owner), f"{name}: {owner.__name__} has no {attribute} of its own"

        def add(make: Make) -> Make:
            self.append(Defect(name, owner, attribute, make))
            return make

        return add


@contextmanager
def planted(defect: Defect) -> Iterator[None]:
    """The product has the defect in here; also where a function was taken in by its name."""
    there = vars(defect.owner)[defect.attribute]
    instead = defect.make(there)
    owners = [defect.owner]
    owners += (
        module
        for name, module in sys.modules.copy().items()
        if name.startswith("meshbox.") and vars(module).get(defect.attribute) is there
    )
    for owner in owners:
        setattr(owner, defect.attribute, instead)
    try:
        yield
    finally:
        for owner in owners:
            setattr(owner, defect.attribute, there)
