"""What a store promises (`interface`), and the engines: a folder or file each.

Knows the disk, the cluster, and what of it is durable. Must not know who asks.
Others use `cassandra.address`, `cassandra.administering`, `cassandra.schema`, `cassandra.store`,
`embedded.rebuilding`, `embedded.store`, `interface`, `keyvalue`, `leases`, `openings`,
`reopening`, `reserve`, `rocksdb`.
"""
