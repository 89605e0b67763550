"""Our cookies: signed and sealed, bound to what they are for, and worthless to whoever changes them (R-04, R-16)."""

import base64
import random
import string
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie

import pytest

from shared.attempts import ATTEMPT_FOR
from shared.errors import BadRequest
from shared.functions.cookies import ATTEMPT_PREFIX, ATTEMPTS_MOST, SESSION, VERIFIED_MOST, Cookies, just_made
from shared.model import AccountKind, Attempt, Flow, SessionId, SessionRef
from tests.doubles.memory import MemoryKeyRing
from tests.functions.bundle import Bundle

ID = SessionId.new("main")
LIVES = timedelta(days=30)


def parsed(text: str) -> Morsel[str]:
    (morsel,) = SimpleCookie(text).values()
    return morsel


def attempt(bundle: Bundle, state: str = "state-1", **changes: object) -> Attempt:
    values: dict[str, object] = {
        "state": state,
        "nonce": "nonce-1",
        "code_verifier": "verifier-1",
        "authority": "common",
        "kind": None,
        "scopes": ("Notes.Read",),
        "return_to": "https://app.notes.example/",
        "started_at": bundle.world.clock.now(),
    }
    return Attempt(**{**values, **changes})  # type: ignore[arg-type]


async def sealed(bundle: Bundle, made: Attempt, present: dict[str, str] | None = None) -> tuple[str, str]:
    morsel = parsed((await bundle.cookies.set_attempt(made, present or {}))[0])
    return morsel.key, morsel.value


# The session's cookie ---------------------------------------------------------------------------------------


async def test_a_sessions_cookie_names_its_session_and_vault(bundle: Bundle) -> None:
    """R-16: and nothing of the person or the tokens."""
    morsel = parsed(await bundle.cookies.set_session(ID))
    read = await bundle.cookies.session(morsel.value)
    assert read is not None
    assert (read.session, read.issued_at) == (ID, bundle.world.clock.now())
    assert just_made(bundle.cookies.age(read))


async def test_a_sessions_cookie_is_kept_from_scripts_and_other_sites(bundle: Bundle) -> None:
    """R-16: `__Secure-`, HttpOnly, Secure, Max-Age, Lax unless a front end lies on another site."""
    morsel = parsed(await bundle.cookies.set_session(ID))
    assert morsel.key == SESSION
    assert morsel.key.startswith("__Secure-")
    assert (morsel["httponly"], morsel["secure"], morsel["samesite"], morsel["path"]) == (True, True, "Lax", "/")
    assert (morsel["max-age"], morsel["domain"], morsel["expires"]) == (str(30 * 86400), "", "")
    elsewhere = Bundle(FRONTEND_ORIGINS="https://app.other.example")
    assert parsed(await elsewhere.cookies.set_session(ID))["samesite"] == "None"
    below = Bundle(PUBLIC_BASE_URL="https://notes.example/sub/path")
    assert parsed(await below.cookies.set_session(ID))["path"] == "/sub/path"


async def test_values_need_no_encoding_on_their_way_through_the_host(bundle: Bundle) -> None:
    """The host percent-encodes what is not plain, and browsers send that back as it is."""
    plain = set(string.ascii_letters + string.digits + "-_.")
    cookies = [
        await bundle.cookies.set_session(ID),
        *await bundle.cookies.set_attempt(attempt(bundle), {}),
        bundle.cookies.set_way_back("https://app.notes.example/ä?x=1"),
    ]
    assert all(set(parsed(text).value) <= plain for text in cookies)


async def test_a_cookie_changed_anywhere_is_refused(bundle: Bundle) -> None:
    """R-16: every character of it is signed."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    for at, old in enumerate(value):
        for new in {"A", "b", "0", "-", "."} - {old}:
            changed = value[:at] + new + value[at + 1 :]
            assert await bundle.cookies.session(changed) is None, (at, new)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "1",
        "1.main",
        "....",
        "1.main.x.0.0.x",
        "2.main." + "a" * 43 + ".00000000." + "0" * 32 + "." + "a" * 43,
        "1.MAIN." + "a" * 43 + ".00000000." + "0" * 32 + "." + "a" * 43,
        "1.main." + "a" * 42 + ".00000000." + "0" * 32 + "." + "a" * 43,
        "1.main." + "a" * 43 + ".0000000g." + "0" * 32 + "." + "a" * 43,
        "a" * 100_000,
        "1." * 5_000,
        "ä" * 50,
        '{"json": true}',
        "%00",
        "\u2028",
    ],
)
async def test_a_malformed_cookie_costs_no_look_at_the_key_ring(bundle: Bundle, value: str | None) -> None:
    """R-16: nor at the vault."""
    assert await bundle.cookies.session(value) is None
    assert bundle.world.ring.calls.total() == 0
    assert bundle.world.store.calls.total() == 0


async def test_truncated_cookies_cost_nothing_either(bundle: Bundle) -> None:
    """R-16."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    bundle.world.ring.calls.clear()
    for length in range(len(value)):
        assert await bundle.cookies.session(value[:length]) is None
        assert await bundle.cookies.session(value + value[:length] + "x") is None
    assert bundle.world.ring.calls.total() == 0


