"""Finding and being found: mDNS in both dialects, interfaces that change, reachability.

Knows names, addresses and what was heard of them. Must not know whom to trust: what it finds are
hints.
Others use `announcement`, `discovery`, `echo`, `events`, `found`, `interfaces`, `lookout`,
`names`, `network_watch`, `proving`, `routes`.
"""
