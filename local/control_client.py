"""Owns calls to the control API of a stack in another process. Knows the names of the API, not what they
mean.
"""

from collections.abc import Mapping
from typing import Any, Self

import aiohttp


class ControlClient:
    """`local/control.py` from afar; an async context manager. `verify`: whether the stack's certificate is looked at."""

    def __init__(self, base_url: str, *, verify: bool = True, limit_s: float = 60) -> None:
        self._base_url = base_url
        self._verify = verify
        self._limit = aiohttp.ClientTimeout(total=limit_s)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._verify), timeout=self._limit, headers={"x-local-control": "1"}
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def state(self) -> dict[str, Any]:
        return await self._call("GET", "state")

    async def vaults(self, *, values: bool = False) -> list[dict[str, Any]]:
        """One entry a vault: `secrets` and `deleted`, each with names, tags and versions."""
        answer = await self._call("GET", "vaults?values=1" if values else "vaults")
        return list(answer["vaults"])

    async def calls(self, service: str) -> list[dict[str, Any]]:
        return list((await self._call("GET", f"calls?service={service}"))["calls"])

    async def function_key(self) -> str:
        return str((await self._call("GET", "keys"))["function"])

    async def advance(self, seconds: float) -> None:
        await self._call("POST", "clock", {"advance_s": seconds})

    async def run_timer(self) -> None:
        await self._call("POST", "timer")

    async def expire_access_tokens(self) -> None:
        await self._call("POST", "expire-access-tokens")

    async def revoke(self, username: str) -> None:
        await self._call("POST", "revoke", {"username": username})

    async def refuse(self, username: str, **arguments: Any) -> None:
        """`arguments`: `error`, `codes`, `suberror`, `claims`, `at`, `until_sign_in`."""
        await self._call("POST", "refuse", {"username": username, **arguments})

    async def stop_refusing(self) -> None:
        await self._call("DELETE", "refuse")

    async def behaviour(self, **attributes: Any) -> None:
        await self._call("POST", "behaviour", attributes)

    async def onenote(self, username: str, **switches: Any) -> None:
        """`switches`: attributes of OneNote's Switches, such as `provisioning`, `calls_per_minute`."""
        await self._call("POST", "onenote", {"username": username, **switches})

    async def settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in (await self._call("GET", "settings")).items()}

    async def vault(self, name: str = "vault", **access: str) -> None:
        """`access`: `network` (open, firewall, private), `role` (a Key Vault role's name, or nothing)."""
        await self._call("POST", "vault", {"name": name, **access})

    async def fault(self, service: str, action: str, **fields: Any) -> None:
        await self._call("POST", "faults", {"service": service, "action": action, **fields})

    async def clear_faults(self) -> None:
        await self._call("DELETE", "faults")

    async def reset(self) -> None:
        await self._call("POST", "reset")

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert self._http is not None, "use the client as a context manager"
        async with self._http.request(method, f"{self._base_url}/_local/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            if response.status != 200:
                raise RuntimeError(f"{method} /_local/{path} answered {response.status}: {answer}")
            return answer
