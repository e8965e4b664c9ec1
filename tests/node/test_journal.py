"""What the parts tell: the level of each event, and for how long status warns of it."""

from __future__ import annotations

import logging

import pytest
import structlog
from structlog.testing import LogCapture

from meshbox.node.journal import Journal


@pytest.fixture
def heard() -> LogCapture:
    return LogCapture()


@pytest.fixture
def journal(heard: LogCapture) -> Journal:
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    log = structlog.wrap_logger(None, processors=[heard], wrapper_class=wrapper)
    return Journal(log, wall_ms=iter(range(7, 9)).__next__)


def since_ms(journal: Journal) -> int | None:
    return journal.failed_ms


def levels(heard: LogCapture) -> list[tuple[str, str]]:
    return [(entry["event"], entry["log_level"]) for entry in heard.entries]


def test_a_store_in_trouble_is_a_warning_until_it_is_open_again(
    journal: Journal, heard: LogCapture
) -> None:
    journal.store("store.failed", reason="store.failed", detail="the disk is full")
    assert "the disk is full" in journal.warnings["store"]
    journal.store("store.failed", reason="store.failed", detail="the disk is gone")
    assert "the disk is gone" in journal.warnings["store"]
    assert since_ms(journal) == 7
    journal.store("store.reopened", seconds=0.1)
    assert journal.warnings == {}
    assert since_ms(journal) is None
    assert levels(heard) == [("store.failed", "error")] * 2 + [("store.reopened", "warning")]


def test_a_key_that_is_put_aside_ends_no_trouble(journal: Journal, heard: LogCapture) -> None:
    journal.store("store.failed", reason="store.failed", detail="nobody answers")
    journal.store("identity.archived", file="identity.key.lost-1")
    assert set(journal.warnings) == {"store"}
    assert levels(heard)[1:] == [("identity.archived", "warning")]


def test_a_certificate_of_no_use_is_a_warning_until_one_is_read(
    journal: Journal, heard: LogCapture
) -> None:
    journal.certificate("certificate.failed", detail="it expired")
    assert "it expired" in journal.warnings["https"]
    journal.certificate("certificate.read")
    assert journal.warnings == {}
    assert levels(heard) == [("certificate.failed", "warning"), ("certificate.read", "info")]


def test_a_login_that_is_refused_is_a_warning_beside_the_stores(
    journal: Journal, heard: LogCapture
) -> None:
    journal.store("login.refused", reason="store.refused", detail="no such password")
    journal.store("store.failed", reason="store.failed", detail="nobody answers")
    assert set(journal.warnings) == {"login", "store"}
    assert "no such password" in journal.warnings["login"]
    journal.store("login.accepted")
    assert set(journal.warnings) == {"store"}
    assert levels(heard)[::2] == [("login.refused", "warning"), ("login.accepted", "info")]


def test_only_a_defect_of_ours_is_an_error_among_what_peers_cause(
    journal: Journal, heard: LogCapture
) -> None:
    journal.peers("peer.ended", reason="peer.lost")
    journal.peers("peer.bug", exc_info=ValueError())
    assert levels(heard) == [("peer.ended", "info"), ("peer.bug", "error")]


def test_a_strange_start_is_warned_of_for_as_long_as_it_runs(
    journal: Journal, heard: LogCapture
) -> None:
    journal.settings(test_clock_in_use=True, unknown_variables=("MESHBOX_HTPP",))
    assert "MESHBOX_HTPP" in journal.warnings["MESHBOX_HTPP"]
    assert "clocks" in journal.warnings["clock"]
    assert levels(heard) == [("setting.warning", "warning")] * 2


def test_an_ordinary_start_warns_of_nothing(journal: Journal, heard: LogCapture) -> None:
    journal.settings(test_clock_in_use=False, unknown_variables=())
    assert journal.warnings == {}
    assert heard.entries == []
