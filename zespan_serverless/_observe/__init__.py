"""The story of one invocation: begin, call, end, report, flush."""

from .call import Call, observed, observed_async, passing, prepare
from .startup import start

__all__ = ["Call", "observed", "observed_async", "passing", "prepare", "start"]
