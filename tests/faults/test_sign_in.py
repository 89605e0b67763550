"""Sign-in while something is away: the right page, no half session, and the next attempt works (R-04, R-14)."""

from collections.abc import AsyncIterator

import pytest

from local.tls import LocalAuthority
from tests.faults.matrix import BACK_OFF_S, Means, Step, Trouble, code_of, disturb, matrix, meaning
from tests.faults.readers import lines, log_says, page_says, secrets_stay_secret
from tests.faults.test_sign_out import tokens_go
from tests.faults.world import APP, Instance, World
from tests.faults.world import world as make_world

WISHED = f"{APP}/?page=2"

LOGIN = (
    Step(name="login identity token", service="identity"),
    Step(name="login key ring read", service="vault", method="GET", path="/secrets/key-ring"),
    Step(name="login key ring made", service="vault", method="PUT", path="/secrets/key-ring", first=False, work=True),
    Step(name="login metadata", service="provider", method="GET", path="openid-configuration"),
)
CALLBACK = (
    Step(name="callback code redeemed", service="provider", method="POST", path="/token$", work=True),
    Step(name="callback session written", service="vault", method="PUT", path="/secrets/s-", work=True),
)
CALLBACK_ELSEWHERE = (
    Step(name="callback identity token", service="identity"),
    Step(name="callback attempt key read", service="vault", method="GET", path="/secrets/key-ring/[0-9a-f]{32}"),
    Step(name="callback newest key read", service="vault", method="GET", path=r"/secrets/key-ring/?\?", first=False),
    Step(name="callback metadata", service="provider", method="GET", path="openid-configuration"),
)
INDEXES = (
    Step(name="callback index read", service="vault", method="GET", path="/secrets/[af]-", first=False),
    Step(name="callback index written", service="vault", method="PUT", path="/secrets/[af]-", first=False, work=True),
)
PERMISSIONS = (
    Step(name="permissions session read", service="vault", method="GET", path="/secrets/s-"),
    Step(name="permissions code redeemed", service="provider", method="POST", path="/token$", work=True),
    Step(name="permissions session written", service="vault", method="PUT", path="/secrets/s-", first=False, work=True),
)
REPLACING = (
    Step(name="replaced session deleted", service="vault", method="DELETE", path="/secrets/s-", first=False, work=True),
)
TOKEN_FLOW = (Step(name="token flow signing keys read", service="provider", method="GET", path="/discovery/v2.0/keys"),)
FEDERATED = (
    Step(name="callback assertion", service="identity", path="AzureADTokenExchange", first=False, says="unavailable"),
)
STEPS = (*FEDERATED, *LOGIN, *CALLBACK, *CALLBACK_ELSEWHERE, *INDEXES, *PERMISSIONS, *REPLACING, *TOKEN_FLOW)


async def works(world: World, instance: Instance) -> None:
    """The person is signed in, here and on an instance that must ask the vault."""
    for one in (instance, await world.instance()):
        session = (await one.session()).json
        assert session["signed_in"] is True
        assert session["health"]["state"] == "ok"
        assert (await one.notebooks()).status == 200


async def signs_in_now(world: World, instance: Instance) -> None:
    await world.mend()
    world.advance(BACK_OFF_S)
    assert (await world.sign_in(instance, return_to=WISHED)).location == WISHED
    await works(world, instance)


