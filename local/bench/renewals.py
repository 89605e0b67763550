"""Owns the measurement of whole renewals: read the session, ask the provider, write the new tokens to the vault.

Runs as `python -m local.bench.renewals '{"rounds": …, "seconds": …, "names": […]}'` on the environment's settings.
"""

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.keyvault.secrets import SecretClient

from local.bench.clients import bundle, msal_app, secret_client
from local.bench.rounds import AT_ONCE, alternate, in_threads, on_the_loop
from shared.model import SessionRef

_ALWAYS_DUE = datetime(9999, 1, 1, tzinfo=UTC)


async def measure(*, rounds: int, seconds: float, names: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """`names` of sessions in the vault; a third for each contender, so that none meets another's."""
    parts = await bundle()
    client, app = secret_client(), msal_app()
    ours, threads, loop = (_shares(names[number::3]) for number in range(3))

    async def by_us(worker: int) -> None:
        renewal = await parts.engine.renew_due(SessionRef(vault="main", name=next(ours[worker])), _ALWAYS_DUE)
        assert renewal.done

    contenders = {
        "ours": on_the_loop(by_us),
        "msal and SecretClient on 32 threads": in_threads(lambda worker: _renew(client, app, next(threads[worker]))),
        "plain loop": in_threads(lambda worker: _renew(client, app, next(loop[worker])), threads=1),
    }
    return await alternate(contenders, rounds=rounds, seconds=seconds)


def _renew(client: SecretClient, app: Any, name: str) -> None:
    secret = client.get_secret(name)
    record = json.loads(secret.value or "")
    answer = app.acquire_token_by_refresh_token(record["refresh_token"], ["Notes.Read"])
    record["access_token"], record["refresh_token"] = answer["access_token"], answer["refresh_token"]
    properties = secret.properties
    client.set_secret(name, json.dumps(record), tags=properties.tags, content_type=properties.content_type)


def _shares(names: Sequence[str]) -> list[Iterator[str]]:
    """Names for each worker, round and round: two renewals of one session at once would count twice."""
    return [itertools.cycle(names[worker::AT_ONCE]) for worker in range(AT_ONCE)]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.loads(sys.argv[1])))))
