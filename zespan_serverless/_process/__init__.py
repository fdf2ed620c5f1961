"""What exists once in a process: the container, its start, and what happens when the process ends."""

from .container import Container, current
from .ending import at_exit, mark_deadline, pause, resume, watch
from .startup import reconsider, reset, start

__all__ = [
    "Container",
    "at_exit",
    "current",
    "mark_deadline",
    "pause",
    "reconsider",
    "reset",
    "resume",
    "start",
    "watch",
]
