"""Wrong parameters are refused by the templates, in plain words, before anything is made."""

import re
from functools import cache

import pytest

from tests.infra.deployment import with_environment


@cache
def refusal(environment: tuple[tuple[str, str], ...]) -> str:
    """What is said to these variables of azd, on one line."""
    done, _ = with_environment(**dict(environment))
    assert done.returncode != 0, "accepted"
    return " ".join((done.stdout + done.stderr).split())


# All wrong at once, because everything wrong is named at once; and one call of the compiler takes seconds.
CONTRADICTIONS = {
    "AZURE_ENV_NAME": "dev.",
    "AUTH_CLIENT_ID": "",
    "AUTH_TENANT": "common",
    "AUTH_AUTHORITY_HOST": "login.microsoftonline.us",
    "GRAPH_BASE_URL": "http://graph.example",
    "FRONTEND_ORIGINS": "https://a.example, b.example",
    "DEFAULT_RETURN_URL": "/inbox",
    "INSTANCE_MEMORY_MB": "1024",
    "MAXIMUM_INSTANCE_COUNT": "40",
    "ALWAYS_READY_HTTP": "41",
    "SESSION_IDLE_DAYS": "60",
    "SESSION_MAX_DAYS": "30",
    "REFRESH_SCHEDULE": "*/5 * * * *",
    "CUSTOM_DOMAIN": "https://notes.example.com/",
    "ACTION_GROUP_IDS": "me@example.com",
}


@pytest.mark.parametrize(
    "words",
    [
        "AUTH_CLIENT_ID is no application (client) id: make the app registration first, then: azd env set AUTH_CLIENT_ID",
        "AUTH_TENANT=common lets personal accounts in, and for those a managed identity alone is not known to work: "
        "set AUTH_STORED_CREDENTIAL to secret or certificate, or AUTH_TENANT to organizations.",
        "INSTANCE_MEMORY_MB is 1024: the plan has instances of 512, 2048 and 4096 MB.",
        "More instances are always ready (41) than there may be (40): lower ALWAYS_READY_HTTP or raise",
        "SESSION_IDLE_DAYS is more than SESSION_MAX_DAYS: make it less or equal.",
        "REFRESH_SCHEDULE needs six fields, seconds first, for example: 0 */5 * * * *",
        "CUSTOM_DOMAIN is a host name alone, without https://, a path or a star: notes.example.com.",
        "AZURE_ENV_NAME ends with a dot, and no resource group can: take another name.",
        "AUTH_AUTHORITY_HOST must begin with https://.",
        "GRAPH_BASE_URL must begin with https://.",
        "FRONTEND_ORIGINS holds something that is no origin: write https://app.example.com, without a path or a slash",
        "DEFAULT_RETURN_URL must begin with https://.",
        "ACTION_GROUP_IDS holds something that is no resource id of an action group",
    ],
)
def test_what_contradicts_itself_is_named_with_its_mend_all_at_once(words: str) -> None:
    """R-01"""
    assert words in refusal(tuple(CONTRADICTIONS.items()))


def test_a_deployment_without_any_credential_or_a_tenant_that_is_none_is_refused() -> None:
    """R-01"""
    said = refusal((("AUTH_FEDERATED_CREDENTIAL", "false"), ("AUTH_TENANT", "contoso")))
    assert "AUTH_TENANT=contoso is neither common, organizations, consumers nor a tenant id." in said
    assert "There is no credential: set AUTH_FEDERATED_CREDENTIAL to true, or AUTH_STORED_CREDENTIAL to" in said
    assert "AUTH_CLIENT_ID" not in said


# Of these the compiler knows that they are wrong, from the types.
WRONG_TYPES = {
    "AZURE_LOCATION": "atlantis",
    "AZURE_ENV_NAME": "e" * 65,
    "AUTH_STORED_CREDENTIAL": "password",
    "SITE_UPDATE_STRATEGY": "Hope",
    "STATIC_WEB_APP_LOCATION": "northeurope",
    "TOKEN_VAULT_COUNT": "many",
    "PRIVATE_NETWORKING": "yes",
}


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (r"'westus3'\" but the provided value is of type \"'atlantis'\"", "region"),
        (r"greater than or equal to 65\) is too long .*maximum allowable length is 64", "name of the environment"),
        (r"'secret'\" but the provided value is of type \"'password'\"", "credential"),
        (r"'RollingUpdate'\" but the provided value is of type \"'Hope'\"", "strategy"),
        (r"'westus2'\" but the provided value is of type \"'northeurope'\"", "region of the static web app"),
        (r"\"tokenVaultCount\": .* cannot convert provided value 'many' to integer", "number of vaults"),
        (r"\"privateNetworking\": .* value cannot be converted to the target type", "yes instead of true"),
    ],
)
def test_a_value_that_there_is_not_is_refused_with_those_that_there_are(words: str, place: str) -> None:
    assert re.search(words, refusal(tuple(WRONG_TYPES.items()))), place


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TOKEN_VAULT_COUNT", "6", "'tokenVaultCount' is not valid. Value should be less than or equal to '5'"),
        (
            "KEEP_ALIVE_HOURS",
            "0",
            "'sessions.keepAliveHours' is not valid. Value should be greater than or equal to '1'",
        ),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(name: str, value: str, words: str) -> None:
    assert re.search(words, refusal(((name, value),)))
