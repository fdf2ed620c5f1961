"""Finds misconfiguration before it is deployed: readers make one model of a project, rules look for faults in it.

`readers/` knows file formats and nothing of faults, `rules/` knows faults and nothing of formats. `model.py` is between
them, `source.py` reads Python code, and `lookup.py` answers what several rules ask of both. `findings.py` is what rules
report, and `reports/` prints it. `run.py` is the command, and `live.py` its option that sends an event.
"""
