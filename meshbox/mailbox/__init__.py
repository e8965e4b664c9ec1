"""What a mailbox does for its clients: deposit, fetch, wait, sweep.

Knows the store and the operating system's clock. Must not know HTTP and peers.
Others use `deposit`, `mailbox`, `planner`, `sweeping`, `system_clock`.
"""
