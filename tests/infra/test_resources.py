"""What every variant of the deployment would make: who may do what, and nothing more; nothing to leak; nothing open."""

import re
from functools import cache
from typing import Any

import pytest

from local import plan
from shared.settings import DEFAULT_SCHEDULE, read_settings, schedule
from tests.infra.deployment import GUID, VARIANTS, app_settings, kept, of_type, strings, with_environment
from tests.test_docs import README, first_cells, section

every_variant = pytest.mark.parametrize("variant", VARIANTS)

HOST_SETTINGS = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
# "App settings reference", Flex Consumption plan deprecations, and the settings that break such an app.
NOT_ON_FLEX_CONSUMPTION = {
    "AzureWebJobsStorage",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_LOAD_CERTIFICATES",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_MOUNT_ENABLED",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED",
    "WEBSITE_VNET_ROUTE_ALL",
}


def vaults(variant: str, holds: str) -> list[dict[str, Any]]:
    return [vault for vault in of_type(variant, "Microsoft.KeyVault/vaults") if vault["tags"]["holds"] == holds]


# ---------------------------------------------------------------- who may do what


@every_variant
def test_each_identity_has_the_roles_it_needs_and_no_other(variant: str) -> None:
    """R-16: sessions are opened by the app's identity alone, which only reads the operator's own secrets."""
    (operator_vault,) = vaults(variant, "operator secrets")
    (storage,) = of_type(variant, "Microsoft.Storage/storageAccounts")
    (insights,) = of_type(variant, "Microsoft.Insights/components")
    app = "the app's identity"
    wanted = [(app, "Key Vault Secrets Officer", vault["id"]) for vault in vaults(variant, "tokens")]
    wanted += [
        (app, "Key Vault Secrets User", operator_vault["id"]),
        (app, "Storage Blob Data Owner", storage["id"]),
        (app, "Storage Table Data Contributor", storage["id"]),
        (app, "Monitoring Metrics Publisher", insights["id"]),
    ]
    if variant == "several-vaults":  # the one with a client secret, which somebody has to put there
        operator = "who deploys (22222222-2222-2222-2222-222222222222)"
        wanted.append((operator, "Key Vault Secrets Officer", operator_vault["id"]))
    given = [(role.who, role.role, role.scope) for role in plan.roles(kept(variant))]
    assert sorted(given) == sorted(wanted)


@every_variant
def test_nobody_gets_a_role_of_their_own_making_or_an_access_policy(variant: str) -> None:
    types = {each["type"] for each in kept(variant)["predictedResources"]}
    assert "Microsoft.Authorization/roleDefinitions" not in types
    assert not [text for text in strings(kept(variant)) if text in ("*", "accessPolicies")]


@every_variant
def test_vaults_are_opened_by_roles_alone_and_log_who_came(variant: str) -> None:
    (workspace,) = of_type(variant, "Microsoft.OperationalInsights/workspaces")
    logs = {each["id"]: each["properties"] for each in of_type(variant, "Microsoft.Insights/diagnosticSettings")}
    every = of_type(variant, "Microsoft.KeyVault/vaults")
    assert len(every) >= 2
    for vault in every:
        properties = vault["properties"]
        assert properties["enableRbacAuthorization"]
        assert properties["tenantId"] == "99999999-9999-9999-9999-999999999999"
        assert not any(properties[name] for name in properties if name.startswith("enabledFor"))
        log = logs.pop(f"{vault['id']}/providers/Microsoft.Insights/diagnosticSettings/audit")
        assert log == {"workspaceId": workspace["id"], "logs": [{"categoryGroup": "audit", "enabled": True}]}
    assert logs == {}


