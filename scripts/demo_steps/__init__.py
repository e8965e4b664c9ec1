"""What `scripts/demo` runs: three real nodes, watched from outside as an app would.

Knows the command `meshbox run`, the apps' HTTP API and the documents of status and inventory; never
the inside of a node. `story.py` says what must be seen, `processes.py` and `compose.py` are the two
ways to run the nodes. Only the standard library is used.

Invariants: every wait has an end; what was started is ended by its own process id or project name,
also after Ctrl-C; nothing counts as seen that was not read back and compared.
"""
