"""Mutation testing of meshbox/core with mutmut: which modules, for how long, and what it came to.

Knows mutmut's command line alone: its settings are in pyproject.toml, its files in mutants/.
"""
