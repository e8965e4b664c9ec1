"""Lines that can be cut, healed and slowed, for demos, benchmarks and tests.

A line to the internet is a TCP relay (line.py), which needs no right of the system. Where network
namespaces may be made, machines can have wires of their own instead (lab.py).

Only the standard library is used.
"""
