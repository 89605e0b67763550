"""Renewal while something is away: before use, after a 401, and the call itself (R-10, R-11): no token is lost."""

from collections.abc import AsyncIterator

import pytest

from local.tls import LocalAuthority
from tests.faults.matrix import BACK_OFF_S, Means, Step, Trouble, code_of, disturb, matrix, meaning
from tests.faults.readers import lines, log_says, problem_says
from tests.faults.world import Instance, World
from tests.faults.world import world as make_world

BEFORE_USE = (
    Step(name="renewal identity token", service="identity"),
    Step(name="renewal cookie key read", service="vault", method="GET", path="/secrets/key-ring"),
    Step(name="renewal session read", service="vault", method="GET", path="/secrets/s-", first=False),
    Step(name="renewal session read again", service="vault", method="GET", path="/secrets/s-", first=False, passes=1),
    Step(name="renewal metadata", service="provider", method="GET", path="openid-configuration"),
    Step(name="renewal tokens", service="provider", method="POST", path="/token$", work=True, first=False),
)
BEFORE_USE_WARM = (Step(name="warm renewal tokens", service="provider", method="POST", path="/token$", work=True),)
WRITE = (Step(name="renewal written", service="vault", method="PUT", path="/secrets/s-", first=False, work=True),)
CALL = (Step(name="call after renewal", service="graph", method="GET"),)
AFTER_401 = (
    Step(name="after 401 session read", service="vault", method="GET", path="/secrets/s-"),
    Step(name="after 401 tokens", service="provider", method="POST", path="/token$", work=True),
)
AFTER_401_WRITE = (
    Step(name="after 401 written", service="vault", method="PUT", path="/secrets/s-", first=False, work=True),
)
AFTER_401_CALL = (Step(name="call after 401", service="graph", method="GET", first=False, passes=1),)
EARLY = (Step(name="early renewal tokens", service="provider", method="POST", path="/token$", work=True),)
CLAIMS = (
    Step(name="claim written", service="vault", method="PATCH", path="/secrets/s-", first=False, work=True),
    Step(name="claim read back", service="vault", method="GET", path="/secrets/s-", first=False, passes=2),
)
FEDERATED = (
    Step(
        name="renewal assertion",
        service="identity",
        path="AzureADTokenExchange",
        first=False,
        says="provider_unavailable",
    ),
)
STEPS = (
    *FEDERATED,
    *BEFORE_USE,
    *BEFORE_USE_WARM,
    *WRITE,
    *CALL,
    *AFTER_401,
    *AFTER_401_WRITE,
    *AFTER_401_CALL,
    *EARLY,
    *CLAIMS,
)

HOURS_2 = 7200


async def works_again(world: World, *instances: Instance) -> None:
    """After the fault: here and on an instance that knows nothing; and the provider knows what lies in the vault."""
    await world.mend()
    world.advance(BACK_OFF_S)
    for instance in (*instances, await world.instance()):
        assert (await instance.notebooks()).status == 200
        session = (await instance.session()).json
        assert session["signed_in"] is True
        assert session["health"] == {"state": "ok", "reason": None, "reconnect_url": None}
    ((name, record),) = world.records().items()
    assert record.grant.refresh_token in world.provider._core.ledger.refresh_tokens, name


async def nobody_is_sent_to_sign_in(world: World) -> None:
    """Nothing of a fault that passes may stay in the record."""
    assert [record.marks.health.value for record in world.records().values()] == ["ok"]


