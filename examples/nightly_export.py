"""Exports the OneNote pages of one account that changed since yesterday, while nobody is signed in at a browser.

    APP_URL=https://YOUR-HOST FUNCTION_KEY=… python3 nightly_export.py USERNAME FOLDER

Standard library only. Needs `AUTH_OPERATOR_TOKENS=true`, and that the person has signed in once. Each page becomes
FOLDER/{page id}.html. Ends with 0 when done, 3 when the person must sign in again, 1 for anything else.
"""

import json
import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

APP = os.environ.get("APP_URL", "").rstrip("/")
KEY = os.environ.get("FUNCTION_KEY", "")  # a password: never an argument, which every user of the machine could read
GRAPH = os.environ.get("GRAPH_URL", "https://graph.microsoft.com").rstrip("/")
WAITS_MOST = 5


def call(url: str, method: str = "GET", **headers: str) -> bytes:
    """The answer's body. Waits where OneNote says that it is asked too often: 120 calls a minute, 400 an hour."""
    for _ in range(WAITS_MOST):
        try:
            with urlopen(Request(url, method=method, headers=headers), timeout=100) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            if error.code not in (429, 503):
                raise
            asked = error.headers.get("Retry-After", "")
            time.sleep(min(int(asked), 300) if asked.isdecimal() else 60)  # it may be a date, too
    raise SystemExit(f"{url.partition('?')[0]} stays busy")


def ops(path: str, method: str = "GET") -> dict[str, Any]:
    """One of the operator's routes, with the function key."""
    return dict(
        json.loads(call(path if "://" in path else f"{APP}/api/ops/{path}", method, **{"x-functions-key": KEY}))
    )


def account_id(username: str) -> str:
    following = "accounts"
    while following:
        page = ops(following)
        for account in page["accounts"]:
            if account["username"].lower() == username.lower():
                return str(account["home_account_id"])
        following = page.get("next", "")
    raise SystemExit(f"{username} has never signed in, or has signed out")


class OneNote:
    """Calls in the person's name. The token is renewed by the app, and asked for again when OneNote refuses it."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._token = ""

    def get(self, url: str) -> bytes:
        if self._token:
            try:
                return call(url, authorization=f"Bearer {self._token}")
            except HTTPError as error:
                if error.code != 401:
                    raise
        self._token = ops(f"accounts/{quote(self._account)}/token", "POST")["access_token"]
        return call(url, authorization=f"Bearer {self._token}")

    def everything(self, url: str) -> list[dict[str, Any]]:
        """A listing, page after page."""
        found: list[dict[str, Any]] = []
        while url:
            page = json.loads(self.get(url))
            found += page["value"]
            url = page.get("@odata.nextLink", "")
        return found


def export(onenote: OneNote, since: datetime, folder: Path) -> int:
    me = f"{GRAPH}/v1.0/me/onenote"
    changed = {
        "$filter": f"lastModifiedDateTime ge {since:%Y-%m-%dT%H:%M:%SZ}",
        "$select": "id,title,lastModifiedDateTime,contentUrl",
        "$top": "100",
    }
    written = 0
    # Section by section: a listing of all pages is refused where there are too many sections (20266).
    for section in onenote.everything(f"{me}/sections?$select=id,displayName"):
        try:
            pages = onenote.everything(f"{me}/sections/{quote(section['id'])}/pages?{urlencode(changed)}")
        except HTTPError as error:
            if error.code != 403:
                raise
            print(f"left out: {section['displayName']} is protected by a password")
            continue
        for page in pages:
            name = re.sub(r"[^0-9A-Za-z!-]", "_", page["id"])
            (folder / f"{name}.html").write_bytes(onenote.get(page["contentUrl"]))
            print(f"{page['lastModifiedDateTime']}  {page['title']}")
            written += 1
    return written


def problem(error: HTTPError) -> dict[str, Any]:
    """What the app says of it (RFC 9457); empty where it was something else that answered."""
    try:
        said = json.loads(error.read())
    except ValueError:
        return {}
    return said if isinstance(said, dict) and "code" in said else {}


def main(username: str, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        written = export(OneNote(account_id(username)), datetime.now(UTC) - timedelta(days=1), folder)
    except HTTPError as error:
        said = problem(error)
        code = said.get("code", error.reason)
        print(
            f"{error.code} {code}: {said.get('detail', error.url)} {said.get('reason', '')}".rstrip(), file=sys.stderr
        )
        return 3 if code == "reauth_required" else 1
    except OSError as error:  # nobody answers, or the folder can't be written
        print(error, file=sys.stderr)
        return 1
    print(f"{written} pages")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not (APP and KEY):
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
