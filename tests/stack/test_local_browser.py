"""The browser of the demo and of these tests: what it lets through, real browsers let through, and no more."""

import pytest

from local.browser.cookies import CookieJar
from local.browser.forms import read_page

SITE = "http://localhost:7071/"


def sent(jar: CookieJar, url: str = SITE, *, cross_site: bool = False, safe: bool = True) -> str:
    return jar.header(url, cross_site=cross_site, safe_navigation=safe)


def test_a_lax_cookie_stays_at_home_when_another_site_posts() -> None:
    """R-04: the provider's form_post carries SameSite=None cookies only; the GET after it carries Lax ones."""
    jar = CookieJar()
    jar.store(SITE, "lax=1; path=/; secure; samesite=lax")
    jar.store(SITE, "none=1; path=/; secure; samesite=none")
    jar.store(SITE, "unset=1; path=/; secure")
    jar.store(SITE, "strict=1; path=/; secure; samesite=strict")
    assert sent(jar, cross_site=True, safe=False) == "none=1"
    assert sent(jar, cross_site=True, safe=True) == "lax=1; none=1; unset=1"
    assert sent(jar, safe=False) == "lax=1; none=1; unset=1; strict=1"


@pytest.mark.parametrize(
    "line",
    [
        "none=1; samesite=none",  # without Secure
        "__Secure-a=1; path=/",
        "__Host-a=1; path=/",
        "a=1; domain=example.com",
    ],
)
def test_a_cookie_that_browsers_refuse_is_refused(line: str) -> None:
    jar = CookieJar()
    jar.store(SITE, line)
    assert sent(jar) == ""


def test_max_age_zero_forgets_a_cookie_and_an_empty_domain_means_this_host() -> None:
    """R-12: that is how the bundle clears its cookie, and how the platform's host writes it."""
    jar = CookieJar()
    jar.store(SITE, "a=1; max-age=60; domain=; path=/")
    assert sent(jar) == "a=1"
    assert sent(jar, "http://127.0.0.1:7071/") == ""
    jar.store(SITE, "a=; max-age=0; domain=; path=/")
    assert sent(jar) == ""


def test_a_cookie_goes_to_its_path_only() -> None:
    jar = CookieJar()
    jar.store(SITE, "a=1; path=/api/auth")
    assert sent(jar, SITE + "api/auth/callback") == "a=1"
    assert sent(jar, SITE + "api/authors") == ""


def test_forms_are_read_with_their_fields_and_buttons() -> None:
    page = """<form method=post action="/next?x=1"><input type=hidden name=a value="1&amp;2"><input name=user>
    <input type=checkbox name=no><input type=checkbox name=yes checked>
    <button name=answer value=accept>Yes, <b>allow</b></button><button type=button>Nothing</button></form>"""
    (form,) = read_page(page, "http://127.0.0.1:1/authorize?y=2").forms
    assert form.action == "http://127.0.0.1:1/next?x=1"
    assert dict(form.fields) == {"a": "1&2", "user": "", "yes": "on"}
    assert [button.text for button in form.buttons] == ["Yes, allow"]
    assert form.button("accept") == form.button("yes, allow") is not None
    assert not form.submits_itself


def test_only_an_authorization_answer_submits_itself() -> None:
    """OAuth 2.0 Form Post Response Mode §2: the one script that this browser plays."""
    (answer,) = read_page("<form method=post action=/c><input name=code><input name=state></form>", SITE).forms
    assert answer.submits_itself
    (consent,) = read_page("<form method=post action=/c><input name=state><button>Yes</button></form>", SITE).forms
    assert not consent.submits_itself


def test_frames_and_a_refresh_are_read() -> None:
    """R-12: the provider's sign-out page tells apps in hidden frames, then moves on."""
    page = """<meta http-equiv=refresh content="3;url=/api/auth/callback?state=1&amp;x=2">
    <iframe src="http://localhost:7071/out?sid=1"></iframe>"""
    contents = read_page(page, SITE)
    assert contents.frames == ("http://localhost:7071/out?sid=1",)
    assert contents.refresh == "http://localhost:7071/api/auth/callback?state=1&x=2"
