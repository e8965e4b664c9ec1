"""The store for mailboxes that outgrow one machine: any number of processes over one Cassandra.

The only package that imports the driver. docs/adr says why its tables are as they are, docs/
cassandra.md how it is set up. Rules that all of it keeps:

- Rows are inserted and merged by who reads, so that no process waits for another, and writing the
  same row again does no harm.
- Quorums: what was acknowledged, every later read sees; two of three servers may be asked.
- Nothing is a partition that grows without end: each has a bound by its key.

`address` can be imported without the driver, and loads nothing: settings are read with it.
"""
