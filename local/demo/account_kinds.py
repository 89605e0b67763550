"""Owns the walks of account kinds and tenants: who may sign in, where a grant is renewed, who is refused (R-01 to R-03)."""

from collections.abc import Mapping

from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in_on
from local.demo.pages import read
from local.demo.visit import Visit, Walk
from local.identity_provider import CONTOSO_TENANT, FABRIKAM_TENANT, USERS

OTHER_WORK_USER = next(user.username for user in USERS if user.tenant_id == FABRIKAM_TENANT)

_ONE_TENANT = {"AUTH_TENANT": CONTOSO_TENANT}
_PERSONAL_ONLY = {"AUTH_TENANT": "consumers", "AUTH_ALLOWED_SCOPES": "Notes.Read"}
_WITH_IDENTITY = {
    "AUTH_TENANT": "organizations",
    "AUTH_CLIENT_SECRET": "",
    "AUTH_MANAGED_IDENTITY_CLIENT_ID": "8f0e4f2c-51f5-4c4e-9f0a-3d3c5b1f7a90",
}
_PROVIDERS: Mapping[str, Mapping[str, bool]] = {
    "provider names the kind": {},
    "provider does not name the kind": {"client_info_in_answer": False},
    "consumers refuses the code": {"consumers_takes_common_code": False},
    "neither helps": {"client_info_in_answer": False, "consumers_takes_common_code": False},
}


async def _any(visit: Visit) -> None:
    for title, behaviour in _PROVIDERS.items():
        step = visit.step(f"personal account left to the provider, {title}")
        await visit.control.reset()
        await visit.control.behaviour(**behaviour)
        async with visit.another_browser() as browser:
            page = await visit.signs_in("any", PERSONAL_USER, browser)
            rounds = sum("/oauth2/v2.0/authorize" in url for url in page.chain)
            await visit.control.expire_access_tokens()
            await visit.notebooks(step, browser)
            at = (await visit.token_calls())[-1]
            step.check(at == "consumers", "renewed at consumers", at)
            health = (await visit.session(browser))["health"]["state"]
            step.check(health == "ok", "alive after its first renewal", health)
        step.done("signed in" + (", once more round on the way" if rounds else " at once"))
    for username, tenant in ((WORK_USER, CONTOSO_TENANT), (OTHER_WORK_USER, FABRIKAM_TENANT)):
        async with visit.another_browser() as browser:
            await _renewed_at(visit, "any", username, tenant, browser)


async def _renewed_at(visit: Visit, account: str, username: str, tenant: str, browser: object = None) -> None:
    raise NotImplementedError


WALKS: tuple[Walk, ...] = ()
