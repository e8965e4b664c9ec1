"""`scripts/torture`: campaigns against real nodes, seeded and bounded.

crash.py      kills and power cuts under load; then every acknowledgement is looked for
mutate.py     requests that no app would send; the node answers by its table or closes
"""
