"""The functions that the bundle's are measured against: one that says hello, one that passes a call on."""

import os
import ssl

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_sessions: list[object] = []


@app.route("hello", methods=["GET"])
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello")


@app.route("graph/{*path}", methods=["GET"])
async def proxy(req: func.HttpRequest) -> func.HttpResponse:
    """Calls Graph with a token that it was given at its start, for anybody: no session, no check."""
    # Not above: `hello` stands for bare azure.functions in the measurement of imports and first answers.
    from aiohttp import ClientSession, TCPConnector

    if not _sessions:
        context = ssl.create_default_context(cafile=os.environ["CA_BUNDLE"])
        _sessions.append(ClientSession(connector=TCPConnector(ssl=context)))
    session = _sessions[0]
    assert isinstance(session, ClientSession)
    url = f"{os.environ['GRAPH_BASE_URL']}/{req.route_params['path']}"
    async with session.get(url, headers={"Authorization": f"Bearer {os.environ['ACCESS_TOKEN']}"}) as answer:
        body = await answer.read()
        return func.HttpResponse(body, status_code=answer.status, mimetype=answer.content_type)
