"""How the settings say that a Cassandra is used."""

from __future__ import annotations

import pytest

from meshbox.core.errors import InvalidSetting
from meshbox.node.cassandra_access import cassandra_access, cassandra_driver
from meshbox.node.settings import resolve


def test_what_the_settings_say_of_it() -> None:
    named = {"store": "cassandra://10.0.0.1/camp"}
    access = cassandra_access(resolve(options=named, environment={}).settings)
    assert (access.address.keyspace, access.user, access.password_file) == ("camp", None, None)


def test_the_embedded_store_is_none() -> None:
    with pytest.raises(InvalidSetting, match="needs no preparation"):
        cassandra_access(resolve(options={}, environment={}).settings)


def test_without_the_driver_the_hint_says_what_to_install() -> None:
    with pytest.raises(InvalidSetting) as caught, cassandra_driver():
        raise ModuleNotFoundError("No module named 'cassandra'", name="cassandra")
    assert "meshbox[cassandra]" in (caught.value.hint or "")
    assert "(cassandra)" in caught.value.message


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), cassandra_driver():
        raise ZeroDivisionError
