"""The operations of Bedrock's services that are traced."""

from __future__ import annotations

from . import _agents, _converse, _invoke

OPERATIONS = {**_converse.OPERATIONS, **_invoke.OPERATIONS, **_agents.OPERATIONS}
"""Operation of botocore's -> what makes a request of its parameters."""
