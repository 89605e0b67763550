"""The rules for routes, by table; `test_requests` shows the same on the wire."""

import pytest

from local.host.errors import HostError
from local.host.routing import Match, Route, Router


def route(template: str, *methods: str, name: str = "") -> Route:
    return Route(function=name or template, template=template, methods=frozenset(methods) if methods else None)


ROUTES = [
    route("rest/{*path}"),
    route("item/{id}", "GET", "POST"),
    route("Item/New", "GET"),
    route("item/{id}/part/{part}"),
    route("maybe/{id?}"),
    route("every"),
]
ROUTER = Router(ROUTES, prefix="api")


@pytest.mark.parametrize(
    ("path", "function", "values"),
    [
        ("/api/every", "every", {}),
        ("/API/Every/", "every", {}),
        ("/api/item/New", "Item/New", {}),
        ("/api/item/new/", "Item/New", {}),
        ("/api/item/Newer", "item/{id}", {"id": "Newer"}),
        ("/api/ITEM/X/part/Y/", "item/{id}/part/{part}", {"id": "X", "part": "Y"}),
        ("/api/item/a%2Fb", "item/{id}", {"id": "a%2Fb"}),
        ("/api/maybe", "maybe/{id?}", {}),
        ("/api/maybe/1", "maybe/{id?}", {"id": "1"}),
        ("/api/rest", "rest/{*path}", {}),
        ("/api/rest/", "rest/{*path}", {}),
        ("/api/rest/a/B", "rest/{*path}", {"path": "a/B"}),
        ("/api/rest/a//b/", "rest/{*path}", {"path": "a//b/"}),
    ],
)
def test_a_path_finds_its_function(path: str, function: str, values: dict[str, str]) -> None:
    """Any case, a slash at the end or not; a literal segment beats a parameter, a parameter a catch-all."""
    assert ROUTER.match("GET", path) == Match(function, values)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/api/", "/every", "/apis/every", "//api/every", "/api//every", "/api/every//"),
        *("/api/item", "/api/item/", "/api/item/1/part", "/api/every/more", "/api/maybe/1/2", "/api/rest//a"),
    ],
)
def test_a_path_that_no_route_fits(path: str) -> None:
    """404."""
    assert ROUTER.match("GET", path) is None


def test_a_method_outside_the_list_goes_on_to_the_next_route() -> None:
    """A POST to a literal route for GET is answered by the parameter's route where that takes POST."""
    assert ROUTER.match("POST", "/api/item/new") == Match("item/{id}", {"id": "new"})
    assert ROUTER.match("DELETE", "/api/item/new") is None


def test_no_list_is_every_method() -> None:
    """TRACE and invented ones included."""
    assert ROUTER.match("TRACE", "/api/every") == ROUTER.match("BREW", "/api/every") == Match("every", {})


def test_the_prefix_can_be_empty() -> None:
    """host.json's routePrefix `""`."""
    assert Router([route("x/{a}")], prefix="").match("GET", "/x/1") == Match("x/{a}", {"a": "1"})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("admin/x", "the host keeps that name"),
        ("Administrators", "the host keeps that name"),
        ("x/{id:int}", "{id:int}"),
        ("x/{id=1}", "{id=1}"),
        ("x/a{id}", "a{id}"),
        ("x/{id?}/y", "{id?}"),
        ("x/{*rest}/y", "{*rest}"),
        ("x//y", "''"),
    ],
)
def test_a_template_that_cannot_be_is_refused_by_name(template: str, said: str) -> None:
    """Nothing of a route is ignored silently."""
    with pytest.raises(HostError) as caught:
        Router([route(template, name="login")], prefix="api")
    assert said in str(caught.value)
    assert "login" in str(caught.value)


def test_two_functions_cannot_share_route_and_method() -> None:
    """Parameters of other names are the same route; other methods are not."""
    Router([route("x/{a}", "GET"), route("X/{b}", "POST")], prefix="api")
    with pytest.raises(HostError, match="share a method"):
        Router([route("x/{a}", "GET"), route("X/{b}", "GET", "POST")], prefix="api")
    with pytest.raises(HostError, match="share a method"):
        Router([route("x"), route("X", "POST")], prefix="api")
