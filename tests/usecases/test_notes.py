"""One OneNote call for a session: which paths pass, the token, one renewal, bounded waits (R-09, R-10, R-15)."""

import asyncio
import json
import random
from collections.abc import Awaitable

import pytest

from shared.errors import (
    NotesTimedOut,
    NotesUnavailable,
    NotSignedIn,
    ProviderUnavailable,
    ReauthRequired,
    TooManyCalls,
)
from shared.model import Flow, Health, NotesAnswer, NotesCall
from shared.onenote_batch import Batch, read_batch
from shared.usecases.notes import IN_VAIN
from tests.doubles.identity import work_account
from tests.doubles.notes import answer, graph_error
from tests.usecases.world import World

FIVE = NotesCall(method="GET", target="v1.0/me/onenote/notebooks?$top=5&$orderby=displayName")
PAGE = NotesCall(method="POST", target="v1.0/me/onenote/pages", body=b"<html></html>")


async def test_every_call_carries_the_bearer_token(world: World) -> None:
    """R-09: "five of your notebooks, sorted by name", sent as it came."""
    session = await world.signed_in()
    stored, got = await world.here.notes.send(session.ref, FIVE)
    assert got.status == 200
    (sent,) = world.notes.sent
    assert sent.call == FIVE
    assert sent.access_token == stored.record.grant.access_token == session.record.grant.access_token


async def test_a_token_is_checked_before_use(world: World) -> None:
    """R-10."""
    session = await world.signed_in(lives_s=5)
    await world.here.notes.send(session.ref, FIVE)
    assert len(world.identity.refreshes) == 1
    assert world.notes.sent[0].access_token != session.record.grant.access_token


@pytest.mark.parametrize("call", [FIVE, PAGE])
async def test_a_refused_token_is_renewed_once_and_the_call_sent_once_more(world: World, call: NotesCall) -> None:
    """R-10: the body too, as a refused call did nothing."""
    session = await world.signed_in()
    world.notes.refuses.add(session.record.grant.access_token)
    stored, got = await world.here.notes.send(session.ref, call)
    assert got.status == 200
    assert [s.call for s in world.notes.sent] == [call, call]
    assert world.notes.sent[1].access_token == stored.record.grant.access_token
    assert len(world.identity.refreshes) == 1


async def test_a_second_refusal_is_handed_on_and_never_makes_a_loop(world: World) -> None:
    """R-10."""
    session = await world.signed_in()
    world.notes.usual = graph_error(401, "InvalidAuthenticationToken")
    _, got = await world.here.notes.send(session.ref, FIVE)
    assert got.status == 401
    assert len(world.notes.sent) == 2
    assert len(world.identity.refreshes) == 1


@pytest.mark.parametrize("whole", [True, False])
async def test_a_renewal_that_did_not_help_is_not_tried_for_every_call(world: World, whole: bool) -> None:
    """R-10: each costs a call to the provider and one of the vault's writes, and everybody's sign-ins share those."""
    session = await world.signed_in()

    async def send() -> NotesAnswer:
        if whole:
            return (await world.here.notes.send(session.ref, FIVE))[1]
        return (await world.here.notes.send_batch(session.ref, batch_of("a")))[1]

    token = graph_error(401, "InvalidAuthenticationToken")
    world.notes.usual = token if whole else answers(a=REFUSED)
    given = [await send() for _ in range(20)]
    assert given == [world.notes.usual] * 20
    assert len(world.identity.refreshes) == 1
    assert len(world.notes.sent) == 21
    await asyncio.sleep(IN_VAIN.total_seconds())
    await send()
    assert len(world.identity.refreshes) == 2


async def test_a_challenge_to_the_renewed_token_asks_for_a_sign_in(world: World) -> None:
    """R-10, R-13: as one to the first token does."""
    session = await world.signed_in()
    challenge = 'Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    token = "InvalidAuthenticationToken"
    world.notes.answers = [graph_error(401, token), graph_error(401, token, www_authenticate=challenge)]
    with pytest.raises(ReauthRequired) as caught:
        await world.here.notes.send(session.ref, FIVE)
    assert caught.value.claims == '{"access_token":{}}'


