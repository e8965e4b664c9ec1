"""What goes wrong with the servers themselves."""

from __future__ import annotations


class ClusterFailed(Exception):
    """A server could not be fetched, started or stopped: a sentence for who asked."""


class ClusterImpossible(ClusterFailed):
    """This machine lacks what Cassandra needs: Java 17, Maven, Linux."""
