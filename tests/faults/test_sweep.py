"""The timer's run while something is away (R-11): what can be done is done, what fails is told and done next time."""

from collections.abc import AsyncIterator

import pytest

from local.tls import LocalAuthority
from shared.model import Health
from shared.usecases.summary import Summary
from tests.faults.matrix import BACK_OFF_S, PURGE, Means, Step, Trouble, code_of, disturb, matrix, meaning
from tests.faults.readers import lines, log_says, secrets_stay_secret
from tests.faults.world import Instance, World
from tests.faults.world import world as make_world

NOTHING_DONE = (
    Step(name="sweep identity token", service="identity"),
    Step(name="sweep listing", service="vault", method="GET", path=r"^/secrets\?", first=False),
    Step(name="sweep session read", service="vault", method="GET", path="/secrets/s-", first=False),
    Step(name="sweep metadata", service="provider", method="GET", path="openid-configuration"),
    Step(name="sweep tokens", service="provider", method="POST", path="/token$", work=True, first=False),
)
RENEWED = (
    Step(name="sweep deleted listed", service="vault", method="GET", path=r"^/deletedsecrets\?", first=False),
    Step(name="sweep pass noted", service="vault", method="PUT", path="/secrets/last-listing", first=False, work=True),
    Step(name="sweep key ring read", service="vault", method="GET", path="/secrets/key-ring", first=False),
)
NOTE_READ = (Step(name="sweep note read", service="vault", method="GET", path="/secrets/last-listing"),)
WRITTEN = (Step(name="sweep written", service="vault", method="PUT", path="/secrets/s-", first=False, work=True),)
BACK_OFF = (
    Step(name="sweep back off written", service="vault", method="PATCH", path="/secrets/s-", first=False, work=True),
)
REMOVED = (
    Step(name="sweep session removed", service="vault", method="DELETE", path="^/secrets/s-", first=False, work=True),
)
PURGED = (Step(name="sweep purged", service="vault", method="DELETE", path=PURGE, first=False, work=True),)
REPAIRED = (
    Step(name="sweep index read", service="vault", method="GET", path="/secrets/a-", first=False),
    Step(name="sweep index repaired", service="vault", method="PUT", path="/secrets/a-", first=False, work=True),
)
ROTATED = (
    Step(name="sweep key made", service="vault", method="PUT", path="/secrets/key-ring", first=False, work=True),
)
STEPS = (*NOTHING_DONE, *RENEWED, *NOTE_READ, *WRITTEN, *BACK_OFF, *REMOVED, *PURGED, *REPAIRED, *ROTATED)

DAY_S = 86_400
OVER_S = 31 * DAY_S


async def due(world: World) -> Instance:
    """A person who was here yesterday; an instance that knows nothing of it."""
    await world.sign_in(await world.instance())
    world.advance(DAY_S + 3600)
    return await world.instance()


def failures(summary: Summary, step: Step, trouble: Trouble) -> None:
    code = code_of(step, trouble)
    if trouble.name == "refused":  # and so are all the calls after it
        assert set(summary.failed) == {code}
    else:
        assert dict(summary.failed) == ({code: 1} if code else {})


async def next_run_makes_it_good(world: World, instance: Instance) -> None:
    """The session works for whoever comes, and the run after next has nothing to complain of."""
    await world.mend()
    world.advance(BACK_OFF_S)
    await instance.parts.sweep.run()
    world.advance(3600)
    summary = await instance.parts.sweep.run()
    assert summary.failed == {}
    assert [record.marks.health for record in world.records().values()] == [Health.OK]
    person = await world.instance()
    assert (await person.notebooks()).status == 200
    assert (await person.session()).json["health"]["state"] == "ok"


