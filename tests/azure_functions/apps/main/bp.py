import azure.functions as func

from zespan_serverless import traceparent, zespan_azure

bp = func.Blueprint()  # type: ignore[no-untyped-call]


@bp.route(route="blueprint")
@zespan_azure
def blueprint(req: func.HttpRequest) -> str:
    return traceparent() or "no trace"


def made(number: int) -> None:
    """Functions that no module has by name."""

    @bp.function_name(f"made{number}")
    @bp.route(route=f"made/{number}")
    @zespan_azure
    def function(req: func.HttpRequest) -> str:
        return str(number)


for number in (1, 2):
    made(number)
