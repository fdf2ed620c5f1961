"""Draws spans as trees: `tree` draws, in the `style` of a stream; `nodes` converts events to nodes.

The Lambda layer does not have this folder, because there is no terminal.
"""
