"""Two traced functions: one with the decorator and the package in its code, one with the layer."""

from __future__ import annotations

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from zespan import ZespanLayer, python_code, send_traces


class Chat(Stack):
    """The functions, and what they need."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        decorated = lambda_.Function(
            self,
            "Decorated",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler="app.handler",
            code=python_code("function"),
            memory_size=512,
            timeout=Duration.seconds(30),  # init + the slowest model call + 1.2 s for the flush
        )
        send_traces(decorated)

        unchanged = lambda_.Function(
            self,
            "Unchanged",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler="plain.handler",
            code=python_code("function"),
            memory_size=512,
            timeout=Duration.seconds(30),
        )
        send_traces(unchanged, secret="zespan-api-key")
        ZespanLayer(self, "Zespan").trace(unchanged)


app = App()
Chat(app, "Chat")
app.synth()
