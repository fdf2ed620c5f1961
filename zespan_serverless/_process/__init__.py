"""What exists once in a process: the container, and how the process ends."""

from .container import Container, current
from .ending import at_exit, overdue, renew, rest, watch
from .startup import forget, record, start

__all__ = [
    "Container",
    "at_exit",
    "current",
    "forget",
    "overdue",
    "record",
    "renew",
    "rest",
    "start",
    "watch",
]
