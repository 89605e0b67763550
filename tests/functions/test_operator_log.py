"""Each call about accounts leaves a line: which key, which account, what came of it; never the key (R-18, R-16)."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from tests.functions.bundle import Bundle

KEY = {"x-functions-key": "the-key-of-the-nightly-job"}


@pytest.fixture
def bundle(caplog: pytest.LogCaptureFixture) -> Bundle:
    caplog.set_level("INFO", "onenote_auth")
    return Bundle(AUTH_OPERATOR_TOKENS="true")


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [json.loads(record.message) for record in caplog.records if "operator_call" in record.message]
    return [line for line in found if line.pop("event") == "operator_call"]


async def test_every_call_about_accounts_is_in_the_log(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    stored = await bundle.world.signed_in()
    route = {"home_account_id": stored.record.account.home_account_id}
    await bundle.call("ops_accounts", headers=KEY)
    given = await bundle.call("ops_account_token", "POST", headers=KEY, route=route)
    await bundle.call("ops_end_account", "DELETE", headers=KEY, route=route)
    await bundle.call("ops_account_token", "POST", headers=KEY, route=route)
    await bundle.call("ops_revoke_all", "POST", headers=KEY)
    account = route["home_account_id"]
    assert [(line["action"], line["account"], line["outcome"]) for line in lines(caplog)] == [
        ("list_accounts", None, "200"),
        ("account_token", account, "200"),
        ("end_account", account, "200"),
        ("account_token", account, "404"),
        ("revoke_all", None, "200"),
    ]
    assert "the-key-of" not in caplog.text
    assert given.json["access_token"] not in caplog.text


async def test_a_call_that_fails_is_in_the_log_with_its_code(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    answers = [await bundle.call("ops_end_account", "DELETE", headers=KEY, route={"home_account_id": "<x>"})]
    answers += [await bundle.call("ops_accounts", headers=KEY, page=page) for page in ("a", "bm93aGVyZQ")]
    bundle.world.store.fail("account_page", StoreUnavailable("x"))
    answers.append(await bundle.call("ops_accounts", headers=KEY))
    bundle.world.store.fail("account_page", ZeroDivisionError("hush"))
    answers.append(await bundle.call("ops_accounts", headers=KEY))
    codes = [*["invalid_request"] * 3, "store_unavailable", "internal_error"]
    assert [line["outcome"] for line in lines(caplog)] == codes
    assert [(answer.status, answer.json["code"]) for answer in answers] == list(
        zip((400, 400, 400, 503, 500), codes, strict=True)
    )


async def test_revoke_all_that_is_not_done_yet_says_so(bundle: Bundle) -> None:
    """R-18: the operator calls again until it is."""

    async def long_listing() -> None:
        await asyncio.sleep(100)

    bundle.world.store.during["listing"] = long_listing
    answers = [await bundle.call("ops_revoke_all", "POST", headers=KEY) for _ in range(2)]
    assert [(answer.status, answer.json["done"]) for answer in answers] == [(202, False), (200, True)]


async def test_calls_with_one_key_are_found_by_its_digest(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    """However it was sent. Keyed by the ring: who reads logs alone can't try keys, and it turns with the ring."""
    key = KEY["x-functions-key"]
    await bundle.call("ops_accounts", headers=KEY)
    await bundle.call("ops_accounts", code=key)
    await bundle.call("ops_accounts", headers={"x-functions-key": "another"})
    await bundle.call("ops_accounts")
    await Bundle().call("ops_accounts", headers=KEY)
    await bundle.world.ring.rotate(older_than=bundle.world.clock.now() + timedelta(days=1))
    await bundle.call("ops_accounts", headers=KEY)
    header, query, other, none, elsewhere, later = (line["key"] for line in lines(caplog))
    assert header == query
    assert len(header) == 16
    assert none is None
    assert len({header, other, elsewhere, later}) == 4


async def test_a_ring_out_of_reach_stops_no_call_and_no_line(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    bundle.world.ring.fail_next("newest", StoreUnavailable("x"), None)
    assert (await bundle.call("ops_accounts", headers=KEY)).status == 200
    assert [line["key"] for line in lines(caplog)] == [None]
