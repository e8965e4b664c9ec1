"""What usually goes wrong with a machine that is to be a mailbox, looked at one by one.

Nothing is changed, and nothing sent but two mDNS questions an interface. `checkup.all_of` is the
whole of it; each module beside it looks at one part of the machine.
"""
