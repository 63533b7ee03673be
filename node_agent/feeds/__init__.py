"""The feeds: one way records enter a node each; bytes -> parsed records (records.py).

No database and no I/O in here.
"""
