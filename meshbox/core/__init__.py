"""The rules of the mailbox, pure.

Knows what is held, wanted, offered, old, and full; what two nodes say to each other. Must not
know clocks, randomness, event loop, protobuf, files, sockets.
Others use `address`, `bounded_cache`, `bridging`, `clock`, `errors`, `filling`, `forgetting`,
`ids`, `internet`, `inventory`, `limits`, `neighbours`, `ranges`, `rate`, `reachability`,
`reconcile`, `retention`, `room`, `session.assembly`, `session.beginnings`, `session.comparing`,
`session.effects`, `session.frames`, `session.session`, `telling`, `told`, `topics`, `wants`,
`way_out`.
"""
