"""What `scripts/cassandra` runs: an Apache Cassandra on loopback, for development.

The real server from Maven's artifacts, on Java 17, with little memory. Not for any mailbox that is
used: docs/cassandra.md says how those are set up. Everything is in one folder of the project that
git ignores; a process is stopped by its own id, and only when it is still the one that was started.
"""