async def test_many_calls_with_one_refused_token_cost_one_renewal(world: World) -> None:
    """R-10: the token was revoked; whoever comes later finds the new one."""
    session = await world.signed_in()
    world.notes.refuses.add(session.record.grant.access_token)
    world.notes.latency_s, world.identity.latency_s = 0.1, 0.3
    answers = await asyncio.gather(*(world.here.notes.send(session.ref, FIVE) for _ in range(20)))
    assert {got.status for _, got in answers} == {200}
    assert len(world.identity.refreshes) == 1


async def test_a_provider_out_of_order_is_not_hidden_behind_the_refused_token(world: World) -> None:
    """R-10: sending the refused token again would look like a sign-out to the front end."""
    session = await world.signed_in()
    world.notes.refuses.add(session.record.grant.access_token)
    world.identity.always = ProviderUnavailable("HTTP 500")
    with pytest.raises(ProviderUnavailable):
        await world.here.notes.send(session.ref, FIVE)
    assert len(world.notes.sent) == 1


@pytest.mark.parametrize("code", ["40001", "40004", "30108", "10004"])
async def test_a_refusal_with_a_reason_of_onenotes_own_is_handed_on(world: World, code: str) -> None:
    """R-15: told apart from token trouble, and never answered by refreshing."""
    session = await world.signed_in()
    world.notes.usual = graph_error(401, code)
    _, got = await world.here.notes.send(session.ref, FIVE)
    assert got.status == 401
    assert len(world.notes.sent) == 1
    assert world.identity.refreshes == []


async def test_a_claims_challenge_asks_for_a_sign_in(world: World) -> None:
    """R-10, R-13: no renewal satisfies it; the session says so."""
    session = await world.signed_in()
    challenge = 'Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    world.notes.usual = graph_error(401, "InvalidAuthenticationToken", www_authenticate=challenge)
    with pytest.raises(ReauthRequired) as caught:
        await world.here.notes.send(session.ref, FIVE)
    assert caught.value.reason == "claims_required"
    assert caught.value.claims == '{"access_token":{}}'  # for the link to the sign-in
    assert len(world.notes.sent) == 1
    marks = (await world.here.sessions.newest(session.ref)).record.marks
    assert (marks.health, marks.reason) == (Health.REAUTH_REQUIRED, "claims_required")
    assert marks.claims == '{"access_token":{}}'  # the next sign-in shows them to the provider


async def test_a_challenge_that_is_known_costs_the_vault_nothing_more(world: World) -> None:
    """R-10: a page that goes on asking must not use up what everybody shares. Another challenge is stored."""
    session = await world.signed_in()
    for claims, writes in (("eyJhY2Nlc3NfdG9rZW4iOnt9fQ==", 1), ("eyJpZF90b2tlbiI6e319", 2)):
        challenge = f'Bearer error="insufficient_claims", claims="{claims}"'
        world.notes.usual = graph_error(401, "InvalidAuthenticationToken", www_authenticate=challenge)
        for _ in range(10):
            with pytest.raises(ReauthRequired):
                await world.here.notes.send(session.ref, FIVE)
        assert world.store.calls["annotate"] == writes


async def test_a_refused_token_of_the_token_flow_asks_for_a_sign_in(world: World) -> None:
    """R-05, R-10: there is nothing to renew it with."""
    session = await world.signed_in(flow=Flow.TOKEN)
    world.notes.refuses.add(session.record.grant.access_token)
    with pytest.raises(ReauthRequired):
        await world.here.notes.send(session.ref, FIVE)
    assert len(world.notes.sent) == 1


