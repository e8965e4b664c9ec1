"""Every fault has a status."""

from __future__ import annotations

import pytest

from meshbox.core import errors
from meshbox.core.errors import MeshboxError
from meshbox.http_api.errors import STATUS_OF_CODE, status_of


def faults(below: type[MeshboxError] = MeshboxError) -> list[type[MeshboxError]]:
    """All faults that core names, but the families."""
    named = [fault for fault in below.__subclasses__() if fault.__module__ == errors.__name__]
    found = [fault for fault in named if "code" in vars(fault)]
    return [*found, *(fault for family in named for fault in faults(family))]


def test_every_code_has_a_row_and_every_row_a_code() -> None:
    assert {fault.code for fault in faults()} == set(STATUS_OF_CODE)


@pytest.mark.parametrize("fault", faults(errors.CallerError), ids=lambda fault: fault.code)
def test_a_callers_fault_is_the_callers(fault: type[MeshboxError]) -> None:
    assert 400 <= status_of(fault("x")) < 500 or fault is errors.MediaNotServed


@pytest.mark.parametrize("fault", faults(errors.WorldError), ids=lambda fault: fault.code)
def test_a_fault_of_the_world_asks_to_try_again(fault: type[MeshboxError]) -> None:
    assert status_of(fault("x")) in (503, 507)