@matrix(LOGIN)
async def test_login_says_what_is_away(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await world.instance()
    await disturb(world, step, trouble)
    reply = await instance.login(return_to=WISHED)
    if code := code_of(step, trouble):
        page_says(reply, code, WISHED)
    else:
        assert reply.location.startswith(world.doors["front"].url("127.0.0.1"))
    log_says(caplog, world, step, trouble)
    await signs_in_now(world, instance)


@matrix((*CALLBACK, *CALLBACK_ELSEWHERE))
async def test_a_callback_that_comes_to_nothing_says_why_and_leaves_nobody_signed_in(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await world.instance()
    form = await world.authorize((await instance.login(return_to=WISHED)).location)
    if step in CALLBACK_ELSEWHERE:
        instance = await world.instance()
    await disturb(world, step, trouble)
    reply = await instance.callback(form)
    if code := code_of(step, trouble):
        page_says(reply, code, WISHED if step in CALLBACK else None)
        assert "__Secure-onenote-auth" not in world.jar
    else:
        assert reply.location == WISHED
        await works(world, instance)
    log_says(caplog, world, step, trouble)
    if code:
        await world.mend()
        await tokens_go(world)  # what the vault took without saying so
    await signs_in_now(world, instance)


@matrix(INDEXES)
async def test_a_sign_in_does_without_its_indexes_and_the_timer_makes_them_good(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-12: a session that is in no index would survive a sign-out everywhere."""
    instance = await world.instance()
    form = await world.authorize((await instance.login(return_to=WISHED)).location)
    await disturb(world, step, trouble)
    assert (await instance.callback(form)).location == WISHED
    secrets_stay_secret(caplog, world)
    told = [fields["error"] for _, fields in lines(caplog) if fields["event"] == "index_not_written"]
    assert set(told) == ({code} if (code := code_of(step, trouble)) else set())
    await world.mend()
    await works(world, instance)
    world.advance(BACK_OFF_S)
    summary = await instance.parts.sweep.run()
    assert not summary.failed
    (record,) = world.records().values()
    store = instance.parts.store
    assert len(await store.by_account(record.marks.account_hash)) == 1
    assert record.marks.sid_hash
    assert len(await store.by_sid(record.marks.sid_hash)) == 1


@matrix(PERMISSIONS)
async def test_adding_permissions_fails_without_harm_to_the_session(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-08."""
    instance = await world.instance()
    await world.sign_in(instance)
    form = await world.authorize((await instance.login(scope="Notes.ReadWrite", return_to=WISHED)).location)
    await disturb(world, step, trouble)
    reply = await instance.callback(form)
    if code := code_of(step, trouble):
        page_says(reply, code, WISHED)
    else:
        assert reply.location == WISHED
    log_says(caplog, world, step, trouble)
    await world.mend()
    world.advance(BACK_OFF_S)
    await works(world, instance)
    await world.sign_in(instance, scope="Notes.ReadWrite")
    assert (await instance.session()).json["scopes"] == ["Notes.Read", "Notes.ReadWrite"]
    assert len(world.records()) == 1


@matrix(REPLACING)
async def test_a_new_sign_in_counts_even_when_the_old_session_can_not_be_deleted_yet(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-12: its deletion is made up for."""
    instance = await world.instance()
    await world.sign_in(instance)
    old = dict(world.jar)
    form = await world.authorize((await instance.login(return_to=WISHED)).location)
    await disturb(world, step, trouble)
    assert (await instance.callback(form)).location == WISHED
    log_says(caplog, world, step, trouble)
    await world.mend()
    await works(world, instance)
    new = dict(world.jar)
    world.jar.clear()
    world.jar |= old
    assert (await instance.session()).json == {"signed_in": False}
    world.jar |= new


@pytest.fixture
async def token_world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with make_world(authority, monkeypatch, more={"AUTH_ALLOW_TOKEN_FLOW": "true"}) as made:
        yield made


@matrix(FEDERATED)
async def test_a_code_is_not_redeemed_without_the_apps_credential(
    federated_world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-01."""
    world = federated_world
    instance = await world.instance()
    form = await world.authorize((await instance.login(return_to=WISHED)).location)
    await disturb(world, step, trouble)
    reply = await instance.callback(form)
    if code := code_of(step, trouble):
        page_says(reply, code, WISHED)
        assert world.records() == {}
    else:
        assert reply.location == WISHED
    log_says(caplog, world, step, trouble)
    await signs_in_now(world, instance)


@matrix(TOKEN_FLOW)
async def test_the_token_flow_believes_nobody_whose_signature_can_not_be_checked(
    token_world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-05."""
    world = token_world
    instance = await world.instance()
    form = await world.authorize((await instance.login(return_to=WISHED, flow="token")).location)
    await disturb(world, step, trouble)
    reply = await instance.callback(form)
    if meaning(step, trouble) is not Means.NOTHING:
        page_says(reply, "provider_unavailable", WISHED)
        assert world.records() == {}
    else:
        assert reply.location == WISHED
    secrets_stay_secret(caplog, world)
    await signs_in_now(world, instance)
