"""What `scripts/bench` runs: real nodes as processes on loopback, measured from outside.

Knows the command `meshbox run`, the apps' HTTP API and the control socket, as any client does;
never the inside of a node. docs/measuring.md tells what each figure means.
"""
