"""Every fault has a code of its own, and a message that a person can act on."""

from __future__ import annotations

import re

import pytest

from meshbox.core import errors
from meshbox.core.errors import MeshboxError

KINDS = {"MeshboxError", "CallerError", "PeerError", "PeerMisbehaved", "WorldError"}


def faults() -> list[type[MeshboxError]]:
    members = vars(errors).values()
    classes = [m for m in members if isinstance(m, type) and issubclass(m, MeshboxError)]
    return [fault for fault in classes if fault.__name__ not in KINDS]


def test_codes_are_distinct_and_well_formed() -> None:
    codes = [fault.code for fault in faults()]
    assert len(set(codes)) == len(codes) > 20
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", code) for code in codes)


def test_each_names_who_is_at_fault() -> None:
    parties = (errors.CallerError, errors.PeerError, errors.WorldError)
    assert [fault for fault in faults() if not issubclass(fault, parties)] == []


def test_the_hint_follows_the_message() -> None:
    assert str(MeshboxError("too much waits")) == "too much waits"
    assert errors.StoreBusy("too much waits").args == ("too much waits",)
    assert str(errors.StoreFull("no room", hint="free some")) == "no room (free some)"


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.code)
def test_without_a_hint_of_its_place_the_code_says_what_to_do(fault: type[MeshboxError]) -> None:
    assert "advice" in vars(fault)
    assert not fault.advice[0].isupper()
    assert not fault.advice.endswith(".")
    refused = errors.ServerRefused("it happened", path="/", status=500)
    it = refused if fault is errors.ServerRefused else fault("it happened")
    assert str(it) == f"it happened ({fault.advice})"


def test_a_refusal_says_what_a_server_said() -> None:
    refused = errors.ServerRefused("busy", path="/store", status=503, retry_after_s=1.5)
    assert (refused.message, str(refused)) == ("busy", f"busy ({refused.advice})")
    assert (refused.path, refused.status, refused.retry_after_s) == ("/store", 503, 1.5)
