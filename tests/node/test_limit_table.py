"""Every limit is listed with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

from meshbox.core import limits as limits_module
from meshbox.node.limit_table import limits

UNITS = {"KIB", "MIB"}


def test_each_constant_is_listed() -> None:
    source = Path(str(limits_module.__file__)).read_text(encoding="utf-8")
    assigned = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    names = [node.target.id for node in assigned if isinstance(node.target, ast.Name)]
    assert [limit.name for limit in limits()] == [name for name in names if name not in UNITS]


def test_each_has_its_value_and_one_line_of_reason() -> None:
    listed = {limit.name: limit for limit in limits()}
    assert listed["ID_BYTES_MAX"].value == limits_module.ID_BYTES_MAX
    assert listed["ID_BYTES_MAX"].reason.startswith("Bytes of a topic")
    assert all("\n" not in limit.reason for limit in limits())
