"""Amazon Bedrock by boto3 and aiobotocore.

    _converse  Converse                    _invoke    InvokeModel: a body of JSON, which each family of models defines
    _families  answers of these families   _pieces    their streams
    _images    images by InvokeModel       _streams   how bodies and event streams are read along
    _agents    agents, knowledge bases     _operations which of these an operation is

Every call of botocore passes one method, of whatever service; all but those to Bedrock go on at once.
"""

from __future__ import annotations

from typing import Any

from .._fields import field
from .._request import Choke, Request

_SERVICES = ("bedrock-runtime", "bedrock-agent-runtime")


class Calls(Choke):
    """`_make_api_call(operation, parameters)` of a client, which covers retries."""

    classes: tuple[str, ...] = ("BaseClient", "AioBaseClient")
    methods: tuple[str, ...] = ("_make_api_call",)

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        if field(field(field(owner, "meta"), "service_model"), "service_name") not in _SERVICES:
            return None
        from ._operations import OPERATIONS  # not above: most functions with boto3 never call Bedrock

        operation = args[0] if args else kwargs.get("operation_name")
        asks = OPERATIONS.get(operation) if isinstance(operation, str) else None
        if asks is None:
            return None
        parameters = args[1] if len(args) > 1 else kwargs.get("api_params")
        return asks(parameters if isinstance(parameters, dict) else {})


CHOKES = (Calls(),)
