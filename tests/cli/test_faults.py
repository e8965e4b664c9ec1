"""Each fault is one line with its code, and its exit status says whose it is."""

from __future__ import annotations

import pytest

from meshbox.cli.faults import report
from meshbox.core.errors import InvalidSetting, StoreLocked, WrongUse


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (StoreLocked("in use", hint="process 1"), 1, "error[store.locked]: in use (process 1)"),
        (InvalidSetting("bad\nvalue"), 2, "error[setting.invalid]: bad value ("),
        (WrongUse("no such option"), 2, "error[usage.wrong]: no such option ("),
        (KeyError("x"), 1, "error[internal]: KeyError: 'x' (a defect of meshbox; "),
    ],
)
def test_one_line(
    error: Exception, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(f"meshbox: {line}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_developers_may_see_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHBOX_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    report(caught.value)
    assert "test_developers_may_see_where" in capsys.readouterr().err
