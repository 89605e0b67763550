"""The OpenAPI document says what the functions do: every route and method, every code."""

import ast
import base64
import hashlib
import json
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import azure.functions as func
import jsonschema_rs
import pytest

from shared import errors, verdicts
from shared.functions import reference
from shared.functions.cookies import SESSION
from shared.functions.problems import problem_of
from shared.functions.texts import EN
from shared.model import Health
from tests.functions.document import DOCUMENT, SCHEMAS, every, misfit, operations, resolve

ROOT = Path(__file__).resolve().parents[2]


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


def test_every_example_is_what_its_schema_says() -> None:
    """People copy examples: those of answers, and those of parameters."""
    shown = 0
    for media in (found for content in every(DOCUMENT, "content") for found in content.values()):
        examples = [one["value"] for one in media.get("examples", {}).values()]
        for example in [*examples, *([media["example"]] if "example" in media else [])]:
            assert misfit(example, media["schema"]) is None, example
            shown += 1
    for parameter in (resolve(one) for parameters in every(DOCUMENT["paths"], "parameters") for one in parameters):
        if "example" in parameter:
            assert misfit(parameter["example"], parameter["schema"]) is None, parameter
    assert shown > 20


def test_every_schema_is_one_of_json_schema_2020_12() -> None:
    """OpenAPI Specification 3.1, §4.8.24."""
    for schema in (*SCHEMAS.values(), *every(DOCUMENT["paths"], "schema")):
        jsonschema_rs.Draft202012Validator({"components": DOCUMENT["components"], **schema})


def test_a_client_that_is_generated_can_make_onenote_calls() -> None:
    """What generators do without: openapi-typescript takes an object without properties for an empty one, and what
    has no answer of 200 for one that never succeeds; openapi-python-client makes no call whose body has no schema, and
    reads an error as the first type that is named; a query that is not named can't be sent by either.
    """
    assert all("schema" in media for content in every(DOCUMENT, "content") for media in content.values())
    free = [
        one
        for one in every(DOCUMENT["components"]["responses"], "anyOf")
        if {"type": "object"}.items() <= one[-1].items()
    ]
    assert free
    assert all(one[-1].get("additionalProperties") is True for one in free)
    calls = {method: what for path, method, what in operations() if path == "/api/graph/{path}" and method != "options"}
    for method, what in calls.items():
        assert {"200", "204"} & set(what["responses"]), method
        assert {next(iter(resolve(one).get("content", {"": 0}))) for one in what["responses"].values()} <= {
            "application/json",
            "application/problem+json",  # only ours
            "",
        }
        for status in ("400", "401", "413", "429", "500", "502", "503", "504"):
            assert next(iter(resolve(what["responses"][status])["content"])) == "application/json"
        if method in ("post", "patch", "put"):
            assert next(iter(resolve(what["requestBody"])["content"])) == "application/json", method
    assert {"$top", "$select", "$orderby"} <= {one["name"] for one in calls["get"]["parameters"]}


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
    """R-14: a dot in a text's name is a variant of the wording, not another code."""
    assert SCHEMAS["SignInError"]["enum"] == sorted(code for code in EN if "." not in code)
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


# Serving -----------------------------------------------------------------------------------------------------------


def served() -> dict[str, Any]:
    """The functions by name, which need no settings."""
    app = func.FunctionApp()
    app.register_functions(reference.blueprint())
    return {str(f.get_function_name()): f.get_user_function() for f in app.get_functions()}


async def test_the_document_is_served_as_it_is_and_only_to_who_asks_for_it() -> None:
    """OPTIONS has no body; the document is there even while the settings are wrong."""
    functions = served()
    for name in ("openapi", "liveness", "docs"):
        preflight = await functions[name](func.HttpRequest("OPTIONS", "/", body=b""))
        assert (preflight.status_code, preflight.get_body()) == (204, b"")
        assert preflight.headers["Allow"] == "GET, OPTIONS"
    answer = await functions["openapi"](func.HttpRequest("GET", "/", body=b""))
    assert json.loads(answer.get_body()) == DOCUMENT


class Read(HTMLParser):
    """What a page holds: ids, links, tags, and its text without markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links |= {value for name, value in attrs if name in ("href", "src") and value}

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_leaves_nothing_of_the_document_out() -> None:
    """Every operation, parameter, answer, schema and description; preflights, alike on every route, apart."""
    answer = await served()["docs"](func.HttpRequest("GET", "/", body=b""))
    page = Read(answer.get_body().decode())
    shown = [(path, method, what) for path, method, what in operations() if method != "options"]
    assert {what["operationId"] for _, _, what in shown} <= set(page.ids)
    assert {f"schema-{name}" for name in SCHEMAS} <= set(page.ids)
    for path, method, what in shown:
        assert f"{method.upper()} {path}" in page.text
        assert all(resolve(p)["name"] in page.text for p in what.get("parameters", ()))
    for description in every({"paths": DOCUMENT["paths"], "components": DOCUMENT["components"]}, "description"):
        if isinstance(description, str) and description not in UNSHOWN:
            assert description.replace("`", "") in page.text, description
    assert all(example in page.text for example in ("carol@contoso.example", "1-9c2e"))


UNSHOWN = {resolve(header).get("description") for header in DOCUMENT["components"]["headers"].values()} | {
    resolve(response)["description"]
    for _, method, what in operations()
    if method == "options"
    for response in what["responses"].values()
}


async def test_the_page_runs_no_script_and_asks_nobody_else() -> None:
    """R-16: on the cookie's origin nothing runs that is not needed."""
    answer = await served()["docs"](func.HttpRequest("GET", "/", body=b""))
    html = answer.get_body().decode()
    page = Read(html)
    assert page.tags.isdisjoint({"script", "img", "iframe", "link", "form", "object"})
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    policy = answer.headers["Content-Security-Policy"]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "frame-ancestors 'none'" in policy
