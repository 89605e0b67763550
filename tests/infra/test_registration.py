"""The app registration as the template makes it, evaluated for each kind of account."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared import scopes
from tests.infra import bicep

FOLDER = bicep.ROOT / "infra" / "registration"
# With everything that can be given, in one evaluation: each costs a second.
LATER = {
    "environmentName": "prod",
    "signInTenant": "common",
    "permissions": ["Notes.ReadWrite", "User.Read"],
    "allowTokenFlow": True,
    "redirectUri": "https://host.example/api/auth/callback",
    "logoutUrl": "https://host.example/api/auth/frontchannel-logout",
    "identityPrincipalId": "aaaa-bbbb",
}
_MADE: dict[str, list[dict[str, Any]]] = {}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the entry file, with the Graph extension's types beside it, so that nothing is downloaded."""
    types = bicep.compiler().parent / "microsoft-graph-v1.0.tgz"
    folder = tmp_path_factory.mktemp("registration")
    shutil.copy(FOLDER / "main.bicep", folder)
    config = json.loads((FOLDER / "bicepconfig.json").read_text(encoding="utf-8"))
    assert config["extensions"] == {
        "microsoftGraphV1": "br:mcr.microsoft.com/bicep/extensions/microsoftgraph/v1.0:1.0.0"
    }
    if types.exists():
        shutil.copy(types, folder)
        config["extensions"] = {"microsoftGraphV1": f"./{types.name}"}
    elif os.environ.get("CI") != "true":  # there the compiler may download them
        pytest.skip(f"no types of the Microsoft Graph extension beside the compiler: {types}")
    (folder / "bicepconfig.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def evaluated(folder: Path, **parameters: Any) -> dict[str, dict[str, Any]]:
    """The objects of the directory that would be there, by the last part of their type."""
    given = {"environmentName": "dev", "signInTenant": "organizations", "permissions": ["Notes.Read"]} | parameters
    key = json.dumps([str(folder), given])
    if key not in _MADE:  # a second of the compiler each
        _MADE[key] = bicep.evaluate(folder / "main.bicep", given, in_a_group=False)
    return {
        resource["type"].removeprefix("Microsoft.Graph/").removesuffix("@v1.0"): resource["properties"]
        for resource in _MADE[key]
    }


def test_the_template_compiles_without_a_word(template: Path) -> None:
    """R-01: compiler and linter (`lint` asks both) and formatter have nothing to say."""
    linted = bicep.run("lint", template / "main.bicep")
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
    formatted = bicep.run("format", template / "main.bicep", "--stdout")
    assert formatted.stdout == (FOLDER / "main.bicep").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "audience", "in_tenant"),
    [
        (LATER, "AzureADandPersonalMicrosoftAccount", True),
        ({}, "AzureADMultipleOrgs", True),
        ({"signInTenant": "consumers"}, "PersonalMicrosoftAccount", False),
        ({"signInTenant": "11111111-2222-3333-4444-555555555555"}, "AzureADMyOrg", True),
    ],
    ids=["common", "organizations", "consumers", "a tenant"],
)
def test_who_may_sign_in_follows_the_setting(
    template: Path, given: dict[str, Any], audience: str, in_tenant: bool
) -> None:
    """R-03: and tokens are of version 2, which personal accounts need."""
    made = evaluated(template, **given)
    assert made["applications"]["signInAudience"] == audience
    assert made["applications"]["api"]["requestedAccessTokenVersion"] == 2
    assert ("servicePrincipals" in made) is in_tenant


def test_after_the_resources_it_knows_their_addresses_and_trusts_their_identity(template: Path) -> None:
    """R-01: no secret, no certificate; the federated credential's subject is the identity's object id."""
    made = evaluated(template, **LATER)
    app, trust = made["applications"], made["applications/federatedIdentityCredentials"]
    assert app["web"]["redirectUris"] == ["https://host.example/api/auth/callback"]
    assert app["web"]["logoutUrl"] == "https://host.example/api/auth/frontchannel-logout"
    assert trust["name"] == f"{app['uniqueName']}/function-app"
    assert (trust["subject"], trust["audiences"]) == ("aaaa-bbbb", ["api://AzureADTokenExchange"])
    assert "00000000-0000-0000-0000-000000000002" in trust["issuer"]
    assert trust["issuer"].count("/v2.0") == 1
    assert not {"passwordCredentials", "keyCredentials"} & set(app)


def test_before_the_resources_it_trusts_nobody(template: Path) -> None:
    made = evaluated(template)
    assert "applications/federatedIdentityCredentials" not in made
    assert (made["applications"]["web"]["redirectUris"], made["applications"]["web"]["logoutUrl"]) == ([], None)


def test_it_asks_for_what_signing_in_needs_and_for_what_was_named(template: Path) -> None:
    """R-08: delegated permissions only, and none twice."""
    ids = dict(
        re.findall(r"^ {2}'?([\w.]+)'?: '([0-9a-f-]{36})'$", (FOLDER / "main.bicep").read_text("utf-8"), re.MULTILINE)
    )
    assert set(ids) == {*scopes.ONENOTE, *scopes.OPENID, "email", "User.Read"}
    assert len(set(ids.values())) == len(ids)
    (asked,) = evaluated(template, **LATER)["applications"]["requiredResourceAccess"]
    names = {name for access in asked["resourceAccess"] for name, value in ids.items() if value == access["id"]}
    assert names == {*scopes.OPENID, "Notes.ReadWrite", "User.Read"}
    assert {access["type"] for access in asked["resourceAccess"]} == {"Scope"}
    assert len(asked["resourceAccess"]) == 5


def test_id_tokens_carry_what_signing_out_needs(template: Path) -> None:
    """R-12: `sid` for the provider's call, `login_hint` for ours."""
    claims = evaluated(template)["applications"]["optionalClaims"]["idToken"]
    assert [claim["name"] for claim in claims] == ["sid", "login_hint"]


def test_the_token_flow_is_off_unless_asked_for(template: Path) -> None:
    """R-05: the opt-in reaches the registration, too."""
    for given, allowed in (({}, False), (LATER, True)):
        web = evaluated(template, **given)["applications"]["web"]
        assert set(web["implicitGrantSettings"].values()) == {allowed}


def test_two_environments_never_share_a_registration(template: Path) -> None:
    names = {evaluated(template, **given)["applications"]["uniqueName"] for given in ({}, LATER)}
    assert len(names) == 2


def test_an_unknown_permission_is_refused_before_anything_is_made(template: Path) -> None:
    with pytest.raises(AssertionError, match=r"Mail\.Read"):
        evaluated(template, permissions=["Mail.Read"])