@every_variant
def test_tokens_can_be_purged_and_the_operators_secrets_can_not(variant: str) -> None:
    """R-12: signing out means that the tokens are gone, which purge protection would prevent."""
    for vault in vaults(variant, "tokens"):
        assert "enablePurgeProtection" not in vault["properties"]
        assert vault["properties"]["enableSoftDelete"]
        assert vault["properties"]["softDeleteRetentionInDays"] == 7
    (operator_vault,) = vaults(variant, "operator secrets")
    assert operator_vault["properties"]["enablePurgeProtection"] is True
    assert operator_vault["properties"]["softDeleteRetentionInDays"] == 90


# ---------------------------------------------------------------- nothing to leak


@every_variant
def test_no_key_secret_or_password_is_anywhere(variant: str) -> None:
    """R-16: not in a property, a setting or an output; nor is one asked for while deploying."""
    found = [
        text
        for text in strings(kept(variant))
        if re.search(
            r"list(Keys|Secrets|Sas|AccountSas|ServiceSas|HostKeys|Credentials)?\(|AccountKey=|SharedAccess"
            r"|InstrumentationKey|BEGIN [A-Z ]*PRIVATE KEY|password|getSecret",
            text,
            re.IGNORECASE,
        )
    ]
    assert found == []
    # It opens nothing: local authentication is off, and sending takes a role.
    strung = [text for text in strings(kept(variant)) if re.search("connection_?string", text, re.IGNORECASE)]
    assert len(strung) == 2
    assert strung[0] == "APPLICATIONINSIGHTS_CONNECTION_STRING"
    assert strung[1].endswith(".ConnectionString]")


@every_variant
def test_keys_are_switched_off_where_there_are_some(variant: str) -> None:
    (storage,) = of_type(variant, "Microsoft.Storage/storageAccounts")
    assert storage["properties"]["allowSharedKeyAccess"] is False
    assert storage["properties"]["allowBlobPublicAccess"] is False
    assert storage["properties"]["isLocalUserEnabled"] is False
    (insights,) = of_type(variant, "Microsoft.Insights/components")
    assert insights["properties"]["DisableLocalAuth"] is True
    (workspace,) = of_type(variant, "Microsoft.OperationalInsights/workspaces")
    assert workspace["properties"]["features"]["disableLocalAuth"] is True


def test_a_credential_is_set_as_the_address_of_a_secret_in_the_operators_vault() -> None:
    """R-01: its value never passes through a template or an app setting."""
    (vault,) = vaults("several-vaults", "operator secrets")
    settings = app_settings(kept("several-vaults"))
    assert settings["AUTH_CLIENT_SECRET"] == f"https://{vault['name']}.vault.azure.net/secrets/auth-client-secret"
    assert settings["AUTH_CLIENT_CERTIFICATE"] == ""


# ---------------------------------------------------------------- the function app


@every_variant
def test_the_app_takes_encrypted_calls_only(variant: str) -> None:
    (site,) = of_type(variant, "Microsoft.Web/sites")
    assert site["properties"]["httpsOnly"] is True
    config = site["properties"]["siteConfig"]
    assert (config["minTlsVersion"], config["scmMinTlsVersion"], config["ftpsState"]) == ("1.2", "1.2", "Disabled")
    assert config["remoteDebuggingEnabled"] is False
    (storage,) = of_type(variant, "Microsoft.Storage/storageAccounts")
    assert storage["properties"]["minimumTlsVersion"] == "TLS1_2"
    assert storage["properties"]["supportsHttpsTrafficOnly"] is True


