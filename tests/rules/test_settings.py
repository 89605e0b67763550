"""The app settings: parsed together, every fault with its mend, nothing secret in a repr."""

import random
import re
from pathlib import Path

import pytest

from shared.errors import Misconfigured
from shared.origins import same_site
from shared.settings import (
    DEFAULT_SCHEDULE,
    Settings,
    is_secret_address,
    read_settings,
    schedule,
)

GOOD = {
    "AUTH_CLIENT_ID": "00000000-1111-2222-3333-444444444444",
    "AUTH_CLIENT_SECRET": "a-secret-that-never-shows",
    "TOKEN_VAULT_URLS": "https://one.vault.azure.net/",
    "PUBLIC_BASE_URL": "https://notes.example",
}
NAMES = (
    "AUTH_CLIENT_ID",
    "AUTH_CLIENT_SECRET",
    "AUTH_CLIENT_CERTIFICATE",
    "AUTH_MANAGED_IDENTITY_CLIENT_ID",
    "AUTH_AUTHORITY_HOST",
    "AUTH_TENANT",
    "AUTH_SCOPES",
    "AUTH_ALLOWED_SCOPES",
    "AUTH_ALLOW_TOKEN_FLOW",
    "AUTH_EXPOSE_ACCESS_TOKEN",
    "AUTH_OPERATOR_TOKENS",
    "GRAPH_BASE_URL",
    "TOKEN_VAULT_URLS",
    "PUBLIC_BASE_URL",
    "FRONTEND_ORIGINS",
    "DEFAULT_RETURN_URL",
    "REFRESH_SCHEDULE",
    "SESSION_IDLE_DAYS",
    "SESSION_MAX_DAYS",
    "KEEP_ALIVE_HOURS",
    "SESSION_CACHE_SECONDS",
    "CA_BUNDLE",
)
MEND = re.compile(
    r"\b(?:set|keep|give|write|use|make|add|name|drop|must|needs|has|lies on|goes|asks for|can't give)\b", re.IGNORECASE
)


def read(**changes: str | None) -> Settings:
    return read_settings({k: v for k, v in {**GOOD, **changes}.items() if v is not None})


def findings(**changes: str | None) -> tuple[str, ...]:
    with pytest.raises(Misconfigured) as caught:
        read(**changes)
    return caught.value.findings


def test_the_defaults_are_those_of_the_reference() -> None:
    """R-01, R-08: what the README's table promises."""
    settings = read()
    assert settings.authority_host == "https://login.microsoftonline.com"
    assert settings.graph_base_url == "https://graph.microsoft.com"
    assert (settings.tenant, settings.default_scopes) == ("common", ("Notes.Read",))
    assert set(settings.allowed_scopes) >= {"Notes.Create", "Notes.Read", "Notes.ReadWrite", "Notes.ReadWrite.All"}
    assert (settings.allow_token_flow, settings.expose_access_token, settings.operator_tokens) == (False,) * 3
    assert settings.redirect_uri == "https://notes.example/api/auth/callback"
    assert settings.default_return_url == "https://notes.example/"
    assert settings.origins == ("https://notes.example",)
    assert (settings.session_idle_days, settings.session_max_days) == (30, 180)
    assert (settings.keep_alive_hours, settings.session_cache_seconds) == (24, 60)
    assert not settings.cross_site


def test_nothing_set_gives_one_message_with_every_finding() -> None:
    """R-01: one look at the log is enough."""
    with pytest.raises(Misconfigured) as caught:
        read_settings({})
    text = "\n".join(caught.value.findings)
    for name in ("AUTH_CLIENT_ID", "AUTH_CLIENT_SECRET", "TOKEN_VAULT_URLS", "PUBLIC_BASE_URL"):
        assert name in text
    assert len(caught.value.findings) == 4


