"""Finds misconfiguration before it is deployed: readers make one model of a project, rules look for faults in it.

`readers/` knows file formats and nothing of faults, `rules/` knows faults and nothing of formats. `model.py` is between
them. `findings.py` is what rules report, and `reports/` prints it.
"""
