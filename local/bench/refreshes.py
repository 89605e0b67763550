"""Owns the measurement of calls to the provider alone: a bare client, the bundle's adapter, msal on threads.

Runs as `python -m local.bench.refreshes '{"rounds": 7, "seconds": 1}'` on the settings of the environment.
"""

import asyncio
import itertools
import json
import os
import ssl
import sys
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from local.bench.clients import bundle, msal_app
from local.bench.provider import TENANT
from local.bench.rounds import alternate, in_threads, on_the_loop

_SCOPE = "Notes.Read"


async def measure(*, rounds: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    numbers = itertools.count()
    identity = (await bundle()).identity
    app, tuned = msal_app(), msal_app(tuned=True)
    url = f"{os.environ['AUTH_AUTHORITY_HOST']}/{TENANT}/oauth2/v2.0/token"
    fixed = {
        "grant_type": "refresh_token",
        "client_id": os.environ["AUTH_CLIENT_ID"],
        "client_secret": os.environ["AUTH_CLIENT_SECRET"],
        "client_info": "1",
        "scope": f"{_SCOPE} openid profile offline_access",
    }

    def token() -> str:
        return f"{next(numbers):012d}" + "r" * 1_088

    connector = TCPConnector(ssl=ssl.create_default_context(cafile=os.environ["CA_BUNDLE"]))
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as bare:

        async def by_bare_client(_: int) -> None:
            async with bare.post(url, data={**fixed, "refresh_token": token()}) as answer:
                assert answer.status == 200
                await answer.read()

        async def by_us(_: int) -> None:
            await identity.refresh(token(), (_SCOPE,), TENANT)

        def by_msal(app: Any) -> None:
            assert "access_token" in app.acquire_token_by_refresh_token(token(), [_SCOPE])

        contenders = {
            "bare client": on_the_loop(by_bare_client),
            "ours": on_the_loop(by_us),
            "msal on 32 threads": in_threads(lambda _: by_msal(app)),
            "msal on 32 threads, a connection each": in_threads(lambda _: by_msal(tuned)),
        }
        return await alternate(contenders, rounds=rounds, seconds=seconds)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.loads(sys.argv[1])))))