@matrix((*BEFORE_USE, *BEFORE_USE_WARM))
async def test_a_renewal_before_use_that_fails_is_told_and_costs_nothing(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    one = await world.instance()
    await world.sign_in(one)
    instance = one if step in BEFORE_USE_WARM else await world.instance()
    world.advance(HOURS_2)
    await disturb(world, step, trouble)
    reply = await instance.notebooks()
    if code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
    else:
        assert reply.status == 200
    log_says(caplog, world, step, trouble)
    await nobody_is_sent_to_sign_in(world)
    await works_again(world, instance)


@matrix((*WRITE, *AFTER_401_WRITE))
async def test_new_tokens_that_can_not_be_stored_yet_serve_and_are_stored_as_soon_as_it_goes(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-11: the provider has answered, so what it sent is all there is."""
    instance = await world.instance()
    await world.sign_in(instance)
    before = next(iter(world.records().values())).grant.refresh_token
    if step in WRITE:
        world.advance(HOURS_2)
    else:
        world.provider.expire_access_tokens()
    await disturb(world, step, trouble)
    assert (await instance.notebooks()).status == 200
    log_says(caplog, world, step, trouble)
    assert (await instance.notebooks()).status == 200
    assert len(world.provider.faults.calls) <= 12
    await world.mend()
    await instance.parts.engine.settle(within_s=60)
    assert next(iter(world.records().values())).grant.refresh_token != before
    tokens = [call for call in world.provider.faults.calls if call.path.endswith("/token")]
    assert len(tokens) == 2  # the sign-in's and one renewal's
    await works_again(world, instance)


@matrix(CALL)
async def test_a_call_that_fails_after_its_renewal_keeps_what_was_renewed(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    await graph_is_disturbed(world, caplog, step, trouble, hours_later=True)


@matrix(AFTER_401_CALL)
async def test_a_call_that_fails_after_a_401_keeps_what_was_renewed(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    await graph_is_disturbed(world, caplog, step, trouble, hours_later=False)


async def graph_is_disturbed(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble, *, hours_later: bool
) -> None:
    instance = await world.instance()
    await world.sign_in(instance)
    if hours_later:
        world.advance(HOURS_2)
    else:
        world.provider.expire_access_tokens()
    await disturb(world, step, trouble)
    reply = await instance.notebooks()
    if trouble.status:  # Graph's own words are handed on, with ours beside them
        assert reply.status == trouble.status
        if trouble.status == 429:
            assert int(reply.headers["retry-after"]) >= 1
    elif trouble.name in ("garbage", "wrong_type"):
        assert reply.status == 200
        assert "sandbox" in reply.headers["content-security-policy"]
    elif trouble.name == "hang":  # a write may have been done: told apart from a service that was never reached
        assert (reply.status, reply.json["code"]) == (504, "graph_timeout")
        log_says(caplog, world, step, trouble)
    elif code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
        log_says(caplog, world, step, trouble)
    else:
        assert reply.status == 200
    await nobody_is_sent_to_sign_in(world)
    tokens = [call for call in world.provider.faults.calls if call.path.endswith("/token")]
    assert len(tokens) == 2  # never a loop
    await works_again(world, instance)


@matrix(AFTER_401)
async def test_a_renewal_after_a_401_that_fails_is_told_and_costs_nothing(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-10: never a loop, never "sign in again" because of a fault that passes."""
    instance = await world.instance()
    await world.sign_in(instance)
    world.provider.expire_access_tokens()
    await disturb(world, step, trouble)
    reply = await instance.notebooks()
    if code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
    else:
        assert reply.status == 200
    log_says(caplog, world, step, trouble)
    assert sum(call.path.endswith("/notebooks") for call in world.onenote.faults.calls) <= 2
    await nobody_is_sent_to_sign_in(world)
    await works_again(world, instance)


@matrix(EARLY)
async def test_a_token_that_still_lives_goes_on_serving_when_its_renewal_fails(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-10: a minute is left; the person notices nothing."""
    instance = await world.instance()
    await world.sign_in(instance)
    world.advance(3600 - 60)
    await disturb(world, step, trouble)
    assert (await instance.notebooks()).status == 200
    if meaning(step, trouble) is Means.REFUSED:
        log_says(caplog, world, step, trouble)
    assert "reauth_required" not in str(lines(caplog))
    await nobody_is_sent_to_sign_in(world)
    await works_again(world, instance)


@pytest.fixture
async def other_world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Its provider is none of Microsoft's, so that each renewal is claimed first."""
    async with make_world(authority, monkeypatch, as_entra=False) as made:
        yield made


@matrix(FEDERATED)
async def test_a_renewal_without_the_apps_credential_is_told_and_costs_nothing(
    federated_world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-01."""
    world = federated_world
    await world.sign_in(await world.instance())
    world.advance(HOURS_2)
    instance = await world.instance()
    await disturb(world, step, trouble)
    reply = await instance.notebooks()
    if code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
    else:
        assert reply.status == 200
    log_says(caplog, world, step, trouble)
    await nobody_is_sent_to_sign_in(world)
    await works_again(world, instance)


@matrix(CLAIMS)
async def test_a_claim_that_can_not_be_made_keeps_the_refresh_token_from_being_sent(
    other_world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """At a provider that punishes two: better no renewal now than one that ends the session."""
    world = other_world
    world.provider.behaviour.rotation = "strict"
    instance = await world.instance()
    await world.sign_in(instance)
    world.advance(HOURS_2)
    before = len(world.provider.faults.calls)
    await disturb(world, step, trouble)
    reply = await instance.notebooks()
    if code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
        assert len(world.provider.faults.calls) == before
    else:
        assert reply.status == 200
    log_says(caplog, world, step, trouble)
    await nobody_is_sent_to_sign_in(world)
    await works_again(world, instance)
