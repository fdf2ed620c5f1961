"""Trace context: ids, W3C headers, and the span that is current."""