async def test_random_cookies_of_the_right_form_are_refused(bundle: Bundle, rng: random.Random) -> None:
    """R-16: a MAC is not guessed; and an unknown key id is asked for once, not the vault."""
    key = await bundle.world.ring.newest()
    letters = string.ascii_letters + string.digits + "-_"
    issued = int(bundle.world.clock.now().timestamp())
    for _ in range(500):
        identity, mac = ("".join(rng.choices(letters, k=43)) for _ in range(2))
        key_id = key.id if rng.random() < 0.5 else f"{rng.getrandbits(128):032x}"
        assert await bundle.cookies.session(f"1.main.{identity}.{issued:08x}.{key_id}.{mac}") is None
    assert bundle.world.store.calls.total() == 0


async def test_a_cookie_signed_with_another_key_is_refused(bundle: Bundle) -> None:
    """R-16: also one whose key has the id of ours."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    ours = await bundle.world.ring.newest()
    other_ring = MemoryKeyRing(bundle.world.clock)
    theirs = await other_ring.newest()
    other_ring.keys[0] = type(theirs)(id=ours.id, secret=theirs.secret, created_at=theirs.created_at)
    forged = parsed(await Cookies(bundle.settings, other_ring, bundle.world.clock).set_session(ID)).value
    assert forged.rpartition(".")[0] == value.rpartition(".")[0]
    assert await bundle.cookies.session(forged) is None
    assert await bundle.cookies.session(value) is not None


async def test_a_cookie_lives_as_long_as_the_session_may_be_unused(bundle: Bundle) -> None:
    """R-11."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    bundle.world.clock.jump(LIVES)
    assert await bundle.cookies.session(value) is not None
    bundle.world.clock.jump(timedelta(seconds=1))
    assert await bundle.cookies.session(value) is None


async def test_a_cookie_that_was_verified_is_not_verified_again(bundle: Bundle) -> None:
    """A browser sends the same one with every request."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    read = await bundle.cookies.session(value)
    bundle.world.ring.calls.clear()
    assert await bundle.cookies.session(value) is read
    assert bundle.world.ring.calls.total() == 0


async def test_forged_cookies_push_no_good_one_out_of_memory(bundle: Bundle) -> None:
    """R-16: nor are they remembered themselves: each is verified, and refused, every time."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    assert await bundle.cookies.session(value) is not None
    key = await bundle.world.ring.newest()
    forged = f"1.main.{'x' * 43}.{int(bundle.world.clock.now().timestamp()):08x}.{key.id}.{'m' * 43}"
    for _ in range(VERIFIED_MOST + 1):
        assert await bundle.cookies.session(forged) is None
    assert bundle.world.ring.calls["by_id"] == VERIFIED_MOST + 2
    assert await bundle.cookies.session(value) is not None
    assert bundle.world.ring.calls["by_id"] == VERIFIED_MOST + 2


async def test_no_more_than_so_many_verified_cookies_are_remembered(bundle: Bundle) -> None:
    """The oldest goes, and is verified anew when it comes again."""
    first = parsed(await bundle.cookies.set_session(ID)).value
    assert await bundle.cookies.session(first) is not None
    for number in range(VERIFIED_MOST):
        session = SessionId(vault="main", value=f"{number:043d}")
        assert await bundle.cookies.session(parsed(await bundle.cookies.set_session(session)).value) is not None
    bundle.world.ring.calls.clear()
    assert await bundle.cookies.session(first) is not None
    assert bundle.world.ring.calls["by_id"] == 1