@every_variant
def test_the_app_runs_on_flex_consumption_as_its_one_identity(variant: str) -> None:
    (plan_,) = of_type(variant, "Microsoft.Web/serverfarms")
    assert plan_["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    (identity,) = of_type(variant, "Microsoft.ManagedIdentity/userAssignedIdentities")
    (site,) = of_type(variant, "Microsoft.Web/sites")
    assert site["identity"]["type"] == "UserAssigned"
    (used,) = site["identity"]["userAssignedIdentities"]
    assert identity["id"] in used
    config = site["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"]["triggers"]["http"]["perInstanceConcurrency"] == 16
    assert config["siteUpdateStrategy"] == {"type": "RollingUpdate"}
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    # Can't be switched on later, and a host name of one's own needs it.
    assert site["properties"]["siteScopedCertificatesEnabled"] is True


@every_variant
def test_the_app_has_every_setting_of_the_readme_and_none_that_the_plan_forbids(variant: str) -> None:
    """R-01"""
    settings = app_settings(kept(variant))
    assert set(settings) - HOST_SETTINGS == first_cells(section(README, "Settings"))
    assert set(settings) >= HOST_SETTINGS
    assert not set(settings) & NOT_ON_FLEX_CONSUMPTION


@every_variant
def test_the_app_accepts_the_settings_that_it_gets(variant: str) -> None:
    """R-01: each finding of the app's own reading would be a fault of the templates."""
    known = {
        name: re.sub(r"^\[format\('https://.*", "https://front-end.example", value).replace("[reference(", f"{GUID}[")
        for name, value in app_settings(kept(variant)).items()
    }
    read = read_settings({name: value.partition("[")[0] for name, value in known.items()})
    assert read.tenant == ("common" if variant == "several-vaults" else "organizations")
    assert read.managed_identity_client_id == read.azure_client_id == GUID
    names = [vault["name"] for vault in vaults(variant, "tokens")]
    assert read.vaults == tuple((f"v{i}", f"https://{name}.vault.azure.net") for i, name in enumerate(names, 1))
    bare = read_settings(
        {
            name: known[name].partition("[")[0]
            for name in ("AUTH_CLIENT_ID", "AUTH_MANAGED_IDENTITY_CLIENT_ID", "PUBLIC_BASE_URL", "TOKEN_VAULT_URLS")
        }
    )
    # What nobody chose is the app's own default.
    for name in (
        "default_scopes",
        "allowed_scopes",
        "allow_token_flow",
        "expose_access_token",
        "operator_tokens",
        "graph_base_url",
        "graph_body_max_bytes",
        "authority_host",
        "session_idle_days",
        "session_max_days",
        "keep_alive_hours",
        "session_cache_seconds",
    ):
        assert getattr(read, name) == getattr(bare, name), name
    assert schedule(known) == DEFAULT_SCHEDULE


CHOSEN = {
    "AUTH_TENANT": "99999999-0000-0000-0000-000000000000",
    "AUTH_AUTHORITY_HOST": "https://login.example",
    "AUTH_SCOPES": "Notes.ReadWrite",
    "AUTH_ALLOWED_SCOPES": "Notes.ReadWrite User.Read",
    "AUTH_ALLOW_TOKEN_FLOW": "true",
    "AUTH_EXPOSE_ACCESS_TOKEN": "true",
    "AUTH_OPERATOR_TOKENS": "true",
    "GRAPH_BASE_URL": "https://graph.example",
    "FRONTEND_ORIGINS": "https://a.example,https://b.example",
    "DEFAULT_RETURN_URL": "https://a.example/inbox",
    "REFRESH_SCHEDULE": "0 */10 * * * *",
    "SESSION_IDLE_DAYS": "7",
    "SESSION_MAX_DAYS": "90",
    "KEEP_ALIVE_HOURS": "12",
    "SESSION_CACHE_SECONDS": "30",
    "GRAPH_BODY_MAX_MB": "40",
    "CA_BUNDLE": "roots.pem",
}


@cache
def as_chosen() -> dict[str, Any]:
    """What azd would deploy with every value of its environment set; one call of the compiler for several tests."""
    others = {"AUTH_STORED_CREDENTIAL": "certificate", "ALWAYS_READY_HTTP": "2"}
    domain = {"CUSTOM_DOMAIN": "notes.example.com", "BOUND_DOMAIN": "notes.example.com"}
    done, snapshot = with_environment(**CHOSEN, **others, **domain)
    assert done.returncode == 0, done.stderr
    return snapshot


def test_each_setting_can_be_set_in_the_environment_of_azd() -> None:
    """R-01: by its own name; the others follow from what is deployed."""
    snapshot = as_chosen()
    settings = app_settings(snapshot)
    assert {name: settings[name] for name in CHOSEN} == CHOSEN
    assert settings["AUTH_CLIENT_CERTIFICATE"].endswith("/secrets/auth-client-certificate")
    (site,) = (each for each in snapshot["predictedResources"] if each["type"] == "Microsoft.Web/sites")
    ready = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
    assert ready == [{"name": "http", "instanceCount": 2}]
    follow = {
        "AUTH_CLIENT_ID",
        "AUTH_CLIENT_SECRET",
        "AUTH_CLIENT_CERTIFICATE",
        "AUTH_MANAGED_IDENTITY_CLIENT_ID",
        "TOKEN_VAULT_URLS",
        "PUBLIC_BASE_URL",
        "AZURE_CLIENT_ID",
    }
    assert set(settings) - HOST_SETTINGS - follow == set(CHOSEN)


# ---------------------------------------------------------------- the variants


@every_variant
def test_names_are_legal_and_the_same_every_time(variant: str) -> None:
    legal = {
        "Microsoft.KeyVault/vaults": r"[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]",
        "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
        "Microsoft.Web/sites": r"[a-z0-9](?!.*--)[a-z0-9-]{0,58}[a-z0-9]",
        "Microsoft.Web/serverfarms": r"[a-zA-Z0-9-]{1,60}",
        "Microsoft.OperationalInsights/workspaces": r"[a-z0-9][a-z0-9-]{2,61}[a-z0-9]",
        "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-z0-9][a-z0-9-]{2,127}",
        "Microsoft.Resources/resourceGroups": r"[\w.()-]{0,89}[\w()-]",
    }
    for kind, pattern in legal.items():
        for each in of_type(variant, kind):
            assert re.fullmatch(pattern, each["name"]), (kind, each["name"])
    ids = [each["id"] for each in kept(variant)["predictedResources"] if not each["id"].startswith("[")]
    twice = {id_ for id_ in ids if ids.count(id_) > 1}
    assert twice <= {id_ for id_ in ids if "/hostNameBindings/" in id_}  # bound, then bound with its certificate


@every_variant
def test_a_private_network_shuts_vaults_and_storage_to_everybody_else(variant: str) -> None:
    private = variant == "private-network"
    (storage,) = of_type(variant, "Microsoft.Storage/storageAccounts")
    guarded = [storage, *of_type(variant, "Microsoft.KeyVault/vaults")]
    for each in guarded:
        assert each["properties"]["publicNetworkAccess"] == ("Disabled" if private else "Enabled")
        assert each["properties"]["networkAcls"]["defaultAction"] == ("Deny" if private else "Allow")
        assert each["properties"]["networkAcls"]["bypass"] == "None"
    endpoints = [
        (connection["properties"]["privateLinkServiceId"], *connection["properties"]["groupIds"])
        for each in of_type(variant, "Microsoft.Network/privateEndpoints")
        for connection in each["properties"]["privateLinkServiceConnections"]
    ]
    wanted = [(each["id"], "vault") for each in guarded[1:]]
    wanted += [(storage["id"], "blob"), (storage["id"], "table")]
    assert sorted(endpoints) == (sorted(wanted) if private else [])
    (site,) = of_type(variant, "Microsoft.Web/sites")
    assert site["properties"]["publicNetworkAccess"] == "Enabled"  # browsers come here
    assert (site["properties"]["virtualNetworkSubnetId"] is not None) == private


def test_the_private_networks_names_lead_to_its_endpoints() -> None:
    zones = {each["name"]: each["id"] for each in of_type("private-network", "Microsoft.Network/privateDnsZones")}
    assert set(zones) == {
        "privatelink.vaultcore.azure.net",
        "privatelink.blob.core.windows.net",
        "privatelink.table.core.windows.net",
    }
    linked = [
        each["id"] for each in of_type("private-network", "Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    ]
    assert sorted(id_.partition("/virtualNetworkLinks/")[0] for id_ in linked) == sorted(zones.values())
    entered = of_type("private-network", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    for each in entered:
        (config,) = each["properties"]["privateDnsZoneConfigs"]
        service = config["name"].replace("vault", "vaultcore")
        assert config["properties"]["privateDnsZoneId"].rpartition("/")[2].split(".")[1] == service
    assert len(entered) == 4
    (network,) = of_type("private-network", "Microsoft.Network/virtualNetworks")
    delegated = {
        subnet["name"]: [each["properties"]["serviceName"] for each in subnet["properties"].get("delegations", [])]
        for subnet in network["properties"]["subnets"]
    }
    assert delegated == {"app": ["Microsoft.App/environments"], "endpoints": []}


def test_a_static_web_app_is_where_browsers_see_the_app() -> None:
    snapshot = kept("static-web-app")
    (front_end,) = of_type("static-web-app", "Microsoft.Web/staticSites")
    assert front_end["sku"]["name"] == "Standard"
    (backend,) = of_type("static-web-app", "Microsoft.Web/staticSites/linkedBackends")
    (site,) = of_type("static-web-app", "Microsoft.Web/sites")
    assert backend["properties"]["backendResourceId"] == site["id"]
    for address in (snapshot["outputs"]["PUBLIC_BASE_URL"], app_settings(snapshot)["PUBLIC_BASE_URL"]):
        assert front_end["id"] in address
        assert address.endswith(".defaultHostname)]")


def test_a_custom_domain_is_bound_with_a_certificate() -> None:
    first, second = of_type("custom-domain", "Microsoft.Web/sites/hostNameBindings")
    assert first["name"].endswith("/notes.example.com")
    assert "sslState" not in first["properties"]
    (certificate,) = of_type("custom-domain", "Microsoft.Web/sites/certificates")
    assert certificate["properties"]["canonicalName"] == "notes.example.com"
    assert second["properties"]["sslState"] == "SniEnabled"
    assert certificate["id"] in second["properties"]["thumbprint"]
    assert kept("custom-domain")["outputs"]["REDIRECT_URI"] == "https://notes.example.com/api/auth/callback"


def test_a_custom_domain_with_its_certificate_is_not_taken_off_it_again() -> None:
    """What azd was told by the deployment before: the name is bound once, with the certificate."""
    snapshot = as_chosen()
    bound = [each for each in snapshot["predictedResources"] if each["type"] == "Microsoft.Web/sites/hostNameBindings"]
    assert [each["properties"]["sslState"] for each in bound] == ["SniEnabled"]
    assert (
        snapshot["outputs"]["BOUND_DOMAIN"] == kept("custom-domain")["outputs"]["BOUND_DOMAIN"] == "notes.example.com"
    )


@every_variant
def test_the_outputs_are_what_the_next_steps_read(variant: str) -> None:
    outputs = kept(variant)["outputs"]
    assert set(outputs) == {
        "AZURE_RESOURCE_GROUP",
        "AZURE_TENANT_ID",
        "BOUND_DOMAIN",
        "FRONTCHANNEL_LOGOUT_URL",
        "FRONT_END_HOST",
        "FUNCTION_APP_NAME",
        "IDENTITY_CLIENT_ID",
        "IDENTITY_PRINCIPAL_ID",
        "OPERATOR_VAULT_NAME",
        "PUBLIC_BASE_URL",
        "REDIRECT_URI",
        "TOKEN_VAULT_NAMES",
    }
    assert outputs["TOKEN_VAULT_NAMES"] == [vault["name"] for vault in vaults(variant, "tokens")]
    assert (outputs["FRONT_END_HOST"] != "") == (variant == "static-web-app")
