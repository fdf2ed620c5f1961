"""What exists once in a process: the container, its start, and what happens when the process ends."""

from .container import Container as Container
from .container import current as current
from .ending import at_exit as at_exit
from .ending import mark_deadline as mark_deadline
from .ending import pause as pause
from .ending import resume as resume
from .ending import watch as watch
from .startup import reconsider as reconsider
from .startup import reset as reset
from .startup import start as start
