"""Permission names, old and new, and what each may do (R-06 to R-08)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import scopes
from shared.errors import BadRequest
from shared.model import AccountKind, Flow

ALL = scopes.ALLOWED


def choose(
    asked: str | None,
    *,
    allowed: tuple[str, ...] = ALL,
    kind: AccountKind | None = None,
    flow: Flow = Flow.CODE,
) -> tuple[str, ...]:
    return scopes.choose(asked, default=("Notes.Read",), allowed=allowed, kind=kind, flow=flow)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("office.onenote_create", "Notes.Create"),
        ("office.onenote_update_by_app", "Notes.ReadWrite"),
        ("office.onenote_update", "Notes.ReadWrite"),
        ("office.onenote", "Notes.Read"),
        ("OFFICE.ONENOTE", "Notes.Read"),
        ("wl.signin", "openid"),
        ("wl.offline_access", "offline_access"),
    ],
)
def test_live_connect_names_mean_the_least_permission_that_keeps_their_promise(old: str, new: str) -> None:
    """R-06."""
    assert scopes.parse(old) == (new,)


@pytest.mark.parametrize(
    "name", ["Notes.Create", "Notes.Read", "Notes.ReadWrite", "Notes.Read.All", "Notes.ReadWrite.All"]
)
@pytest.mark.parametrize("prefix", ["", "https://onenote.com/", "https://graph.microsoft.com/", "HTTPS://OneNote.com/"])
def test_enterprise_names_pass_with_and_without_their_resource(name: str, prefix: str) -> None:
    """R-07."""
    assert scopes.parse(prefix + name.lower()) == (name,)


def test_the_resource_alone_asks_for_the_default() -> None:
    """R-07: the enterprise API took `resource=https://onenote.com/`."""
    assert choose("https://onenote.com/") == ("Notes.Read",)


def test_a_permission_without_effect_is_replaced_and_the_operator_can_be_told() -> None:
    """R-07: Notes.ReadWrite.CreatedByApp does nothing on Graph any more."""
    assert scopes.parse("Notes.ReadWrite.CreatedByApp") == ("Notes.ReadWrite",)
    assert scopes.without_effect("https://onenote.com/Notes.ReadWrite.CreatedByApp")
    assert not scopes.without_effect("Notes.ReadWrite office.onenote_update_by_app")


def test_several_permissions_at_once_come_sorted_and_once_each() -> None:
    """R-08."""
    assert scopes.parse("Notes.Read, office.onenote  notes.create+Notes.READ") == ("Notes.Create", "Notes.Read")


@pytest.mark.parametrize(
    "text",
    [
        "<script>",
        "Notes.Read;drop",
        "a" * 121,
        "https://evil.example/Notes.Read",
        "-x",
        " ".join(f"s{i}" for i in range(31)),
    ],
)
def test_what_cannot_be_a_permission_is_refused_before_the_redirect(text: str) -> None:
    """R-07."""
    with pytest.raises(BadRequest) as caught:
        scopes.parse(text)
    assert caught.value.code == "invalid_scope"


def test_nothing_asked_for_means_the_configured_default() -> None:
    """R-08."""
    assert choose(None) == ("Notes.Read",)
    assert choose("openid profile offline_access") == ("Notes.Read",)


def test_the_operators_ceiling_holds_and_lets_lesser_permissions_pass() -> None:
    """R-08: Notes.ReadWrite includes reading and creating."""
    assert choose("Notes.Read Notes.Create", allowed=("Notes.ReadWrite",)) == ("Notes.Create", "Notes.Read")
    for above in ("Notes.ReadWrite.All", "Notes.Read.All", "Mail.Read"):
        with pytest.raises(BadRequest) as caught:
            choose(above, allowed=("Notes.ReadWrite",))
        assert caught.value.code == "scope_not_allowed"


@pytest.mark.parametrize("name", ["Notes.Read.All", "Notes.ReadWrite.All"])
def test_a_permission_that_personal_accounts_cannot_have_is_refused_with_the_reason(name: str) -> None:
    """R-07."""
    with pytest.raises(BadRequest) as caught:
        choose(name, kind=AccountKind.PERSONAL)
    assert caught.value.code == "scope_not_for_account"
    assert name.removesuffix(".All") in caught.value.detail
    assert choose(name, kind=AccountKind.WORK) == (name,)


def test_offline_access_with_the_token_flow_is_refused_with_a_clear_error() -> None:
    """R-06: there is no refresh token to be had."""
    with pytest.raises(BadRequest) as caught:
        choose("wl.offline_access office.onenote", flow=Flow.TOKEN)
    assert caught.value.code == "offline_access_not_for_token_flow"
    assert choose("wl.signin office.onenote", flow=Flow.TOKEN) == ("Notes.Read",)


def test_the_address_of_mail_needs_no_permission_of_the_operators() -> None:
    """R-08: `email` is OpenID Connect's own, and OneNote is what the ceiling is about."""
    assert choose("email Notes.Read", allowed=("Notes.Read",)) == ("Notes.Read", "email")


def test_granted_permissions_are_read_as_short_names_whatever_the_provider_writes() -> None:
    """R-08: Entra answers with full names and its own OpenID ones."""
    answer = "openid profile email https://graph.microsoft.com/Notes.ReadWrite notes.create User.Read"
    assert scopes.from_answer(answer) == ("Notes.Create", "Notes.ReadWrite", "User.Read")
    assert scopes.from_answer("") == ()


@pytest.mark.parametrize("held", ["Notes.ReadWrite.All", "Notes.ReadWrite", "Notes.Read.All"])
def test_a_permission_covers_itself_and_what_it_includes_only(held: str) -> None:
    """R-08."""
    assert scopes.covers((held,), held)
    for name in scopes.ONENOTE:
        assert scopes.covers((held,), name) == (name == held or name in scopes.INCLUDES[held])
    assert not scopes.covers(("Notes.Create",), "Notes.Read")


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_and_never_breaks(text: str) -> None:
    """R-07."""
    try:
        names = scopes.parse(text)
    except BadRequest:
        return
    assert names == tuple(sorted(set(names)))
    assert scopes.parse(" ".join(names)) == names
