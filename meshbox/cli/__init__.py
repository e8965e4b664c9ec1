"""The `meshbox` command: one file a subcommand.

Knows the control socket of a running node, and the settings. Must not know how a node does what
it asks of it.
Others use `main`.
"""
