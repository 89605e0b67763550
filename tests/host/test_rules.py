"""Keys, the app's files, bindings and cookies: the pure rules that no other file here is about."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.host.answers import BadAnswer, cookie_line, read_answer
from local.host.app_files import HostJson, read_host_json, read_local_settings
from local.host.errors import HostError
from local.host.functions import read_function
from local.host.keys import AuthLevel, HostKeys
from local.host.messages import LAX, RpcHttpCookie, TypedData

KEYS = HostKeys(master="M", function="F")


@pytest.mark.parametrize(
    ("level", "openers"),
    [
        (AuthLevel.ANONYMOUS, {None, "", "F", "M", "x", "ü"}),
        (AuthLevel.FUNCTION, {"F", "M"}),
        (AuthLevel.ADMIN, {"M"}),
    ],
)
def test_which_key_opens_which_level(level: AuthLevel, openers: set[str | None]) -> None:
    """The master key opens all; anonymous functions ask for none."""
    assert {key for key in (None, "", "F", "M", "x", "ü") if KEYS.opens(level, key)} == openers


def test_keys_come_from_the_environment_and_are_random_where_they_are_not_set() -> None:
    """An empty one is not set; no key shows in a repr."""
    given = HostKeys.from_environment({"FUNCTIONS_MASTER_KEY": "from-outside", "FUNCTIONS_KEY": ""})
    assert given.master == "from-outside"
    assert len(given.function) > 30
    assert given.function != HostKeys().function
    assert "from-outside" not in repr(given)


def test_host_json_may_leave_everything_out(tmp_path: Path) -> None:
    """The prefix is `api` then."""
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert read_host_json(tmp_path) == HostJson(route_prefix="api", custom_headers={})


def test_host_json_gives_prefix_and_headers(tmp_path: Path) -> None:
    """Slashes around the prefix mean nothing."""
    http = {"routePrefix": "/v1/", "customHeaders": {"A": "b"}}
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"http": http}}))
    assert read_host_json(tmp_path) == HostJson(route_prefix="v1", custom_headers={"A": "b"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no host.json"),
        ("{", "cannot be read"),
        ("[]", "must be a JSON object"),
        ("{}", '"version": "2.0"'),
        ('{"version": "2.0", "extensions": 1}', '"extensions"'),
        ('{"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}', '"routePrefix"'),
        ('{"version": "2.0", "extensions": {"http": {"customHeaders": {"A": 1}}}}', '"customHeaders"'),
    ],
)
def test_a_wrong_host_json_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    """The file, and what of it is wrong."""
    if text is not None:
        (tmp_path / "host.json").write_text(text)
    with pytest.raises(HostError) as caught:
        read_host_json(tmp_path)
    assert said in str(caught.value)
    assert "host.json" in str(caught.value)


def test_local_settings_are_the_values_of_their_file(tmp_path: Path) -> None:
    """No file, no settings."""
    assert read_local_settings(tmp_path) == {}
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": false, "Values": {"A": "b"}}')
    assert read_local_settings(tmp_path) == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"IsEncrypted": true, "Values": {}}', "encrypted"),
        ('{"Values": {"A": 1}}', '"Values"'),
        ('{"Values": []}', '"Values"'),
    ],
)
def test_wrong_local_settings_are_named(tmp_path: Path, text: str, said: str) -> None:
    """Rather than half read."""
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(HostError, match=said):
        read_local_settings(tmp_path)


def test_a_binding_names_settings_between_percent_signs() -> None:
    """Quotes and backslashes in a setting do no harm."""
    raw = json.dumps({"type": "httpTrigger", "name": "req", "route": "%WHERE%/x", "authLevel": "ANONYMOUS"})
    function = read_function("f", "id", [raw], {"WHERE": 'a"\\b'})
    assert function.route == 'a"\\b/x'
    assert (function.methods, function.auth_level) == (None, AuthLevel.ANONYMOUS)
    with pytest.raises(HostError, match="names the setting WHERE, which is not set"):
        read_function("f", "id", [raw], {})


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ({"type": "queueTrigger", "name": "q"}, "queueTrigger"),
        ({"type": "http", "name": "$return"}, "trigger of no kind"),
        ({"type": "timerTrigger", "name": "t", "schedule": "x"}, "schedule of the timer f is wrong"),
    ],
)
def test_a_function_that_cannot_run_here_is_named(binding: dict[str, str], said: str) -> None:
    """Not ignored."""
    with pytest.raises(HostError, match=said):
        read_function("f", "id", [json.dumps(binding)], {})


def test_a_timer_is_monitored_unless_it_runs_more_than_once_a_minute() -> None:
    """Nor when it says that it does not want to be."""

    def monitored(**binding: object) -> bool:
        raw = json.dumps({"type": "timerTrigger", "name": "t", "schedule": "0 * * * * *", **binding})
        return read_function("f", "id", [raw], {}).monitored

    assert monitored()
    assert not monitored(useMonitor=False)
    assert not monitored(schedule="*/10 * * * * *")


def cookie(**given: object) -> RpcHttpCookie:
    empty = dict.fromkeys(("expires", "max_age", "domain", "path", "secure", "http_only"))
    return RpcHttpCookie(**{"name": "a", "value": "", "same_site": 0, **empty, **given})


def of(value: object) -> SimpleNamespace:
    """As the worker wraps every attribute."""
    return SimpleNamespace(value=value)


def test_a_cookie_is_written_as_the_platform_writes_it() -> None:
    """Order, case, an empty domain, the value percent-encoded."""
    whole = cookie(
        value="a b/ü=~._-",
        expires=of(SimpleNamespace(seconds=0)),
        max_age=of(600.0),
        domain=of(""),
        path=of("/"),
        secure=of(True),
        same_site=LAX,
        http_only=of(True),
    )
    assert cookie_line(whole) == (
        "a=a%20b%2F%C3%BC%3D~._-; expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age=600; domain=; path=/; "
        "secure; samesite=lax; httponly"
    )
    assert cookie_line(cookie(secure=of(False), http_only=of(False))) == "a="


def test_what_is_no_http_answer_cannot_be_sent() -> None:
    """A function that returns nothing, or JSON."""
    for returned in (None, TypedData(json="{}")):
        with pytest.raises(BadAnswer):
            read_answer(returned)