@pytest.mark.parametrize("asked", ["", "soon", "-1", "9" * 5_000, "Wed, 21 Oct 2026 07:28:00 +9999999999999999999"])
async def test_a_wait_that_makes_no_sense_is_a_short_one(world: World, asked: str) -> None:
    """R-15."""
    session = await world.signed_in()
    world.notes.answers = [graph_error(429, "20166", retry_after=asked)]
    assert (await world.here.notes.send(session.ref, FIVE))[1].status == 200
    assert len(world.notes.sent) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_short_wait_that_onenote_asks_for_is_taken_once_for_a_get(world: World, status: int) -> None:
    """R-15: Retry-After is honoured where it is short."""
    session = await world.signed_in()
    world.notes.answers = [graph_error(status, "activityLimitReached", retry_after="3")]
    loop = asyncio.get_running_loop()
    began = loop.time()
    _, got = await world.here.notes.send(session.ref, FIVE)
    assert got.status == 200
    assert loop.time() - began == pytest.approx(3)
    world.notes.usual = graph_error(status, "activityLimitReached", retry_after="3")
    _, got = await world.here.notes.send(session.ref, FIVE)
    assert got.status == status
    assert len(world.notes.sent) == 4


@pytest.mark.parametrize(
    ("call", "headers"),
    [
        (FIVE, {"retry_after": "60"}),
        (FIVE, {"retry_after": "Wed, 21 Oct 2099 07:28:00 GMT"}),
        (PAGE, {"retry_after": "1"}),
        (PAGE, {}),
    ],
)
async def test_a_long_wait_or_a_write_is_left_to_the_caller(
    world: World, call: NotesCall, headers: dict[str, str]
) -> None:
    """R-15: a POST sent twice could make two pages."""
    session = await world.signed_in()
    world.notes.usual = graph_error(429, "20166", **headers)
    _, got = await world.here.notes.send(session.ref, call)
    assert got.status == 429
    assert len(world.notes.sent) == 1


async def test_a_wait_that_onenote_does_not_name_is_bounded(world: World) -> None:
    """R-15: OneNote's own 429 has no Retry-After."""
    session = await world.signed_in()
    world.notes.answers = [graph_error(429, "20166")]
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await world.here.notes.send(session.ref, FIVE))[1].status == 200
    assert 0 < loop.time() - began <= 5


async def test_never_more_than_five_calls_at_once_for_one_user(world: World) -> None:
    """OneNote's limit; another user's calls don't queue behind them, and another session of the same user does."""
    account = work_account()
    one, two, other = (
        await world.signed_in(account),
        await world.signed_in(account),
        await world.signed_in(work_account("b")),
    )
    world.notes.latency_s = 1.0
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def call(session: object) -> float:
        await world.here.notes.send(session.ref, FIVE)  # type: ignore[attr-defined]
        return loop.time() - began

    crowd = asyncio.gather(*(call(s) for s in (one, two) for _ in range(10)))
    assert await call(other) == pytest.approx(1.0)
    assert max(await crowd) == pytest.approx(4.0)
    of_account = world.notes.most_at_once
    assert of_account[one.record.grant.access_token] + of_account[two.record.grant.access_token] <= 10
    assert of_account[one.record.grant.access_token] <= 5


async def test_who_waits_ten_seconds_for_a_place_is_told_to_slow_down(world: World) -> None:
    """R-15: a bounded wait; nothing of it was sent, so anything may be repeated."""
    session = await world.signed_in()
    world.notes.latency_s = 60.0
    crowd = [asyncio.create_task(world.here.notes.send(session.ref, PAGE)) for _ in range(5)]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TooManyCalls) as refused:
        await world.here.notes.send(session.ref, PAGE)
    assert loop.time() - began == pytest.approx(10)
    assert refused.value.retry_after_s
    assert len(world.notes.sent) == 5
    await asyncio.gather(*crowd)
    assert (await world.here.notes.send(session.ref, PAGE))[1].status == 200


