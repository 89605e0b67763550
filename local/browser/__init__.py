"""Owns a browser without pictures or scripts: navigation, redirects, forms and a page's own fetch calls.

For the demo and the tests over HTTP. It decides nothing about sign-in: it follows where pages lead and sends
what browsers send (cookies by site, Origin, Sec-Fetch-*; Fetch Metadata Request Headers §2). The one script
it plays is the provider's form_post page, which submits itself (OAuth 2.0 Form Post Response Mode §2).
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from local.browser.cookies import Cookie, CookieJar
from local.browser.forms import Contents, Form, read_page

__all__ = ["Answer", "Browser", "BrowserError", "Cookie", "Form"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_CHAIN = 20
_TIMEOUT = aiohttp.ClientTimeout(total=60)


class BrowserError(Exception):
    """A page did not have what a person would look for, or led nowhere."""


@dataclass(frozen=True)
class Answer:
    """The end of a navigation or a fetch. `url` keeps its fragment, as an address bar does."""

    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    chain: tuple[str, ...] = ()  # every address on the way, last one included
    forms: tuple[Form, ...] = field(default=(), repr=False)

    @property
    def address(self) -> str:
        """Without query and fragment."""
        return self.url.partition("#")[0].partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def fragment(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).fragment, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.text)

    def form(self, *, field_name: str | None = None, button: str | None = None) -> Form:
        """The first form with that field and a button of that value or text. Raises BrowserError."""
        for form in self.forms:
            if (field_name is None or form.has(field_name)) and (button is None or form.button(button)):
                return form
        raise BrowserError(f"no form with field {field_name} and button {button} on {self.address} ({self.status})")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _site_of(url: str) -> str:
    """Scheme and host: on loopback a host is its own registrable domain, and ports make no site."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"


