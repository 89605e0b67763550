"""Signing out, and asking who is signed in, while something is away (R-12): each step survives the next one's failure."""

import pytest

from tests.faults.matrix import Means, Step, Trouble, code_of, disturb, matrix, meaning
from tests.faults.readers import lines, log_says, problem_says, secrets_stay_secret
from tests.faults.world import APP, World

SESSION = (
    Step(name="session identity token", service="identity"),
    Step(name="session cookie key read", service="vault", method="GET", path="/secrets/key-ring"),
    Step(name="session read", service="vault", method="GET", path="/secrets/s-", first=False),
)
SIGN_OUT = (
    Step(name="sign out identity token", service="identity"),
    Step(name="sign out cookie key read", service="vault", method="GET", path="/secrets/key-ring"),
    Step(name="sign out session read", service="vault", method="GET", path="/secrets/s-", first=False),
    Step(name="sign out session deleted", service="vault", method="DELETE", path="/secrets/s-", first=False, work=True),
    Step(name="sign out metadata", service="provider", method="GET", path="openid-configuration"),
)
FRONT_CHANNEL = (
    Step(name="front channel identity token", service="identity"),
    Step(name="front channel index read", service="vault", method="GET", path="/secrets/f-"),
    Step(name="front channel metadata", service="provider", method="GET", path="openid-configuration"),
)
FRONT_CHANNEL_LATE = (
    Step(name="front channel deleted", service="vault", method="DELETE", path="/secrets/s-", first=False, work=True),
)
EVERYWHERE = (Step(name="everywhere index read", service="vault", method="GET", path="/secrets/a-"),)
EVERYWHERE_LATE = (
    Step(name="everywhere deleted", service="vault", method="DELETE", path="/secrets/s-", first=False, work=True),
)
STEPS = (*SESSION, *SIGN_OUT, *FRONT_CHANNEL, *FRONT_CHANNEL_LATE, *EVERYWHERE, *EVERYWHERE_LATE)

RETRIED_FOR_S = 1200
"""All of a deletion's retries, and a little more."""


async def tokens_go(world: World) -> None:
    """The deletion is made up for, without anybody asking."""
    for _ in range(RETRIED_FOR_S):
        if not world.records():
            return
        await world.pause(1)
    raise AssertionError("the tokens are still there")


@matrix(SESSION)
async def test_who_is_signed_in_is_never_answered_with_nobody_while_it_can_not_be_told(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    await world.sign_in(await world.instance())
    cookie = dict(world.jar)
    instance = await world.instance()
    await disturb(world, step, trouble)
    reply = await instance.session()
    if code := code_of(step, trouble):
        problem_says(reply, step, trouble, code)
    else:
        assert reply.json["signed_in"] is True
    assert world.jar == cookie
    log_says(caplog, world, step, trouble)
    await world.mend()
    assert (await instance.session()).json["health"] == {"state": "ok", "reason": None, "reconnect_url": None}


@matrix(SIGN_OUT)
async def test_signing_out_ends_the_session_whatever_is_away(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    await world.sign_in(await world.instance())
    cookie = dict(world.jar)
    instance = await world.instance()
    await disturb(world, step, trouble)
    reply = await instance.logout()
    assert reply.status == 303
    if step.service == "provider" and meaning(step, trouble) is not Means.NOTHING:
        assert reply.location == f"{APP}/"  # no provider to go by
    else:
        assert "/oauth2/v2.0/logout?" in reply.location
    assert "__Secure-onenote-auth" not in world.jar
    secrets_stay_secret(caplog, world)
    if step.service == "provider":
        log_says(caplog, world, step, trouble)
        assert world.records() == {}
    elif world.records():
        assert [fields["event"] for _, fields in lines(caplog)].count("sign_out_not_stored_yet") == 1
        log_says(caplog, world, step, trouble)

    world.jar |= cookie
    if step in SIGN_OUT[3:]:  # its key and its vault can be asked
        assert (await instance.session()).json["signed_in"] is False
    world.jar |= cookie
    await world.mend()
    assert (await instance.session()).json["signed_in"] is False
    await tokens_go(world)
    world.jar |= cookie
    assert (await (await world.instance()).session()).json == {"signed_in": False}


@matrix((*FRONT_CHANNEL, *FRONT_CHANNEL_LATE))
async def test_the_providers_sign_out_is_never_said_to_be_done_when_it_was_not(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    one = await world.instance()
    await world.sign_in(one)
    sid = world.records().popitem()[1].account.sid
    assert sid
    instance = one if step in FRONT_CHANNEL_LATE else await world.instance()
    call = {"sid": sid, "iss": f"{world.doors['provider'].url()}/tenant/v2.0"}
    await disturb(world, step, trouble)
    reply = await instance.call("auth_frontchannel_logout", path="auth/frontchannel-logout", query=call)
    code = code_of(step, trouble)
    if code and step in FRONT_CHANNEL:
        problem_says(reply, step, trouble, code)
        assert len(world.records()) == 1
    else:
        assert reply.status == 200
    log_says(caplog, world, step, trouble)
    await world.mend()
    assert (await instance.call("auth_frontchannel_logout", path="auth/frontchannel-logout", query=call)).status == 200
    await tokens_go(world)
    assert (await instance.session()).json["signed_in"] is False


@matrix((*EVERYWHERE, *EVERYWHERE_LATE))
async def test_signing_out_everywhere_is_never_said_to_be_done_when_it_was_not(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await world.instance()
    await world.sign_in(instance)
    first = dict(world.jar)
    world.jar.clear()
    await world.sign_in(instance)
    await disturb(world, step, trouble)
    reply = await instance.call("auth_sessions", "DELETE", "auth/sessions", headers={"origin": APP})
    code = code_of(step, trouble)
    if code and step in EVERYWHERE:
        problem_says(reply, step, trouble, code)
        assert len(world.records()) == 2
    else:
        assert reply.json == {"ended": 2}
    log_says(caplog, world, step, trouble)
    await world.mend()
    if step in EVERYWHERE and code:
        reply = await instance.call("auth_sessions", "DELETE", "auth/sessions", headers={"origin": APP})
        assert reply.json == {"ended": 2}
    await tokens_go(world)
    world.jar |= first
    assert (await instance.session()).json["signed_in"] is False