async def test_a_call_ends_in_time_whatever_graph_does(world: World) -> None:
    """R-15: the platform hangs up after 230 s, and tells no function."""
    session = await world.signed_in()
    world.notes.latency_s = 1_000.0
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NotesTimedOut):
        await world.here.notes.send(session.ref, PAGE)
    assert loop.time() - began < 200
    world.notes.latency_s = 0.0
    assert (await world.here.notes.send(session.ref, PAGE))[1].status == 200


async def test_the_batch_of_a_crowd_waits_its_turn_and_holds_as_many_places_as_it_has_calls(world: World) -> None:
    """OneNote's limit, where Graph does a batch's calls side by side."""
    session = await world.signed_in()
    world.notes.latency_s = 1.0
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def ends(work: Awaitable[object]) -> float:
        await work
        return loop.time() - began

    notes, batch = world.here.notes, batch_of("1", "2", "3", "4", "5", "6", "7")
    times = await asyncio.gather(
        ends(notes.send(session.ref, PAGE)),
        ends(notes.send_batch(session.ref, batch)),
        ends(notes.send(session.ref, PAGE)),
    )
    assert times == pytest.approx([1.0, 2.0, 3.0])


async def test_nobody_who_waits_is_overtaken_by_who_comes_later(world: World) -> None:
    """R-15: of one person's calls, the one that has waited longest is next, a batch too."""
    session = await world.signed_in()
    world.notes.latency_s = 1.0
    notes = world.here.notes
    ended: list[str] = []

    async def call(name: str, places: int) -> None:
        work = notes.send_batch(session.ref, batch_of(*map(str, range(places)))) if places > 1 else None
        await (work or notes.send(session.ref, PAGE))
        ended.append(name)

    async def one_after_another(name: str) -> None:
        """As soon as its place is free again, it asks for the next."""
        for _ in range(4):
            await call(name, 1)

    crowd = [asyncio.create_task(one_after_another(str(number))) for number in range(5)]
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(call("batch", 5))
    await asyncio.gather(*crowd, waiting)
    assert ended.index("batch") == 5


async def test_a_failed_call_gives_its_place_back(world: World) -> None:
    """Otherwise five failures would lock a user out."""
    session = await world.signed_in()
    world.notes.answers = [NotesUnavailable("reset") for _ in range(12)]
    for _ in range(12):
        with pytest.raises(NotesUnavailable):
            await world.here.notes.send(session.ref, FIVE)
    async with asyncio.timeout(1):
        assert (await world.here.notes.send(session.ref, FIVE))[1] == answer(200, {"value": []})


async def test_places_come_back_however_calls_end(world: World, rng: random.Random) -> None:
    """R-15: done, failed, given up while waiting or under way, single or in batches, in any order."""
    session = await world.signed_in()
    world.notes.latency_s = 3.0
    notes = world.here.notes

    async def one() -> None:
        await asyncio.sleep(rng.random() * 20)
        world.notes.answers = [NotesUnavailable("reset")] if rng.random() < 0.2 else []
        size = rng.choice([0, 0, 1, 2, 4, 7])
        work = (
            notes.send_batch(session.ref, batch_of(*map(str, range(size)))) if size else notes.send(session.ref, PAGE)
        )
        async with asyncio.timeout(rng.choice([0, 0.5, 3, 9.9999, 10, 10.0001, 60])):
            await work

    ended = await asyncio.gather(*(one() for _ in range(300)), return_exceptions=True)
    assert {type(end) for end in ended} <= {type(None), TimeoutError, NotesUnavailable, TooManyCalls}
    world.notes.answers, began = [], asyncio.get_running_loop().time()
    await asyncio.gather(*(notes.send(session.ref, PAGE) for _ in range(5)))
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)
    assert not notes._gates._queues  # else everybody who ever waited would be remembered


# Batches ----------------------------------------------------------------------------------------------------


def batch_of(*names: str) -> Batch:
    calls = [{"id": name, "method": "POST", "url": "/me/onenote/pages", "body": name} for name in names]
    return read_batch("v1.0", json.dumps({"requests": calls}).encode(), ())


