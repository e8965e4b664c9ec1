"""The mailbox API of every generation of the apps, from the HTTP/1.1 parser up: one module a
generation.

Knows requests, answers, their deadlines and bounds. Must not know how blobs are kept, and by
which engine.
Others use `proxies`, `server`, `settings`, `unopened`.
"""
