"""Owns a sign-in over HTTP against the lean provider, with two calls to the bundle as a browser makes them."""

from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientSession


class SignInFailed(Exception):
    """The bundle did not sign in; the text has the step and the status."""


async def sign_in(http: ClientSession, base: str, user: str) -> str:
    """The session as a Cookie header. `http` must keep no cookies of its own. Raises SignInFailed."""
    async with http.get(f"{base}/api/auth/login", params={"account": "work"}, allow_redirects=False) as answer:
        location, attempt = answer.headers.get("Location", ""), _cookies(answer.headers.getall("Set-Cookie", []))
        if answer.status != 302 or not attempt:
            raise SignInFailed(f"login: {answer.status}")
    asked = parse_qs(urlsplit(location).query)
    form = {"code": f"{user}.{asked['nonce'][0]}", "state": asked["state"][0]}
    headers = {"Cookie": attempt}
    async with http.post(f"{base}/api/auth/callback", data=form, headers=headers, allow_redirects=False) as answer:
        session = _cookies(answer.headers.getall("Set-Cookie", []))
        if not session or "/api/auth/error" in answer.headers.get("Location", ""):
            raise SignInFailed(f"callback: {answer.status} {answer.headers.get('Location', '')[:80]}")
    return session


def _cookies(lines: list[str]) -> str:
    """`Set-Cookie` lines as what a browser sends back; those that are being removed left out."""
    pairs = (line.partition(";")[0] for line in lines if "max-age=0" not in line.lower())
    return "; ".join(pair for pair in pairs if not pair.endswith("="))
