"""`meshbox store init`: makes a keyspace, again does no harm, and says what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.clusters.cluster import Cluster
from tests import cassandra
from tests.node.processes import Finished, meshbox


def init(*options: str) -> Finished:
    return meshbox("store", "init", *options)


def test_rocksdb_needs_no_preparation() -> None:
    refused = init()
    assert refused.status == 2
    assert "names a Cassandra" in refused.err


@pytest.mark.xdist_group("cassandra")
def test_a_keyspace_is_made_once_and_begun_anew(cassandra_cluster: Cluster, tmp_path: Path) -> None:
    access = cassandra.access(cassandra_cluster, f"init_{os.getpid()}")
    options = ["--store", str(access.address), "--cassandra-user", cassandra.USER]
    options += ["--cassandra-password-file", str(access.password_file)]
    try:
        for _ in range(2):
            made = init(*options, "--cassandra-replication", "1", "--json")
            assert made.status == 0, made
            assert json.loads(made.out) == {
                "schema": "meshbox.store/1",
                "store": str(access.address),
                "version": 1,
                "epoch": None,
            }
        epochs = [init(*options, "--restored", "--json").document["epoch"] for _ in range(2)]
        assert epochs[1] == epochs[0] + 1
        wrong = tmp_path / "wrong"
        wrong.write_text("wrong")
        refused = init(*options, "--cassandra-password-file", str(wrong))
        assert (refused.status, "refuses the user or password" in refused.err) == (1, True)
        nobody = str(replace(access.address, contacts=(("127.0.0.1", 1),)))
        refused = init(*options, "--store", nobody)
        assert (refused.status, "does not answer" in refused.err) == (1, True)
    finally:
        asyncio.run(cassandra.drop(access))
