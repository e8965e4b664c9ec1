"""Lines to the internet that can be cut, healed and slowed, for demos, benchmarks and tests.

Only the standard library is used, and no right of the system is needed: a line is a TCP relay.
"""
