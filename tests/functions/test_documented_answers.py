"""What the functions answer has the status and the shape that the OpenAPI document says."""

from http.cookies import SimpleCookie
from typing import Any

import pytest

from shared.findings import NOT_CHECKED, Finding, State
from shared.model import Flow, Health, SessionId, Stored
from tests.doubles.notes import graph_error
from tests.functions.bundle import Bundle
from tests.functions.document import DOCUMENT, misfit, resolve

PAGES = "v1.0/me/onenote/pages"


@pytest.fixture
def bundle() -> Bundle:
    return Bundle(AUTH_EXPOSE_ACCESS_TOKEN="true", AUTH_OPERATOR_TOKENS="true")


async def signed_in(bundle: Bundle, **state: Any) -> Stored:
    """The browser has a session in that state."""
    template = await bundle.world.signed_in(**state)
    session = SessionId.new("main")
    await bundle.world.memory.delete(template.ref)
    cookie = SimpleCookie(await bundle.cookies.set_session(session))
    bundle.jar |= {name: morsel.value for name, morsel in cookie.items()}
    return await bundle.world.memory.create(session.ref, template.record)


async def answer(bundle: Bundle, name: str, method: str, path: str, status: int, **more: Any) -> Any:
    """The JSON that a function answers with: its status as expected, its shape as documented.

    `path` as in the document; `more` as for `Bundle.call`.
    """
    reply = await bundle.call(name, method, path.format(**more.get("route", {})).removeprefix("/api/"), **more)
    assert reply.status == status, reply.body
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    content = resolve(responses.get(str(status)) or responses["default"])["content"]
    assert misfit(reply.json, content[reply.headers["content-type"]]["schema"]) is None
    return reply.json


async def test_the_session_answers_as_documented(bundle: Bundle) -> None:
    session = "auth_session", "GET", "/api/auth/session", 200
    assert await answer(bundle, *session) == {"signed_in": False}
    await signed_in(bundle)
    assert (await answer(bundle, *session))["signed_in"] is True
    await signed_in(bundle, health=Health.REAUTH_REQUIRED, reason="consent_revoked")
    assert (await answer(bundle, *session))["health"]["reconnect_url"]
    await signed_in(bundle, flow=Flow.TOKEN, lives_s=-1)
    assert (await answer(bundle, *session))["health"]["reason"] == "token_flow_expired"


async def test_sessions_and_token_answer_as_documented(bundle: Bundle) -> None:
    sessions, token = "/api/auth/sessions", "/api/auth/token"
    assert (await answer(bundle, "auth_sessions", "GET", sessions, 401))["code"] == "not_signed_in"
    await signed_in(bundle)
    assert (await answer(bundle, "auth_sessions", "GET", sessions, 200))["sessions"][0]["current"] is True
    await answer(bundle, "auth_token", "POST", token, 200, min_validity="300")
    await answer(bundle, "auth_token", "POST", token, 400, min_validity="soon")
    assert await answer(bundle, "auth_sessions", "DELETE", sessions, 200) == {"ended": 1}


async def test_the_operators_routes_answer_as_documented(bundle: Bundle) -> None:
    """R-18."""
    account = "/api/ops/accounts/{home_account_id}"
    stored = await signed_in(bundle)
    route = {"home_account_id": stored.record.account.home_account_id}
    listed = await answer(bundle, "ops_accounts", "GET", "/api/ops/accounts", 200)
    assert [found["home_account_id"] for found in listed["accounts"]] == [route["home_account_id"]]
    await answer(bundle, "ops_account_token", "POST", f"{account}/token", 200, route=route)
    assert await answer(bundle, "ops_end_account", "DELETE", account, 200, route=route) == {"ended": 1}
    await answer(bundle, "ops_account_token", "POST", f"{account}/token", 404, route=route)
    await signed_in(bundle, health=Health.REAUTH_REQUIRED, reason="mfa_required", lives_s=-1)
    refused = await answer(bundle, "ops_account_token", "POST", f"{account}/token", 409, route=route)
    assert refused["reason"] == "mfa_required"
    await answer(bundle, "ops_health", "GET", "/api/ops/health", 200)
    assert (await answer(bundle, "ops_revoke_all", "POST", "/api/ops/revoke-all", 200))["done"] is True


async def test_onenote_failures_answer_as_documented(bundle: Bundle) -> None:
    """R-15: Graph's own error, with our plain words beside it."""
    graph = "graph_call", "GET", "/api/graph/{path}"
    await answer(bundle, *graph, 400, route={"path": "v1.0/me/messages"})
    await answer(bundle, *graph, 401, route={"path": PAGES})
    await signed_in(bundle, scopes=("Notes.Create",))
    bundle.world.notes.answers = [graph_error(403, "40004")]
    refused = await answer(bundle, *graph, 403, route={"path": PAGES})
    assert refused["explanation"]["scope"] == "Notes.Read"


async def test_health_names_what_is_to_be_mended_as_documented(bundle: Bundle) -> None:
    """R-18: a note is no fault, and what could not be looked at is not called well."""
    health = "ops_health", "GET", "/api/ops/health"
    well = [Finding(check=name, what="") for name in ("identity_provider", "vault")]
    elsewhere = Finding(check="front_ends", state=State.NOTE, code="front_end_elsewhere", what="w", cause="c", mend="m")
    bundle.findings = [*well, Finding(check="key_ring", what=""), elsewhere]
    body = await answer(bundle, *health, 200)
    assert (body["status"], body["dependencies"]["front_ends"]) == ("ok", {"state": "ok"})
    assert [finding["code"] for finding in body["findings"]] == ["front_end_elsewhere"]

    wall = Finding(check="vault", of="b", state=State.BROKEN, code="vault_firewall", what="w", cause="c", mend="m")
    skipped = Finding(check="key_ring", state=State.NOTE, code=NOT_CHECKED, what="w")
    bundle = Bundle()
    bundle.findings = [*well, wall, skipped]
    body = await answer(bundle, *health, 503)
    states = {name: dependency["state"] for name, dependency in body["dependencies"].items()}
    assert states == {"identity_provider": "ok", "vault": "vault_firewall", "key_ring": "not_checked"}
    assert body["dependencies"]["vault"]["findings"] == ["w c m"]
    assert [finding["state"] for finding in body["findings"]] == ["broken", "note"]
