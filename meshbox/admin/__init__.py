"""What operators see and do: status, readiness, metrics, inventory, sweep; over the control socket
and the admin listener.

Knows the store, sync and HTTP by what `sources` lists of them. Must not know what a figure is
used for, or how anything is decided.
Others use `control_socket`, `server`, `sources`.
"""
