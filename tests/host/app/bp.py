"""Functions that tell what they were given, or answer what they are told to."""

import asyncio
import base64
import json
import time
from typing import Any

import azure.functions as func

blueprint = func.Blueprint()
ANONYMOUS = func.AuthLevel.ANONYMOUS
TICKS: list[dict[str, Any]] = []
BEGUN: list[str] = []
FINISHED: list[str] = []


def seen(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """The whole request as JSON."""
    body = req.get_body()
    document = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "headers": dict(req.headers),
        "body": base64.b64encode(body[:1000]).decode(),
        "length": len(body),
        "form": dict(req.form),
    }
    return func.HttpResponse(json.dumps(document), mimetype="application/json")


@blueprint.route("any", auth_level=ANONYMOUS)
async def every_method(req: func.HttpRequest) -> func.HttpResponse:
    return seen("every_method", req)


@blueprint.route("echo/{value}", methods=["GET", "POST"], auth_level=ANONYMOUS)
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return seen("echo", req)


@blueprint.route("echo/Literal", methods=["GET"], auth_level=ANONYMOUS)
async def literal(req: func.HttpRequest) -> func.HttpResponse:
    return seen("literal", req)


@blueprint.route("rest/{*path}", methods=["GET"], auth_level=ANONYMOUS)
async def rest(req: func.HttpRequest) -> func.HttpResponse:
    return seen("rest", req)


@blueprint.route("guarded", methods=["GET"])
async def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return seen("guarded", req)


@blueprint.route("chief", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
async def chief(req: func.HttpRequest) -> func.HttpResponse:
    return seen("chief", req)


@blueprint.route("answer", methods=["GET", "HEAD", "POST"], auth_level=ANONYMOUS)
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    """Answers with the status, headers and body that the request's body names."""
    wanted = json.loads(req.get_body() or b"{}")
    response = func.HttpResponse(wanted.get("body", ""), status_code=wanted.get("status", 200))
    for name, value in wanted.get("headers", []):
        response.headers.add(name, value)
    return response


@blueprint.route("text", methods=["GET"], auth_level=ANONYMOUS)
async def text(req: func.HttpRequest) -> str:
    return "grüß"


@blueprint.route("thread", methods=["GET"], auth_level=ANONYMOUS)
def thread(req: func.HttpRequest) -> func.HttpResponse:
    return seen("thread", req)


@blueprint.route("raise", methods=["GET"], auth_level=ANONYMOUS)
async def failing(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("only the log may see this")


@blueprint.route("slow/{name}", methods=["GET"], auth_level=ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    BEGUN.append(req.route_params["name"])
    await asyncio.sleep(float(req.params["seconds"]))
    FINISHED.append(req.route_params["name"])
    return func.HttpResponse(req.route_params["name"])


@blueprint.route("stuck", methods=["GET"], auth_level=ANONYMOUS)
def stuck(req: func.HttpRequest) -> func.HttpResponse:
    BEGUN.append("stuck")
    time.sleep(30)
    return func.HttpResponse("")


@blueprint.route("memory", methods=["GET"], auth_level=ANONYMOUS)
async def memory(req: func.HttpRequest) -> func.HttpResponse:
    document = {"ticks": TICKS, "begun": BEGUN, "finished": FINISHED}
    return func.HttpResponse(json.dumps(document), mimetype="application/json")


@blueprint.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None:
    # The SDK's abstract class does not name what its timers have.
    TICKS.append({"past_due": timer.past_due, "status": getattr(timer, "schedule_status", None)})


@blueprint.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
async def fail(timer: func.TimerRequest) -> None:
    raise ValueError("only the log may see this either")