@matrix(NOTHING_DONE)
async def test_a_run_that_can_not_renew_says_why_and_loses_nothing(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await due(world)
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    if code := code_of(step, trouble):
        assert summary.failed[code] >= 1
        assert summary.renewed == summary.dead == summary.removed == 0
    else:
        assert summary.renewed == 1
        assert summary.failed == {}
    log_says(caplog, world, step, trouble)
    (record,) = world.records().values()
    backed_off = step.service == "provider" and meaning(step, trouble) is Means.WAIT
    assert record.marks.health is (Health.RETRYING if backed_off else Health.OK)
    await next_run_makes_it_good(world, instance)


@matrix(RENEWED)
async def test_house_keeping_that_fails_costs_no_renewal_and_is_done_next_time(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await due(world)
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    assert summary.renewed == 1
    failures(summary, step, trouble)
    log_says(caplog, world, step, trouble)
    await next_run_makes_it_good(world, instance)


@matrix(NOTE_READ)
async def test_a_run_that_does_not_know_of_the_last_one_lists_again(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await due(world)
    await disturb(world, step, trouble)
    if trouble.name == "refused":
        await world.doors["vault"].open()
        world.doors["vault"].shut_at(step.method, step.path)
    summary = await instance.parts.sweep.run()
    if trouble.name != "refused":  # nobody listens from then on
        assert summary.renewed == 1
        assert summary.failed == {}
    secrets_stay_secret(caplog, world)
    await next_run_makes_it_good(world, instance)


@matrix(WRITTEN)
async def test_tokens_that_the_timer_could_not_store_are_stored_as_soon_as_it_goes(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await due(world)
    before = next(iter(world.records().values())).grant.refresh_token
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    assert summary.renewed == 1
    log_says(caplog, world, step, trouble)
    await world.mend()
    await instance.parts.engine.settle(within_s=60)
    assert next(iter(world.records().values())).grant.refresh_token != before
    await next_run_makes_it_good(world, instance)


@matrix(WRITTEN)
async def test_tokens_that_a_process_took_with_it_end_no_session_where_spent_ones_live(
    world: World, step: Step, trouble: Trouble
) -> None:
    """The process ends before the vault answers again; the refresh token that was stored is still good."""
    instance = await due(world)
    await disturb(world, step, trouble)
    await instance.parts.sweep.run()
    for task in [*instance.parts.engine._unsaved.under_way]:
        task.cancel()
    await world.mend()
    await next_run_makes_it_good(world, await world.instance())


@matrix(BACK_OFF)
async def test_a_back_off_that_can_not_be_written_is_told_beside_its_cause(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    instance = await due(world)
    tokens = NOTHING_DONE[-1]
    busy = Trouble("503", Means.WAIT, {"action": "status"}, 503)
    await disturb(world, tokens, busy)
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    code = code_of(step, trouble)
    assert set(summary.failed) == {"provider_unavailable", *([code] if code else [])}
    assert any("token endpoint: HTTP 503" in cause for cause in summary.causes)
    secrets_stay_secret(caplog, world)
    await next_run_makes_it_good(world, instance)


@matrix(REMOVED)
async def test_a_session_that_is_over_and_can_not_be_removed_is_removed_next_time(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    await world.sign_in(await world.instance())
    world.advance(OVER_S)
    instance = await world.instance()
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    failures(summary, step, trouble)
    assert summary.removed == (1 if code_of(step, trouble) is None else 0)
    log_says(caplog, world, step, trouble)
    await world.mend()
    world.advance(BACK_OFF_S)
    assert (await (await world.instance()).parts.sweep.run()).failed == {}
    assert world.records() == {}
    assert (await (await world.instance()).session()).json["signed_in"] is False


@matrix(PURGED)
async def test_what_can_not_be_purged_is_purged_next_time(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-12: the tokens are gone already for everybody but the vault's owner."""
    one = await world.instance()
    await world.sign_in(one)
    await one.logout()
    world.advance(BACK_OFF_S)
    instance = await world.instance()
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    failures(summary, step, trouble)
    log_says(caplog, world, step, trouble)
    await world.mend()
    world.advance(BACK_OFF_S)
    assert (await (await world.instance()).parts.sweep.run()).failed == {}
    assert [name for name in world.vault.deleted_names() if name.startswith("s-")] == []


@matrix(REPAIRED)
async def test_an_index_that_can_not_be_repaired_is_repaired_next_time(
    world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    """R-12: signing out everywhere finds the session again."""
    instance = await due(world)
    (record,) = world.records().values()
    name = f"a-{record.marks.account_hash}"
    world.vault.store.delete(name)
    world.vault.store.purge(name)
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    failures(summary, step, trouble)
    assert summary.renewed == 1
    log_says(caplog, world, step, trouble)
    await next_run_makes_it_good(world, instance)
    assert len(await instance.parts.store.by_account(record.marks.account_hash)) == 1


@pytest.fixture
async def lasting_world(authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with make_world(authority, monkeypatch, more={"SESSION_IDLE_DAYS": "80"}) as made:
        yield made


@matrix(ROTATED)
async def test_a_key_that_can_not_be_made_leaves_the_old_one_in_use(
    lasting_world: World, caplog: pytest.LogCaptureFixture, step: Step, trouble: Trouble
) -> None:
    world = lasting_world
    await world.sign_in(await world.instance())
    world.advance(OVER_S)
    instance = await world.instance()
    await disturb(world, step, trouble)
    summary = await instance.parts.sweep.run()
    failures(summary, step, trouble)
    log_says(caplog, world, step, trouble)
    assert (await instance.session()).json["signed_in"] is True
    await next_run_makes_it_good(world, instance)
    assert len(world.vault.values("key-ring")) >= 2
    assert "cookie_key_rotated" in [fields["event"] for _, fields in lines(caplog)]
