"""The OpenAPI document says what the functions do: every route, every code, the shape of every answer."""

import ast
import json
import re
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

import shared.functions
from shared import errors, verdicts
from shared.functions import graph, ops, sessions
from shared.functions.cookies import SESSION, Cookies
from shared.functions.problems import problem_of
from shared.functions.texts import EN
from shared.model import Flow, Health, SessionId, Stored
from shared.parts import Parts
from shared.settings import read_settings
from tests.doubles.notes import graph_error
from tests.usecases.world import World

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = json.loads(Path(shared.functions.__path__[0], "openapi.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
METHODS = ("get", "put", "post", "delete", "patch", "options")
BASE = "https://notes.example"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def every(value: Any, key: str) -> Iterator[Any]:
    """What stands under `key`, anywhere in the document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from every(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from every(inner, key)


# Routes ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def triggers() -> dict[tuple[str, str], str]:
    """Level of key by path and method, of every HTTP function that the bundle registers."""
    app = runpy.run_path(str(ROOT / "function_app.py"))["app"]
    found: dict[tuple[str, str], str] = {}
    for function in app.get_functions():
        trigger = function.get_trigger()
        if trigger.type == "httpTrigger":
            path = "/api/" + trigger.route.replace("{*", "{")
            found |= {(path, str(method.value).lower()): str(trigger.auth_level.value) for method in trigger.methods}
    return found


def test_the_document_names_every_route_and_method_and_no_other(triggers: dict[tuple[str, str], str]) -> None:
    assert {(path, method) for path, method, _ in operations()} == set(triggers)


def test_the_document_asks_for_a_function_key_where_the_platform_does(triggers: dict[tuple[str, str], str]) -> None:
    keyed = {(path, method) for path, method, operation in operations() if {"functionKey": []} in operation["security"]}
    assert keyed == {route for route, level in triggers.items() if level.upper() == "FUNCTION"}


def test_the_document_has_the_parts_that_openapi_3_1_requires() -> None:
    """OpenAPI Specification 3.1, §4.8: info, responses, parameters of templated paths, unique operation ids."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for path, method, operation in operations():
        assert operation["summary"], (path, method)
        assert operation["responses"], (path, method)
        assert set(operation["tags"]) <= tags, (path, method)
        in_path = {p["name"] for p in DOCUMENT["paths"][path].get("parameters", ())}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (path, method)
    for responses in every(DOCUMENT["paths"], "responses"):
        assert all("description" in resolve(response) for response in responses.values())


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(every(DOCUMENT, "$ref"))
    assert all(resolve({"$ref": reference}) for reference in used)
    there = {
        f"#/components/{kind}/{name}"
        for kind, named in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in named
    }
    assert used == there


def test_no_example_looks_like_a_token() -> None:
    """R-16: nobody copies a token out of a document, and no scanner finds one in it."""
    text = json.dumps(DOCUMENT)
    assert not re.search(r"eyJ|EwB|0\.A[A-Za-z0-9]|M\.[A-Z]\d|[A-Za-z0-9_-]{60}", text)


def test_the_session_cookie_has_its_name() -> None:
    assert DOCUMENT["components"]["securitySchemes"]["sessionCookie"]["name"] == SESSION


# Codes -------------------------------------------------------------------------------------------------------------


def literals(*names: str, position: int = 0, keyword: str = "code") -> set[str]:
    """The texts given for a code, wherever in `shared/` one of `names` is called."""
    found: set[str] = set()
    for file in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names):
                continue
            given = [*node.args[position : position + 1], *(k.value for k in node.keywords if k.arg == keyword)]
            found |= {arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found


def class_codes(root: type[errors.BundleError] = errors.BundleError) -> set[str]:
    """As a program reads them: those of the store's own errors are translated."""
    own: set[str] = set()
    if root in (errors.SessionUnknown, errors.SessionEnded):
        own = {problem_of(root()).code}
    elif "code" in vars(root):
        own = {root.code}
    return own.union(*map(class_codes, root.__subclasses__()))


def test_problem_codes_are_those_that_are_raised_and_no_others() -> None:
    raised = class_codes() | literals("BadRequest", "Forbidden") | literals("Problem", position=1)
    assert SCHEMAS["ProblemCode"]["enum"] == sorted(raised)


def test_sign_in_errors_are_those_that_have_a_text_for_people() -> None:
    """R-14."""
    assert SCHEMAS["SignInError"]["enum"] == sorted(EN)
    assert literals("SignInFailed") <= set(EN)


def test_reasons_for_a_new_sign_in_are_those_that_a_grant_can_die_of() -> None:
    """R-13: and each of them has a text for people."""
    refused = {reason for code, (reason, _) in verdicts._PERSON.items() if code not in verdicts._PASSES}
    refused |= {reason for table in (verdicts._SUBERRORS, verdicts._PERSON_ERRORS) for reason, _ in table.values()}
    reasons = refused | literals("ReauthRequired") | {"token_flow_expired"}
    assert SCHEMAS["Reason"]["enum"] == sorted(reasons)
    assert reasons <= set(EN)


def test_explanation_codes_are_those_of_the_table() -> None:
    """R-15."""
    assert SCHEMAS["ExplanationCode"]["enum"] == sorted(literals("Explanation"))


def test_health_states_are_those_of_the_model() -> None:
    assert SCHEMAS["HealthState"]["enum"] == [state.value for state in Health]


# Answers -----------------------------------------------------------------------------------------------------------


def resolve(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: Any = dict(schema)
    while "$ref" in found:
        rest = {key: value for key, value in found.items() if key != "$ref"}
        target: Any = DOCUMENT
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = {**target, **rest}
    return dict(found)


TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def misfit(value: Any, schema: Mapping[str, Any], at: str = "$") -> str | None:
    """The first way in which a value is not what the schema says (what of JSON Schema 2020-12 the document uses).

    Stricter in one thing: an object has no property that is not documented.
    """
    schema = resolve(schema)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found = [misfit(value, one, at) for one in schema[word]]
            return None if None in found else found[0]
    if "allOf" in schema:
        parts = [resolve(part) for part in schema["allOf"]]
        required = [name for part in parts for name in part["required"]]
        properties = {name: inner for part in parts for name, inner in part["properties"].items()}
        return misfit(value, {"type": "object", "required": required, "properties": properties}, at)
    if "const" in schema and value != schema["const"]:
        return f"{at} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is not one of {schema['enum']}"
    kinds = schema.get("type", list(TYPES))
    if not isinstance(value, tuple(TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))):
        return f"{at} is no {kinds}"
    if isinstance(value, list):
        return next(filter(None, (misfit(v, schema["items"], f"{at}[{n}]") for n, v in enumerate(value))), None)
    if isinstance(value, dict) and "properties" in schema:
        if missing := set(schema.get("required", ())) - set(value):
            return f"{at} lacks {missing}"
        if unknown := set(value) - set(schema["properties"]):
            return f"{at} has {unknown}, which the document doesn't know"
        found = [misfit(v, schema["properties"][name], f"{at}.{name}") for name, v in value.items()]
        return next(filter(None, found), None)
    return None


class Bundle:
    """The functions over doubles, called as the platform calls them, and each answer held against the document."""

    def __init__(self) -> None:
        switches = {"AUTH_EXPOSE_ACCESS_TOKEN": "true", "AUTH_OPERATOR_TOKENS": "true"}
        must = {"AUTH_CLIENT_ID": "app", "AUTH_CLIENT_SECRET": "made up", "TOKEN_VAULT_URLS": "main=https://v.example"}
        self.world = world = World()
        here = world.here
        self.parts = Parts(
            settings=read_settings({**must, **switches, "PUBLIC_BASE_URL": BASE}),
            clock=world.clock,
            ring=world.ring,
            store=world.store,
            identity=world.identity,
            sessions=here.sessions,
            engine=here.engine,
            sign_in=here.sign_in(),
            sign_out=here.sign_out,
            accounts=here.accounts,
            notes=here.notes,
            sweep=here.sweep,
        )
        app = func.FunctionApp()
        for module in (graph, ops, sessions):
            app.register_functions(module.blueprint(self._parts_now))
        self._functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}
        self.cookie = ""

    async def _parts_now(self) -> Parts:
        return self.parts

    async def sign_in(self, **state: Any) -> Stored:
        """A session in this browser."""
        session = SessionId.new("main")
        made = await self.world.signed_in(**state)
        await self.world.memory.delete(made.ref)
        cookies = Cookies(self.parts.settings, self.world.ring, self.world.clock)
        self.cookie = (await cookies.set_session(session)).partition(";")[0]
        return await self.world.memory.create(session.ref, made.record)

    async def call(self, name: str, method: str, target: str, status: int, **route: str) -> Any:
        """The answer's JSON: with the status that was expected, and as documented."""
        template = target.partition("?")[0]
        for parameter, value in route.items():
            template = template.replace(value, f"{{{parameter}}}")
        headers = {"cookie": self.cookie} if self.cookie else {}
        request = func.HttpRequest(method, BASE + target, headers=headers, route_params=route, body=b"")
        response = await self._functions[name](request)
        assert response.status_code == status, response.get_body()
        documented = DOCUMENT["paths"][template][method.lower()]["responses"]
        content = resolve(documented.get(str(status)) or documented["default"])["content"]
        value = json.loads(response.get_body())
        assert misfit(value, content[response.mimetype]["schema"]) is None
        return value


@pytest.fixture
def bundle() -> Bundle:
    return Bundle()


async def test_the_session_answers_as_documented(bundle: Bundle) -> None:
    assert await bundle.call("auth_session", "GET", "/api/auth/session", 200) == {"signed_in": False}
    await bundle.sign_in()
    assert (await bundle.call("auth_session", "GET", "/api/auth/session", 200))["signed_in"] is True
    await bundle.sign_in(health=Health.REAUTH_REQUIRED, reason="consent_revoked")
    assert (await bundle.call("auth_session", "GET", "/api/auth/session", 200))["health"]["reconnect_url"]
    await bundle.sign_in(flow=Flow.TOKEN, lives_s=-1)
    assert (await bundle.call("auth_session", "GET", "/api/auth/session", 200))["signed_in"] is False


async def test_sessions_and_token_answer_as_documented(bundle: Bundle) -> None:
    problem = await bundle.call("auth_sessions", "GET", "/api/auth/sessions", 401)
    assert problem["code"] == "not_signed_in"
    await bundle.sign_in()
    assert (await bundle.call("auth_sessions", "GET", "/api/auth/sessions", 200))["sessions"]
    await bundle.call("auth_token", "POST", "/api/auth/token?min_validity=300", 200)
    await bundle.call("auth_token", "POST", "/api/auth/token?min_validity=soon", 400)
    await bundle.call("auth_sessions", "DELETE", "/api/auth/sessions", 200)


async def test_the_operators_routes_answer_as_documented(bundle: Bundle) -> None:
    """R-18."""
    stored = await bundle.sign_in()
    name = stored.record.account.home_account_id
    account = f"/api/ops/accounts/{name}"
    assert (await bundle.call("ops_accounts", "GET", "/api/ops/accounts", 200))["accounts"]
    await bundle.call("ops_account_token", "POST", f"{account}/token", 200, home_account_id=name)
    assert await bundle.call("ops_end_account", "DELETE", account, 200, home_account_id=name) == {"ended": 1}
    await bundle.call("ops_account_token", "POST", f"{account}/token", 404, home_account_id=name)
    await bundle.sign_in(health=Health.REAUTH_REQUIRED, reason="mfa_required")
    await bundle.call("ops_account_token", "POST", f"{account}/token", 409, home_account_id=name)
    await bundle.call("ops_health", "GET", "/api/ops/health", 200)
    assert (await bundle.call("ops_revoke_all", "POST", "/api/ops/revoke-all", 200))["done"] is True


async def test_onenote_failures_answer_as_documented(bundle: Bundle) -> None:
    """R-15."""
    path = "v1.0/me/onenote/pages"
    await bundle.call("graph_call", "GET", f"/api/graph/{path}", 401, path=path)
    await bundle.sign_in(scopes=("Notes.Create",))
    bundle.world.notes.answers = [graph_error(403, "40004")]
    refused = await bundle.call("graph_call", "GET", f"/api/graph/{path}", 403, path=path)
    assert refused["explanation"]["scope"] == "Notes.Read"


async def test_the_document_is_served_as_it_is_and_only_to_who_asks_for_it() -> None:
    """OPTIONS has no body; the document is there even while the settings are wrong."""

    async def no_parts() -> Parts:
        raise errors.Misconfigured(["AUTH_CLIENT_ID is missing"])

    app = func.FunctionApp()
    app.register_functions(ops.blueprint(no_parts))
    functions = {f.get_function_name(): f.get_user_function() for f in app.get_functions()}
    for name in ("openapi", "liveness"):
        preflight = await functions[name](func.HttpRequest("OPTIONS", BASE, body=b""))
        assert (preflight.status_code, preflight.get_body()) == (204, b"")
        assert preflight.headers["Allow"] == "GET, OPTIONS"
    answer = await functions["openapi"](func.HttpRequest("GET", BASE, body=b""))
    assert json.loads(answer.get_body()) == DOCUMENT