def answers(**statuses: int | tuple[int, str, str]) -> NotesAnswer:
    shown = []
    for name, given in statuses.items():
        status, code, challenge = given if isinstance(given, tuple) else (given, "", "")
        body = {"error": {"code": code}} if code else {"made": name}
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        shown.append({"id": name, "status": status, "headers": headers, "body": body})
    return answer(200, {"responses": shown})


def ids(call: NotesCall) -> list[str]:
    return [one["id"] for one in json.loads(call.body)["requests"]]


REFUSED = (401, "InvalidAuthenticationToken", "")


async def test_of_a_batch_only_what_was_refused_for_its_token_goes_out_again(world: World) -> None:
    """R-10: one renewal, and no page is made twice."""
    session = await world.signed_in()
    world.notes.answers = [answers(a=201, b=REFUSED, c=(401, "40001", "")), answers(b=201)]
    stored, got = await world.here.notes.send_batch(session.ref, batch_of("a", "b", "c"))
    assert [ids(sent.call) for sent in world.notes.sent] == [["a", "b", "c"], ["b"]]
    assert {one["id"]: one["status"] for one in json.loads(got.body)["responses"]} == {"a": 201, "b": 201, "c": 401}
    assert len(world.identity.refreshes) == 1
    assert world.notes.sent[1].access_token == stored.record.grant.access_token


async def test_what_a_batch_has_done_is_told_even_if_the_rest_fails(world: World) -> None:
    """R-10: an answer that is lost makes people do it twice."""
    session = await world.signed_in()
    partly = answers(a=201, b=REFUSED)
    world.notes.answers = [partly, NotesUnavailable("reset"), partly]
    assert (await world.here.notes.send_batch(session.ref, batch_of("a", "b")))[1] == partly
    world.identity.always = ProviderUnavailable("HTTP 500")
    assert (await world.here.notes.send_batch(session.ref, batch_of("a", "b")))[1] == partly


async def test_what_was_sent_again_and_got_no_answer_is_not_called_refused(world: World) -> None:
    """R-10: it may have been done; who is told that it was refused sends it once more."""
    session = await world.signed_in()
    world.notes.answers = [answers(a=201, b=REFUSED), NotesTimedOut("reset")]
    _, got = await world.here.notes.send_batch(session.ref, batch_of("a", "b"))
    a, b = json.loads(got.body)["responses"]
    assert (a["status"], b["status"], b["body"]["error"]["code"]) == (201, 504, "graph_timeout")


async def test_a_challenge_inside_a_batch_marks_the_session_and_hands_the_rest_on(world: World) -> None:
    """R-10, R-13."""
    session = await world.signed_in()
    challenge = 'Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'
    given = answers(a=201, b=(401, "InvalidAuthenticationToken", challenge))
    world.notes.answers = [given]
    assert (await world.here.notes.send_batch(session.ref, batch_of("a", "b")))[1] == given
    assert len(world.notes.sent) == 1
    marks = (await world.here.sessions.newest(session.ref)).record.marks
    assert (marks.reason, marks.claims) == ("claims_required", '{"access_token":{}}')


async def test_a_batch_that_is_refused_as_a_whole_is_sent_once_more(world: World) -> None:
    """R-10."""
    session = await world.signed_in()
    world.notes.refuses.add(session.record.grant.access_token)
    world.notes.usual = answers(a=201)
    _, got = await world.here.notes.send_batch(session.ref, batch_of("a"))
    assert got == answers(a=201)
    assert len(world.notes.sent) == 2


async def test_nobody_signed_in_sends_nothing(world: World) -> None:
    """R-09."""
    session = await world.signed_in()
    await world.memory.delete(session.ref)
    with pytest.raises(NotSignedIn):
        await world.here.notes.send(session.ref, FIVE)
    assert world.notes.sent == []
