"""What a mailbox does: deposit, fetch, sweep, statistics, over a store and a clock."""