WRONG: list[tuple[str, str, str]] = [
    ("AUTH_AUTHORITY_HOST", "http://login.example", "https://"),
    ("AUTH_AUTHORITY_HOST", "login.example", "https://host"),
    ("AUTH_TENANT", "a/b", "tenant id"),
    ("AUTH_SCOPES", "<b>", "permission"),
    ("AUTH_SCOPES", "Mail.Read", "AUTH_ALLOWED_SCOPES"),
    ("AUTH_ALLOWED_SCOPES", "<b>", "permission"),
    ("AUTH_ALLOW_TOKEN_FLOW", "perhaps", "true nor false"),
    ("AUTH_EXPOSE_ACCESS_TOKEN", "yes", "true nor false"),
    ("AUTH_OPERATOR_TOKENS", "on", "true nor false"),
    ("AUTH_CLIENT_CERTIFICATE", "not pem", "PEM"),
    ("GRAPH_BASE_URL", "http://localhost:1", "https://"),
    ("GRAPH_BASE_URL", "https://graph.microsoft.com/?a=b", "query"),
    ("TOKEN_VAULT_URLS", "http://one.vault.azure.net", "https://"),
    ("TOKEN_VAULT_URLS", "Not_A_Label=https://one.vault.azure.net", "label"),
    ("TOKEN_VAULT_URLS", "a=https://one.vault.azure.net,a=https://two.vault.azure.net", "twice"),
    ("TOKEN_VAULT_URLS", "a=https://one.vault.azure.net,b=https://ONE.vault.azure.net/", "twice"),
    ("PUBLIC_BASE_URL", "http://notes.example", "https://"),
    ("PUBLIC_BASE_URL", "https://notes.example/#x", "fragment"),
    ("PUBLIC_BASE_URL", "notes.example", "https://host"),
    ("PUBLIC_BASE_URL", "https://user:password@notes.example", "https://host"),
    ("PUBLIC_BASE_URL", "https://notes.example:99999", "https://host"),
    ("FRONTEND_ORIGINS", "https://app.example/path", "no path"),
    ("FRONTEND_ORIGINS", "*", "https://host"),
    ("FRONTEND_ORIGINS", "null", "https://host"),
    ("DEFAULT_RETURN_URL", "https://elsewhere.example/", "FRONTEND_ORIGINS"),
    ("DEFAULT_RETURN_URL", "//notes.example/", "FRONTEND_ORIGINS"),
    ("REFRESH_SCHEDULE", "*/5 * * * *", "six fields"),
    ("SESSION_IDLE_DAYS", "0", "number"),
    ("SESSION_IDLE_DAYS", "90", "number"),
    ("SESSION_MAX_DAYS", "10", "SESSION_IDLE_DAYS"),
    ("SESSION_MAX_DAYS", "nan", "number"),
    ("KEEP_ALIVE_HOURS", "often", "number"),
    ("KEEP_ALIVE_HOURS", "inf", "number"),
    ("SESSION_CACHE_SECONDS", "-1", "number"),
    ("CA_BUNDLE", "/nowhere/ca.pem", "PEM file"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_setting_is_named_with_its_mend(name: str, value: str, says: str) -> None:
    """R-01."""
    changes = {name: value}
    if name == "AUTH_CLIENT_CERTIFICATE":
        changes["AUTH_CLIENT_SECRET"] = ""
    found = findings(**changes)
    assert any(name in text and says in text for text in found), found
    assert all(MEND.search(text) for text in found), found


def test_every_wrong_setting_is_named_at_once() -> None:
    """R-01: no second deployment to learn of the second fault."""
    # One wrong value a setting; those that hang together would hide each other.
    wrong = {name: value for name, value, _ in WRONG if name not in ("AUTH_CLIENT_CERTIFICATE", "DEFAULT_RETURN_URL")}
    wrong |= {"SESSION_MAX_DAYS": "nan", "AUTH_CLIENT_ID": ""}
    text = "\n".join(findings(**wrong))
    assert all(name in text for name in wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_key_vault_reference_that_the_platform_left_unresolved_is_named_as_such(name: str) -> None:
    """R-01: the app would otherwise send the reference as its password."""
    reference = "@Microsoft.KeyVault(SecretUri=https://ops.vault.azure.net/secrets/x)"
    found = [text for text in findings(**{name: reference}) if name in text]
    assert "unresolved Key Vault reference" in found[0]
    assert "Key Vault Secrets User" in found[0]
    assert not any("is missing" in text for text in found)


def test_a_finding_never_shows_a_secret() -> None:
    """R-16: findings go to the log."""
    found = findings(AUTH_CLIENT_CERTIFICATE="hush-not-pem", AUTH_CLIENT_SECRET="hush-secret", AUTH_TENANT="a/b")
    assert "hush" not in "\n".join(found)
    assert "a-secret-that-never-shows" not in repr(read())


# Credentials --------------------------------------------------------------------------------------------------


def test_one_credential_is_needed_and_two_of_a_kind_are_too_many() -> None:
    """R-01."""
    assert "No credential" in findings(AUTH_CLIENT_SECRET=None)[0]
    both = findings(AUTH_CLIENT_CERTIFICATE="-----BEGIN PRIVATE KEY-----")
    assert both == ("AUTH_CLIENT_SECRET and AUTH_CLIENT_CERTIFICATE are both set: keep one.",)


def test_a_managed_identity_goes_alone_or_with_one_of_the_others() -> None:
    """R-01: the identity for work accounts, the other for personal ones."""
    assert read(AUTH_CLIENT_SECRET=None, AUTH_MANAGED_IDENTITY_CLIENT_ID="id").client_secret is None
    assert read(AUTH_MANAGED_IDENTITY_CLIENT_ID="id").client_secret is not None


@pytest.mark.parametrize(
    ("value", "is_address"),
    [
        ("https://ops.vault.azure.net/secrets/client-secret", True),
        ("https://ops.vault.azure.net/secrets/client-secret/", True),
        ("https://ops.vault.azure.net/secrets/client-secret/0123456789abcdef0123456789ABCDEF", True),
        ("https://ops.vault.azure.net/secrets/client-secret/v1", False),
        ("https://ops.vault.azure.net/keys/client-secret", False),
        ("http://ops.vault.azure.net/secrets/x", False),
        ("a-secret", False),
    ],
)
def test_a_credential_may_be_the_address_of_a_secret(value: str, is_address: bool) -> None:
    """R-01: it is then read through the SDK, and read again after a rotation."""
    assert is_secret_address(value) is is_address
    if is_address:
        assert read(AUTH_CLIENT_SECRET=None, AUTH_CLIENT_CERTIFICATE=value).client_certificate == value


# Clouds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authority", "graph"),
    [
        ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
        ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
        ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_a_national_cloud_brings_its_own_graph(authority: str, graph: str) -> None:
    """R-03: "National cloud deployments"; permissions are named with that Graph's address."""
    settings = read(AUTH_AUTHORITY_HOST=authority, AUTH_TENANT="organizations")
    assert (settings.graph_base_url, settings.scope_prefix) == (graph, graph + "/")


def test_a_second_graph_of_the_same_cloud_is_taken() -> None:
    """R-03: the DoD Graph goes with the US authority."""
    settings = read(
        AUTH_AUTHORITY_HOST="https://login.microsoftonline.us", GRAPH_BASE_URL="https://dod-graph.microsoft.us"
    )
    assert settings.graph_base_url == "https://dod-graph.microsoft.us"


@pytest.mark.parametrize(
    ("authority", "graph"),
    [
        ("https://login.microsoftonline.us", "https://graph.microsoft.com"),
        ("https://login.microsoftonline.com", "https://graph.microsoft.us"),
        ("https://login.partner.microsoftonline.cn", "https://dod-graph.microsoft.us"),
    ],
)
def test_two_clouds_contradict_each_other(authority: str, graph: str) -> None:
    """R-03."""
    (found,) = findings(AUTH_AUTHORITY_HOST=authority, GRAPH_BASE_URL=graph)
    assert "AUTH_AUTHORITY_HOST" in found
    assert "GRAPH_BASE_URL" in found


def test_a_host_of_ones_own_is_no_microsoft_cloud() -> None:
    """A local stack, or a private cloud."""
    settings = read(AUTH_AUTHORITY_HOST="https://localhost:9443", GRAPH_BASE_URL="https://localhost:9444")
    assert not settings.microsoft_cloud
    assert settings.scope_prefix == ""


@pytest.mark.parametrize("tenant", ["consumers", "9188040d-6c67-4c5b-b112-36a304b66dad", "CONSUMERS"])
def test_personal_accounts_alone_cannot_be_asked_for_what_only_work_accounts_have(tenant: str) -> None:
    """R-07."""
    (found,) = findings(AUTH_TENANT=tenant, AUTH_SCOPES="Notes.ReadWrite.All")
    assert "AUTH_SCOPES" in found
    assert read(AUTH_TENANT=tenant).tenant == "consumers"


# Vaults -------------------------------------------------------------------------------------------------------


def test_a_vaults_label_stays_the_same_when_the_list_is_put_in_another_order(rng: random.Random) -> None:
    """Cookies carry the label: reordering or adding vaults must sign nobody out."""
    urls = [f"https://vault-{n}.vault.azure.net" for n in range(6)]
    labels = dict(read(TOKEN_VAULT_URLS=",".join(urls)).vaults)
    for _ in range(10):
        rng.shuffle(urls)
        some = urls[: rng.randint(1, 6)]
        assert dict(read(TOKEN_VAULT_URLS=" , ".join(some)).vaults).items() <= labels.items()


@pytest.mark.parametrize(
    "same", ["https://one.vault.azure.net", "https://one.vault.azure.net/", "https://ONE.vault.azure.net"]
)
def test_a_vaults_label_does_not_hang_on_how_its_address_is_written(same: str) -> None:
    """As above: a slash more must sign nobody out."""
    assert read(TOKEN_VAULT_URLS=same).vaults == read().vaults


def test_labels_of_ones_own_are_kept_and_the_order_stands() -> None:
    """The first vault holds the key ring."""
    settings = read(TOKEN_VAULT_URLS="b=https://two.vault.azure.net, a=https://one.vault.azure.net/,")
    assert settings.vaults == (("b", "https://two.vault.azure.net"), ("a", "https://one.vault.azure.net"))


# Origins and sites --------------------------------------------------------------------------------------------


def test_front_end_origins_are_listed_once_after_the_public_one() -> None:
    """R-14."""
    settings = read(FRONTEND_ORIGINS="https://app.example, https://APP.example/,http://localhost:5173")
    assert settings.origins == ("https://notes.example", "https://app.example", "http://localhost:5173")


def test_a_default_return_address_lies_on_an_allowed_origin_and_has_no_fragment() -> None:
    """R-14."""
    settings = read(FRONTEND_ORIGINS="https://app.example", DEFAULT_RETURN_URL="https://app.example/home?x=1#top")
    assert settings.default_return_url == "https://app.example/home?x=1"


def test_a_front_end_on_another_site_is_noticed() -> None:
    """The session's cookie then has to be SameSite=None."""
    assert not read(FRONTEND_ORIGINS="https://notes.example:8443").cross_site
    assert read(FRONTEND_ORIGINS="https://notes.example:8443,https://app.other.example").cross_site


def test_sites_are_compared_once_and_not_at_every_request() -> None:
    """The list of public suffixes takes 40 ms to read, and every request asks for the cookie's SameSite."""
    settings = read(FRONTEND_ORIGINS="https://app.notes.example")
    assert not settings.cross_site
    before = same_site.cache_info().misses
    assert [settings.cross_site for _ in range(100)] == [False] * 100
    assert same_site.cache_info().misses == before


# The timer, the environment -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "nonsense", "* * *", "@Microsoft.KeyVault(x)"])
def test_the_timer_has_a_schedule_even_when_the_setting_is_wrong(value: str) -> None:
    """A name in %…% without a setting, or a bad expression, would fail the indexing of every function."""
    assert schedule({"REFRESH_SCHEDULE": value}) == DEFAULT_SCHEDULE
    assert schedule({}) == DEFAULT_SCHEDULE
    assert schedule({"REFRESH_SCHEDULE": "0 0 * * * *"}) == "0 0 * * * *"


def test_blanks_around_a_value_do_no_harm() -> None:
    """Portals and shells add them."""
    settings = read(AUTH_TENANT=" Organizations ", AUTH_CLIENT_ID=" id\n", AUTH_ALLOW_TOKEN_FLOW=" TRUE ")
    assert (settings.tenant, settings.client_id, settings.allow_token_flow) == ("organizations", "id", True)


def test_trust_roots_of_ones_own_are_a_file(tmp_path: Path) -> None:
    """CA_BUNDLE, for local stacks and private clouds."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----")
    assert read(CA_BUNDLE=str(bundle)).ca_bundle == str(bundle)
