import azure.functions as func

from zespan_serverless import zespan_azure


@zespan_azure
async def work(msg: func.QueueMessage, answers: func.Out[str], context: func.Context) -> None:
    answers.set(context.invocation_id)