class Browser:
    """One browser profile at `base_url`. Use as an async context manager.

    `trust` is the CA file of an https stack. `heard` keeps whatever reached the browser from `base_url`
    (header lines and bodies), for the check that no token was among it (R-16).
    """

    def __init__(self, base_url: str, *, trust: Path | None = None) -> None:
        self.base_url = base_url
        self.cookies = CookieJar()
        self.heard: list[str] = []
        self.plays_scripts = True  # False shows the provider's form_post page instead of sending it on
        self._tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=trust) if trust else True
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def goto(self, url: str) -> Answer:
        """Type an address (relative to `base_url`) and follow it to its end."""
        return await self._navigate("GET", urljoin(self.base_url + "/", url), None, initiator=None)

    async def follow(self, page: Answer, url: str) -> Answer:
        """Click a link of `page`."""
        return await self._navigate("GET", urljoin(page.url, url), None, initiator=page.url)

    async def submit(
        self, page: Answer, form: Form, values: Mapping[str, str] | None = None, *, button: str | None = None
    ) -> Answer:
        """Send a form of `page` with `values` typed in and one of its buttons pressed (by value or text)."""
        data = {**dict(form.fields), **(values or {})}
        if button is not None:
            pressed = form.button(button)
            if pressed is None:
                raise BrowserError(f"no button {button} in the form on {page.address}")
            if pressed.name:
                data[pressed.name] = pressed.value
        if form.method == "post":
            return await self._navigate("POST", form.action, data, initiator=page.url)
        target = form.action.partition("?")[0] + "?" + urlencode(data)
        return await self._navigate("GET", target, None, initiator=page.url)

    async def post(self, url: str, data: Mapping[str, str] | None = None, *, origin: str | None = None) -> Answer:
        """A form post by a page of `origin` (default: the bundle's own), followed to its end."""
        initiator = (origin or self.base_url) + "/"
        return await self._navigate("POST", urljoin(self.base_url + "/", url), data or {}, initiator=initiator)

    async def fetch(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """What a script of the bundle's own page sends; redirects are not followed."""
        sent = {"accept": "application/json", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
        sent |= {"sec-fetch-dest": "empty"}
        if method not in ("GET", "HEAD"):
            sent["origin"] = self.base_url
        if body is not None:
            sent["content-type"] = "application/json"
        url = urljoin(self.base_url + "/", url)
        cookie = self.cookies.header(url, cross_site=False, safe_navigation=False)
        content = None if body is None else json.dumps(body).encode()
        return await self._send(method, url, {**sent, **(headers or {})}, content, cookie)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **form: str) -> Answer:
        """One bare request with the profile's cookies, nothing followed, nothing added: for odd cases."""
        url = urljoin(self.base_url + "/", url)
        sent = dict(headers or {})
        content = None
        if form:
            sent["content-type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode()
        cookie = self.cookies.header(url, cross_site=False, safe_navigation=True)
        return await self._send(method, url, sent, content, cookie)

    async def _navigate(
        self, method: str, url: str, data: Mapping[str, str] | None, *, initiator: str | None
    ) -> Answer:
        chain: list[str] = []
        sites = {_site_of(initiator)} if initiator else set()
        for _ in range(_LONGEST_CHAIN):
            url, fragment = urldefrag(url)
            chain.append(url)
            answer = await self._step(method, url, data, initiator, sites)
            location = answer.headers.get("location")
            if answer.status in _REDIRECTS and location is not None:
                if answer.status not in (307, 308) and method != "HEAD":
                    method, data = "GET", None
                target = urljoin(url, location)
                # RFC 9110 §10.2.2: a redirect without a fragment keeps the one it came with
                url = target if "#" in target or not fragment else f"{target}#{fragment}"
                continue
            is_html = "html" in answer.headers.get("content-type", "")
            contents = read_page(answer.text, url) if is_html else Contents()
            for frame in contents.frames:
                await self._load_frame(frame, url)
            if contents.refresh is not None:
                method, data, initiator, sites, url = "GET", None, url, {_site_of(url)}, contents.refresh
                continue
            form = next((form for form in contents.forms if form.submits_itself), None)
            if form is not None and self.plays_scripts:
                method, initiator, url = "POST", url, form.action
                data, sites = dict(form.fields), {_site_of(initiator)}
                continue
            shown = f"{url}#{fragment}" if fragment else url
            return Answer(shown, answer.status, answer.headers, answer.text, tuple(chain), contents.forms)
        raise BrowserError(f"too many redirects, the last to {url.partition('?')[0]}")

    async def _load_frame(self, url: str, page_url: str) -> None:
        """A frame; in one from another site, browsers keep our cookies away (third-party cookies are blocked)."""
        same_site = _site_of(url) == _site_of(page_url)
        headers = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
        headers["sec-fetch-site"] = "same-origin" if same_site else "cross-site"
        cookie = self.cookies.header(url, cross_site=False, safe_navigation=True) if same_site else ""
        await self._send("GET", url, headers, None, cookie)

    async def _step(
        self, method: str, url: str, data: Mapping[str, str] | None, initiator: str | None, sites: set[str]
    ) -> Answer:
        site = _site_of(url)
        headers = {
            "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "accept-language": "en",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
            "sec-fetch-user": "?1",
        }
        cross_site = False
        if initiator is None:
            headers["sec-fetch-site"] = "none"
        else:
            cross_site = _site_of(initiator) != site
            sites.add(site)  # once a chain has crossed sites, Sec-Fetch-Site stays cross-site
            same = "same-origin" if _origin_of(initiator) == _origin_of(url) else "same-site"
            headers["sec-fetch-site"] = "cross-site" if len(sites) > 1 else same
        content = None
        if method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
            headers["origin"] = _origin_of(initiator) if initiator else "null"
            content = urlencode(data or {}).encode()
        cookie = self.cookies.header(url, cross_site=cross_site, safe_navigation=method == "GET")
        return await self._send(method, url, headers, content, cookie)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, cookie: str
    ) -> Answer:
        assert self._http is not None, "use the browser as a context manager"
        if cookie:
            headers = {**headers, "cookie": cookie}
        target = URL(url, encoded=True)
        async with self._http.request(method, target, headers=headers, data=content, allow_redirects=False) as response:
            text = (await response.read()).decode("utf-8", "replace")
            for line in response.headers.getall("Set-Cookie", []):
                self.cookies.store(url, line)
            if _origin_of(url) == _origin_of(self.base_url):
                self.heard += [f"{name}: {value}" for name, value in response.headers.items()]
                self.heard.append(text)
            return Answer(url, response.status, response.headers, text, (url,))
