"""Figures: the values of several runs become rows of median, least and greatest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.machine import Machine

PER_SECOND: Final = "/s"
"""The end of every unit of which more is better; of all others less is."""

_DIGITS: Final = 4


class Row(msgspec.Struct, frozen=True):
    """One figure. `baseline` is the median of the same measurement, in the same run, of what it is
    compared with; `recorded` what was measured once of another server, on another day."""

    name: str
    unit: str
    median: float
    min: float
    max: float
    n: int
    goal: float | None
    baseline: float | None
    recorded: float | None
    machine: Machine


@dataclass(slots=True)
class _Series:
    unit: str
    goal: float | None
    recorded: float | None
    values: list[float] = field(default_factory=list)
    baselines: list[float] = field(default_factory=list)


class Figures:
    """Gathers the values of one benchmark, a run at a time."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def add(
        self,
        name: str,
        unit: str,
        value: float | None,
        *,
        goal: float | None = None,
        baseline: float | None = None,
        recorded: float | None = None,
    ) -> None:
        """Adds one run's value; None (not to be known on this system) adds nothing."""
        if value is None:
            return
        series = self._series.setdefault(name, _Series(unit, goal, recorded))
        series.values.append(value)
        if baseline is not None:
            series.baselines.append(baseline)

    def rows(self, machine: Machine) -> list[Row]:
        """One row a name, in the order in which they first came."""
        return [_row(name, series, machine) for name, series in self._series.items()]


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that `percent` % of `values`, of which there is one, do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def show(rows: Sequence[Row], console: Console) -> None:
    """Rows as a table for people."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "median", "min", "max", "n", "unit", "goal", "baseline", "recorded"):
        is_text = heading in ("name", "unit")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            *(_text(value) for value in (row.median, row.min, row.max)),
            str(row.n),
            row.unit,
            _goal(row),
            *("" if value is None else _text(value) for value in (row.baseline, row.recorded)),
        )
    console.print(table)


def _row(name: str, series: _Series, machine: Machine) -> Row:
    return Row(
        name=name,
        unit=series.unit,
        median=_rounded(statistics.median(series.values)),
        min=_rounded(min(series.values)),
        max=_rounded(max(series.values)),
        n=len(series.values),
        goal=series.goal,
        baseline=_rounded(statistics.median(series.baselines)) if series.baselines else None,
        recorded=series.recorded,
        machine=machine,
    )


def _rounded(value: float) -> float:
    """As many digits as mean something."""
    return float(f"{value:.{_DIGITS}g}")


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    sign = "≥" if row.unit.endswith(PER_SECOND) else "≤"
    return f"{sign} {_text(row.goal)}"
