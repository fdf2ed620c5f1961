"""The story of one invocation: begin, call, end, report, flush."""
