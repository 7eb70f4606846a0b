"""What is found when the daemon and its surroundings are looked at: facts become findings.

All of it is pure. The daemon gathers the facts (``diagnosis.py``); where none runs, regcachectl
gathers what it can.
"""
