"""Keeps what has arrived, one SQLite file for each run, and answers what a page asks of it."""
