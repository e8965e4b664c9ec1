"""One mailbox server over HTTP, as a client that believes nothing of what comes back.

Knows the routes and bodies of the apps' servers. Must not know stores, sessions, and why anything
is asked.
Others use `mailbox_server`.
"""