async def test_a_cookie_that_a_wrong_clock_issued_signs_nobody_out_and_is_issued_again(bundle: Bundle) -> None:
    """R-16: what bounds a cookie from the future is its key."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    bundle.world.clock.jump(-timedelta(minutes=4))
    read = await bundle.cookies.session(value)
    assert read is not None
    assert not bundle.cookies.reissue_due(bundle.cookies.age(read))
    bundle.world.clock.jump(-timedelta(hours=1))
    read = await bundle.cookies.session(value)
    assert read is not None
    assert bundle.cookies.reissue_due(bundle.cookies.age(read))


async def test_a_cookie_outlives_the_change_of_its_key(bundle: Bundle) -> None:
    """R-16: rotation signs nobody out; but a key signs nothing new for ever."""
    value = parsed(await bundle.cookies.set_session(ID)).value
    bundle.world.clock.jump(timedelta(days=29))
    assert await bundle.world.ring.rotate(older_than=bundle.world.clock.now())
    assert await bundle.cookies.session(value) is not None
    assert parsed(await bundle.cookies.set_session(ID)).value.split(".")[4] != value.split(".")[4]


async def test_an_old_key_signs_nothing_new(bundle: Bundle) -> None:
    """R-16: a key that leaked in the past makes no cookie of today."""
    old_ring = MemoryKeyRing(bundle.world.clock, bundle.world.ring.keys)
    await old_ring.newest()
    stale = Cookies(bundle.settings, MemoryKeyRing(bundle.world.clock, [old_ring.keys[0]]), bundle.world.clock)
    bundle.world.clock.jump(timedelta(days=61))
    await bundle.world.ring.rotate(older_than=bundle.world.clock.now())
    assert await bundle.cookies.session(parsed(await stale.set_session(ID)).value) is None


async def test_a_cookie_in_use_is_issued_again_about_daily(bundle: Bundle) -> None:
    """R-11: so that it lives as long as the session."""
    read = await bundle.cookies.session(parsed(await bundle.cookies.set_session(ID)).value)
    assert read is not None
    assert not bundle.cookies.reissue_due(bundle.cookies.age(read))
    bundle.world.clock.jump(timedelta(seconds=31))
    assert not just_made(bundle.cookies.age(read))
    bundle.world.clock.jump(timedelta(days=1))
    assert bundle.cookies.reissue_due(bundle.cookies.age(read))


# A sign-in attempt's cookie ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "kind": AccountKind.WORK,
            "scopes": ("Notes.Create", "Notes.Read"),
            "flow": Flow.TOKEN,
            "login_hint": "ä@b.example",
            "domain_hint": "organizations",
            "claims": '{"access_token":{}}',
            "replaces": SessionRef(vault="main", name="s-" + "0" * 64),
            "extends": True,
            "rounds": 2,
        },
    ],
)
async def test_an_attempt_comes_back_as_it_was(bundle: Bundle, changes: dict[str, object]) -> None:
    """R-04: what the callback and another round need; a prompt has done its work by then."""
    made = attempt(bundle, "state-1", **changes)
    name, value = await sealed(bundle, made)
    opened, clear = await bundle.cookies.attempt("state-1", {name: value})
    assert opened == made
    assert (parsed(clear[0]).key, parsed(clear[0])["max-age"]) == (name, "0")


async def test_an_attempts_cookie_arrives_with_a_cross_site_post_and_shows_nothing(bundle: Bundle) -> None:
    """R-04: form_post is one; state, nonce and verifier stay ours."""
    morsel = parsed((await bundle.cookies.set_attempt(attempt(bundle), {}))[0])
    assert (morsel["samesite"], morsel["secure"], morsel["httponly"]) == ("None", True, True)
    assert (morsel["path"], morsel["max-age"]) == ("/api/auth", str(int(ATTEMPT_FOR.total_seconds())))
    body = base64.urlsafe_b64decode(morsel.value.rpartition(".")[2] + "==")
    for secret in (b"state-1", b"nonce-1", b"verifier-1", b"app.notes.example"):
        assert secret not in body
    assert "state-1" not in morsel.key


async def test_the_same_attempt_is_never_sealed_alike(bundle: Bundle) -> None:
    """R-04: a nonce of the cipher is used once."""
    values = {(await sealed(bundle, attempt(bundle)))[1] for _ in range(50)}
    assert len(values) == 50


async def test_an_attempt_opens_for_its_own_state_only(bundle: Bundle) -> None:
    """R-04: login CSRF."""
    name, value = await sealed(bundle, attempt(bundle))
    for state in ("", "state-2", "STATE-1", "state-1 ", "x" * 5_000, "\u2028"):
        assert await bundle.cookies.attempt(state, {name: value}) == (None, [])


async def test_an_attempt_opens_under_its_own_name_only(bundle: Bundle) -> None:
    """R-04: a cookie put under another's name, by a sub-domain say, is not taken for it."""
    one, one_value = await sealed(bundle, attempt(bundle, "state-1"))
    two, two_value = await sealed(bundle, attempt(bundle, "state-2"))
    for present in (
        {one: two_value},
        {one: two_value, two: one_value},
        {one.replace("attempt-", "attempt-0"): one_value},
    ):
        opened, _ = await bundle.cookies.attempt("state-1", present)
        assert opened is None


