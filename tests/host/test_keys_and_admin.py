"""Who may call what, and the host's own API: rows of what was measured, on the wire."""

import json

import pytest

from tests.host.served import FUNCTION_KEY, MASTER_KEY, Served

JSON = "Content-Type: application/json"
MASTER = f"x-functions-key: {MASTER_KEY}"


@pytest.mark.parametrize("key", [FUNCTION_KEY, MASTER_KEY])
def test_a_key_opens_by_header_and_by_query(served: Served, key: str) -> None:
    """The master key opens all. In the query the function sees it: in its url and its parameters."""
    by_header = served.get("/api/guarded", f"X-Functions-Key: {key}").json
    assert by_header["url"] == "http://host.example/api/guarded"
    by_query = served.get(f"/api/guarded?code={key}").json
    assert by_query["params"] == {"code": key}
    assert by_query["url"].endswith(f"?code={key}")


@pytest.mark.parametrize("header", ["X-Other: x", "x-functions-key: wrong", "x-functions-key:"])
def test_a_missing_or_wrong_key_is_401_without_a_body(served: Served, header: str) -> None:
    """The function is not called."""
    answer = served.get("/api/guarded", header)
    assert (answer.status, answer.body) == (401, b"")


def test_a_wrong_key_in_the_header_is_not_mended_by_the_query(served: Served) -> None:
    """The header is what counts."""
    assert served.get(f"/api/guarded?code={FUNCTION_KEY}", "x-functions-key: wrong").status == 401


def test_a_function_of_the_admin_level_wants_the_master_key(served: Served) -> None:
    """The function key is not enough."""
    assert served.get("/api/chief", f"x-functions-key: {FUNCTION_KEY}").status == 401
    assert served.get("/api/chief", MASTER).status == 200


def test_anonymous_functions_ask_for_no_key(served: Served) -> None:
    """A wrong one does no harm and is handed on."""
    answer = served.get("/api/any", "x-functions-key: wrong")
    assert answer.json["headers"]["x-functions-key"] == "wrong"


@pytest.mark.parametrize("body", [{}, {"input": ""}])
def test_a_timer_can_be_started_with_the_master_key(served: Served, body: dict[str, str]) -> None:
    """202 at once; the run is not past due."""
    before = len(served.memory()["ticks"])
    answer = served.post("/admin/functions/tick", json.dumps(body).encode(), JSON, MASTER)
    assert (answer.status, answer.body) == (202, b"")
    assert served.wait_until(lambda: len(served.memory()["ticks"]) == before + 1)
    tick = served.memory()["ticks"][-1]
    assert tick["past_due"] is False
    assert set(tick["status"]) == {"Last", "Next", "LastUpdated"}


def test_names_in_the_hosts_api_have_no_case(served: Served) -> None:
    """As routes have none."""
    assert served.post("/Admin/Functions/TICK", b"{}", JSON, MASTER).status == 202


@pytest.mark.parametrize(
    ("lines", "name", "body", "status"),
    [
        ((JSON,), "tick", b"{}", 401),
        ((JSON, f"x-functions-key: {FUNCTION_KEY}"), "tick", b"{}", 401),
        ((JSON,), "nothing", b"{}", 401),
        ((MASTER,), "tick", b"{}", 415),
        ((MASTER, "Content-Type: text/plain"), "tick", b"{}", 415),
        ((MASTER, JSON), "nothing", b"{}", 404),
        ((MASTER, JSON), "tick", b"{", 400),
        ((MASTER, JSON), "text", b"{}", 400),
    ],
)
def test_what_the_hosts_api_refuses(
    served: Served, lines: tuple[str, ...], name: str, body: bytes, status: int
) -> None:
    """No key or not the master's, no JSON, an unknown name; without a body, with the custom headers."""
    answer = served.post(f"/admin/functions/{name}", body, *lines)
    assert (answer.status, answer.body, answer.get("x-from-host")) == (status, b"", "host.json")


def test_the_host_tells_the_holder_of_the_master_key_that_it_runs(served: Served) -> None:
    """/admin/host/status; anything else below /admin is not there."""
    assert served.get("/admin/host/status", MASTER).json == {"state": "Running"}
    assert served.get("/admin/host/status").status == 401
    assert served.get("/admin/none", MASTER).status == 404
