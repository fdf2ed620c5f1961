"""The tools of zespan-serverless for developers: what a function sends, when, and at what cost."""

PORT = 4880
"""The port of `zespan-serverless dev`, unless --port names another one."""
