"""Owns the walks of account kinds and tenants: who may sign in, where a grant is renewed, who is refused.

With them go the app's credentials: each of these stacks proves its identity to the provider in a way of its own.
"""

from collections.abc import Mapping

from local.app_certificate import make_certificate
from local.browser import Browser
from local.browser.sign_in import PERSONAL_USER, WORK_USER, open_sign_in, sign_in_on
from local.demo.pages import read
from local.demo.visit import Visit, Walk
from local.identity_provider import CONTOSO_TENANT, FABRIKAM_TENANT, USERS

OTHER_WORK_USER = next(user.username for user in USERS if user.tenant_id == FABRIKAM_TENANT)
PERSONAL_ONLY = {"AUTH_TENANT": "consumers", "AUTH_ALLOWED_SCOPES": "Notes.Read"}

_ONE_TENANT = {"AUTH_TENANT": CONTOSO_TENANT, "AUTH_CLIENT_SECRET": "", "AUTH_CLIENT_CERTIFICATE": make_certificate()}
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
        await visit.control.behaviour(client_info_in_answer=True, consumers_takes_common_code=True)
        await visit.control.behaviour(**behaviour)
        async with visit.another_browser() as browser:
            page = await visit.signs_in("any", PERSONAL_USER, browser)
            again = any("/oauth2/v2.0/authorize?" in url and "/consumers/" in url for url in page.chain)
            await visit.control.expire_access_tokens()
            await visit.notebooks(step, browser)
            at = (await visit.token_calls())[-1]
            step.check(at == "consumers", "renewed at consumers", at)
            health = (await visit.session(browser))["health"]["state"]
            step.check(health == "ok", "alive after its first renewal", health)
        step.done("signed in, " + ("once more round without a click" if again else "at once"))
    for username, tenant in ((WORK_USER, CONTOSO_TENANT), (OTHER_WORK_USER, FABRIKAM_TENANT)):
        async with visit.another_browser() as browser:
            await _works(visit, browser, "any", username, tenant)


async def _works(visit: Visit, browser: Browser, account: str, username: str, tenant: str) -> None:
    """Sign in, list, renew: with the tenant segment that the renewal must go to."""
    step = visit.step(f"sign in {username} with account={account}")
    await visit.signs_in(account, username, browser)
    await visit.control.expire_access_tokens()
    names = await visit.notebooks(step, browser)
    at = (await visit.token_calls())[-1]
    step.check(at == tenant, f"renewed at {tenant}", at)
    step.done(f"{names[0]} and four more notebooks, before and after a renewal")


async def _mismatches(visit: Visit) -> None:
    step = visit.step("a personal account behind the button for work accounts")
    page = await sign_in_on(visit.browser, await open_sign_in(visit.browser, "work"), PERSONAL_USER)
    step.check("AADSTS50020" in page.text, "refused by the provider, account can be chosen again", page.text[:500])
    step.check(not await visit.token_holders(), "nothing stored", await visit.secrets())
    step.done(f"the provider's page “{read(page).title}” with the reason")
    step = visit.step("a kind of account that there isn't")
    step.done(str(await visit.refused(step, "account=robot", "unknown_account_kind")))


async def _one_tenant(visit: Visit) -> None:
    step = visit.step("personal account where one organization may sign in")
    shown = await visit.refused(step, "account=personal", "account_kind_not_allowed")
    await _says_which(visit, "personal", "work and school accounts")
    step.done(str(shown))
    await _works(visit, visit.browser, "work", WORK_USER, CONTOSO_TENANT)
    step = visit.step("work account of another organization")
    async with visit.another_browser() as browser:
        page = await sign_in_on(browser, await open_sign_in(browser, "any"), OTHER_WORK_USER)
        step.check("AADSTS50020" in page.text, "refused by the provider", page.text[:500])
        step.check(len(await visit.token_holders()) == 1, "nothing more stored", await visit.secrets())
        signed_in = (await visit.session(browser))["signed_in"]
        step.check(signed_in is False, "not signed in", signed_in)
    step.done(f"the provider's page “{read(page).title}” with the reason")


async def _personal_only(visit: Visit) -> None:
    step = visit.step("work account where personal accounts may sign in")
    shown = await visit.refused(step, "account=work", "account_kind_not_allowed")
    await _says_which(visit, "work", "personal accounts")
    step.done(str(shown))
    await _works(visit, visit.browser, "any", PERSONAL_USER, "consumers")


async def _says_which(visit: Visit, account: str, may: str) -> None:
    """Programs, too, are told plainly who may."""
    step = visit.step(f"the same for a program, account={account}")
    answer = await visit.browser.fetch(f"/api/auth/login?account={account}")
    step.check(answer.status == 400 and may in answer.json()["detail"], "it says which kind may", answer.text)
    step.done(f"“{answer.json()['detail']}”")


async def _with_identity(visit: Visit) -> None:
    step = visit.step("no secret anywhere")
    before = len(await visit.control.calls("managed_identity"))
    await visit.signs_in("work", OTHER_WORK_USER)
    await visit.control.expire_access_tokens()
    names = await visit.notebooks(step)
    asked = len(await visit.control.calls("managed_identity")) - before
    step.check(asked > 0, "the managed identity vouched for the app", f"{asked} calls")
    at = (await visit.token_calls())[-1]
    step.check(at == FABRIKAM_TENANT, "renewed at the account's own tenant", at)
    step.done(f"{names[0]} and four more, signed in and renewed with a managed identity as the app's credential")
    step = visit.step("personal account where work and school accounts may sign in")
    step.done(str(await visit.refused(step, "account=personal", "account_kind_not_allowed")))


WALKS = (
    Walk("Any account, whatever the provider says of it", ("R-02", "R-03", "R-04"), _any),
    Walk("The wrong kind of account", ("R-02", "R-03", "R-14"), _mismatches),
    Walk("One named tenant, the app with a certificate", ("R-01", "R-03", "R-14"), _one_tenant, _ONE_TENANT),
    Walk("Personal accounts only, the app with a secret", ("R-01", "R-02", "R-14"), _personal_only, PERSONAL_ONLY),
    Walk(
        "Work accounts of any tenant, the app with a managed identity", ("R-01", "R-03"), _with_identity, _WITH_IDENTITY
    ),
)
