"""The dialect of mDNS that apps from 0.20 on speak (the library swarm-discovery), beside zeroconf.

They read no record that has the cache-flush bit, so nothing that a standard announcer sends, and
they drop a mailbox that has not answered for about 2 s. Pure: `packet`, `cycle`, `members`. Shell:
`link` is one interface, `responder` all of them. Byte for byte as captured, see docs/adr/0014.
"""
