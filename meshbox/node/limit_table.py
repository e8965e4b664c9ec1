"""The limits as a table, read from the module that defines them: a constant and the string below.

So a limit cannot be added without being listed, nor listed with another reason than it has.
"""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import NamedTuple

from meshbox.core import limits as limits_module


class Limit(NamedTuple):
    """One bound; the name ends in its unit, or it is a count."""

    name: str
    value: int
    reason: str


def limits() -> list[Limit]:
    """Every documented constant of core/limits.py, in its order."""
    body = ast.parse(inspect.getsource(limits_module)).body
    return [
        Limit(name, getattr(limits_module, name), " ".join(reason.split()))
        for statement, below in pairwise(body)
        if (name := _constant(statement)) and (reason := _string(below))
    ]


def _constant(statement: ast.stmt) -> str | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None


def _string(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return None
