"""Spans as trees for people: `tree` draws, in the `style` of a stream; `nodes` makes nodes of events.

The Lambda layer does not have this folder, because nobody looks at a terminal there.
"""
