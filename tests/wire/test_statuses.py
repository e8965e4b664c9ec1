"""Every code has one row of statuses and one in the manual, and they say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import grpc
import pytest

from meshbox.core import errors
from meshbox.core.errors import CallerError, MeshboxError, PeerError, WorldError
from meshbox.wire.statuses import STATUSES, Statuses

ERRORS: Final = Path(__file__).parents[2] / "docs/errors.md"
FAMILIES: Final = {"CallerError", "PeerError", "PeerMisbehaved", "WorldError"}
FAULTS: Final = {
    fault.code: fault
    for fault in vars(errors).values()
    if isinstance(fault, type) and issubclass(fault, MeshboxError)
    if fault.__name__ not in FAMILIES
}
ROWS: Final = [
    re.split(r" *\| *", line)[1:-1]
    for line in ERRORS.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def test_every_code_has_one_row_and_every_row_a_code() -> None:
    assert set(STATUSES) == set(FAULTS)
    assert sorted(row[0].strip("`") for row in ROWS) == sorted(FAULTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_manual_says_what_the_program_does(row: list[str]) -> None:
    code, meaning, advice, http, grpc_name = row
    fault = FAULTS[code.strip("`")]
    assert meaning
    assert advice == fault.advice or (fault is MeshboxError and advice)
    assert (int(http), grpc_name) == STATUSES[fault.code]


@pytest.mark.parametrize(("code", "statuses"), STATUSES.items())
def test_the_statuses_say_whose_fault_it_is(code: str, statuses: Statuses) -> None:
    assert grpc.StatusCode[statuses.grpc] is not grpc.StatusCode.OK
    fault = FAULTS[code]
    if issubclass(fault, CallerError):
        assert 400 <= statuses.http < 500 or fault is errors.MediaNotServed
    elif issubclass(fault, WorldError):
        assert statuses.http in (503, 507)
    elif issubclass(fault, PeerError):
        assert statuses.http == 502
    else:
        assert (fault, statuses.http) == (MeshboxError, 500)
