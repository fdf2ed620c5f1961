"""The story of one invocation: begin, call, end, report, flush."""

from .call import Call, observed, observed_async, passing, prepare
from .start import start

__all__ = ["Call", "observed", "observed_async", "passing", "prepare", "start"]
