import azure.functions as func

from zespan_serverless import traceparent, zespan_azure


@zespan_azure
def main(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"
