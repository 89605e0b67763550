"""Owns what a person does on the embedded provider's pages: choose an account, allow or refuse."""

from urllib.parse import urlencode

from local.browser import Answer, Browser
from local.identity_provider import USERS

PERSONAL_USER = next(user.username for user in USERS if user.personal and user.licensed)
WORK_USER = next(user.username for user in USERS if not user.personal and user.licensed)

_ALLOW, _REFUSE = "accept", "cancel"


async def open_sign_in(browser: Browser, account: str, **query: str) -> Answer:
    """Click "Sign in": the provider's first page. `query`: `return_to`, `scope`, … of `/api/auth/login`."""
    home = await browser.goto("/")
    return await browser.follow(home, "/api/auth/login?" + urlencode({"account": account, **query}))


async def sign_in_on(browser: Browser, page: Answer, username: str, *, decision: str = _ALLOW) -> Answer:
    """Go through the provider's pages, those that it shows; the page where they lead."""
    if any(form.has("username") for form in page.forms):
        one_click = next((form for form in page.forms if form.button(username)), None)
        if one_click is not None:
            page = await browser.submit(page, one_click, button=username)
        else:
            page = await browser.submit(page, page.form(field_name="username"), {"username": username})
    consent = next((form for form in page.forms if form.button(decision)), None)
    return page if consent is None else await browser.submit(page, consent, button=decision)


async def sign_in(browser: Browser, account: str, username: str, **query: str) -> Answer:
    """The whole sign-in, everything allowed; the page that it comes back to."""
    return await sign_in_on(browser, await open_sign_in(browser, account, **query), username)


async def refuse_consent(browser: Browser, account: str, username: str, **query: str) -> Answer:
    """The same with Cancel instead of Accept."""
    return await sign_in_on(browser, await open_sign_in(browser, account, **query), username, decision=_REFUSE)