async def test_a_sealed_attempt_changed_anywhere_does_not_open(bundle: Bundle, rng: random.Random) -> None:
    """R-04."""
    name, value = await sealed(bundle, attempt(bundle))
    head, _, body = value.rpartition(".")
    data = bytearray(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    for at in range(len(data)):
        changed = data.copy()
        changed[at] ^= 1 << rng.randrange(8)
        text = f"{head}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}"
        opened, clear = await bundle.cookies.attempt("state-1", {name: text})
        assert opened is None
        assert clear
    for length in range(len(value)):
        opened, _ = await bundle.cookies.attempt("state-1", {name: value[:length]})
        assert opened is None


@pytest.mark.parametrize("length", [40, 41, 42, 43, 3800])
async def test_an_attempt_that_only_looks_sealed_does_not_break_the_callback(bundle: Bundle, length: int) -> None:
    """R-04: also at lengths that no base64 has."""
    name, value = await sealed(bundle, attempt(bundle))
    head = value.rpartition(".")[0]
    opened, clear = await bundle.cookies.attempt("state-1", {name: f"{head}.{'A' * length}"})
    assert opened is None
    assert parsed(clear[0]).key == name


async def test_a_session_key_does_not_open_an_attempt_and_an_unknown_key_neither(bundle: Bundle) -> None:
    """R-16: one key derived for each use."""
    name, value = await sealed(bundle, attempt(bundle))
    bundle.world.ring.keys.clear()
    await bundle.world.ring.newest()
    opened, _ = await bundle.cookies.attempt("state-1", {name: value})
    assert opened is None


async def test_five_sign_ins_at_once_at_most_and_the_oldest_goes(bundle: Bundle) -> None:
    """R-04: two tabs can sign in at once; a browser's cookies stay within what the host takes."""
    jar: dict[str, str] = {}
    states = [f"state-{n}" for n in range(8)]
    for state in states:
        for text in await bundle.cookies.set_attempt(attempt(bundle, state), {**jar, "other": "x"}):
            morsel = parsed(text)
            if morsel["max-age"] == "0":
                del jar[morsel.key]
            else:
                jar[morsel.key] = morsel.value
        bundle.world.clock.jump(timedelta(seconds=1))
        assert len(jar) <= ATTEMPTS_MOST
    opened = [(await bundle.cookies.attempt(state, jar))[0] for state in states]
    assert [bool(o) for o in opened] == [False] * 3 + [True] * 5
    assert all(name.startswith(ATTEMPT_PREFIX) for name in jar)


async def test_an_attempt_fits_into_a_cookie_or_is_refused_at_login(bundle: Bundle) -> None:
    """R-04: browsers drop more than 4 KiB silently, and the callback would not know why."""
    for size in range(100, 2_000, 50):
        made = attempt(bundle, return_to="https://app.notes.example/" + "é" * (size // 2))
        morsel = parsed((await bundle.cookies.set_attempt(made, {}))[0])
        assert len(morsel.key) + len(morsel.value) <= 4_096
        opened, _ = await bundle.cookies.attempt("state-1", {morsel.key: morsel.value})
        assert opened == made
    too_long = attempt(bundle, return_to="https://app.notes.example/" + "é" * 1_500)
    with pytest.raises(BadRequest) as caught:
        await bundle.cookies.set_attempt(too_long, {})
    assert caught.value.code == "query_too_long"


# The way back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["https://app.notes.example/", "https://app.notes.example/ä?x=1&y=%20"])
def test_the_way_back_from_sign_out_comes_back_as_it_was(bundle: Bundle, url: str) -> None:
    """R-12."""
    morsel = parsed(bundle.cookies.set_way_back(url))
    assert bundle.cookies.way_back(morsel.value) == url
    assert (morsel["samesite"], morsel["path"]) == ("Lax", "/api/auth")


@pytest.mark.parametrize("value", [None, "", "!", "A", "_w", "ä", "%%%"])
def test_a_way_back_that_cannot_be_read_is_none(bundle: Bundle, value: str | None) -> None:
    """R-12: it is checked again like any return address, so it needs no signature."""
    assert not bundle.cookies.way_back(value)
